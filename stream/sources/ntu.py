"""NTU RGB+D `.skeleton`: frames of up to six Kinect v2 bodies, with every column that the sensor gave.

The number of frames; then for each frame the number of bodies; for each body a line of ten columns (id, clipped edges,
confidence and state of the left and the right hand, restricted, lean x and y, tracking state), the number of joints,
and a line of twelve columns for each joint: x y z in metres, x y in the depth image, x y in the colour image,
orientation w x y z, tracking state. 30 frames a second. Source: Shahroudy et al., "NTU RGB+D", CVPR 2016, and
`read_skeleton_file.m` of its authors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.sources.base import FixedRateFile, RecordedSource
from stream.sources.text_lines import TRACKING_CONFIDENCE, TextLines, body, frame, quoted
from stream.types import SkeletonFrame

V = 25
MAX_BODIES = 6
MAX_FRAMES = 10**9
BODY_COLUMNS = 10
JOINT_COLUMNS = 12


@dataclass(frozen=True, slots=True)
class NtuBody:
    """One body of one frame, every column.

    Attributes:
        id: the sensor's id of the body.
        clipped_edges: bits: 1 right, 2 left, 4 top, 8 bottom.
        hand_left_confidence, hand_right_confidence: 0 low, 1 high.
        hand_left_state, hand_right_state: 0 unknown, 1 not tracked, 2 open, 3 closed, 4 lasso.
        restricted: 1 where the tracking is restricted.
        lean: x and y of the body's lean, -1..1.
        tracking_state: 0 not tracked, 1 inferred, 2 tracked.
        joints: (25, 3) metres, camera axes.
        depth: (25, 2) pixels in the depth image.
        colour: (25, 2) pixels in the colour image (which Kinect mirrors).
        orientation: (25, 4) quaternion w, x, y, z.
        confidence: (25,) float32 from the joints' tracking states: 1 tracked, 0.5 inferred, 0 not tracked.
    """

    id: int
    clipped_edges: int
    hand_left_confidence: int
    hand_left_state: int
    hand_right_confidence: int
    hand_right_state: int
    restricted: int
    lean: tuple[float, float]
    tracking_state: int
    joints: NDArray[np.float64]
    depth: NDArray[np.float64]
    colour: NDArray[np.float64]
    orientation: NDArray[np.float64]
    confidence: NDArray[np.float32]


def read_bodies(path: Path, source: RecordedSource | None = None) -> Iterator[list[NtuBody]]:
    """Yield the bodies of each frame.

    Args:
        path: the file.
        source: whose progress the file's position is.

    Raises:
        SourceError: the file is broken.
    """
    with TextLines.of(path, source) as lines:
        expected = "the number of frames"
        count = lines.integer(lines.need(expected), 1, MAX_FRAMES, expected)
        for number in range(1, count + 1):
            expected = f"the number of bodies of frame {number} of {count}"
            bodies = lines.integer(lines.need(expected), 0, MAX_BODIES, expected)
            seen = [_read_body(lines) for _ in range(bodies)]
            if len({one.id for one in seen}) != bodies:
                raise lines.fault(f"frame {number} has a body id twice; expected an id of its own for each body")
            yield seen
        while (line := lines.read()) is not None:
            if line:
                raise lines.fault(f"{quoted(line)}; expected the end of the file after {count} frames")


def _read_body(lines: TextLines) -> NtuBody:
    expected = f"{BODY_COLUMNS} columns about a body"
    fields = lines.need(expected).split()
    if len(fields) != BODY_COLUMNS:
        raise lines.fault(f"{len(fields)} columns; expected {expected}")
    track = lines.integer(fields[0], -(2**63), 2**63 - 1, "the id of a body")
    edges, left_sure, left, right_sure, right, restricted, state = (
        lines.integer(field, 0, 15, "a flag or state") for field in (*fields[1:7], fields[9])
    )
    lean_x, lean_y = lines.numbers(fields[7:9], "the body's lean")
    lines.integer(lines.need("the number of joints"), V, V, "the number of joints")
    expected = f"{JOINT_COLUMNS} columns about a joint"
    values: list[float] = []
    states: list[int] = []
    for _ in range(V):
        row = lines.need(expected).split()
        if len(row) != JOINT_COLUMNS:
            raise lines.fault(f"{len(row)} columns; expected {expected}")
        states.append(lines.state(row[-1]))
        values += lines.numbers(row, expected)
    columns = np.array(values).reshape(V, JOINT_COLUMNS)
    return NtuBody(
        track,
        edges,
        left_sure,
        left,
        right_sure,
        right,
        restricted,
        (lean_x, lean_y),
        state,
        columns[:, 0:3],
        columns[:, 3:5],
        columns[:, 5:7],
        columns[:, 7:11],
        TRACKING_CONFIDENCE[states],
    )


class NtuSkeleton(FixedRateFile):
    """Frames of an NTU RGB+D `.skeleton` file, layout `kinect_v2`, with the sensor's body ids."""

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield frames of M = 0 to 6 bodies."""
        for seq, bodies in enumerate(read_bodies(self.path, self)):
            joints, confidence = body(
                np.array([one.joints for one in bodies]).reshape(-1, V, 3),
                np.array([one.confidence for one in bodies], np.float32).reshape(-1, V),
            )
            ids = np.array([one.id for one in bodies], np.int64)
            yield frame(self.name, seq, self.time(seq), "kinect_v2", joints, confidence, ids)
