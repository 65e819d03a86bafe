"""BVH motion files: a hierarchy of joints and channel values for each frame, turned into joints in metres.

A BVH file says neither its unit nor its axes, so both are taken from the skeleton:

* Scale: the person is made 1.7 m tall. Thigh and shank are 0.49 of the height and hips to base of the skull 0.38
  (Winter, "Biomechanics and Motor Control of Human Movement", figure 4.1); bone lengths do not depend on the pose.
* Up: y or z, whichever the body is longer along over the first frames.
* Heading and place: turned about the vertical so that the person's right hip is at +x of the left one in the first
  frame, that is, facing the camera, with SpineBase 3 m in front of it. One rotation for the whole file: nothing is
  mirrored, and walking and turning stay as they are.

Source: Biovision's format as described by Meredith and Maddock, "Motion Capture File Formats Explained", 2001.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import PosewireError, SourceError
from stream.layouts import (
    ANKLE_LEFT,
    ANKLE_RIGHT,
    HIP_LEFT,
    HIP_RIGHT,
    MAX_COORDINATE,
    SPINE_BASE,
    SPINE_SHOULDER,
    Layout,
    compact_layout,
)
from stream.sources.base import RecordedSource
from stream.sources.bvh_hierarchy import Hierarchy, Kinematics, read_hierarchy
from stream.sources.text_lines import TextLines, body, quoted
from stream.types import NANOSECONDS, Float32Array, SkeletonFrame

HEIGHT = 1.7
"""Metres."""
DISTANCE = 3.0
"""Metres from the camera to SpineBase in the first frame."""
CHUNK = 64
"""Frames that are computed at once."""
MAX_FRAMES = 10**9

_Y_UP = np.eye(3)
_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


class Bvh(RecordedSource):
    """Frames of a BVH file, in a layout named by those of its joints that the canonical layout is made of.

    Args:
        path: the file.
        name: the source's name.
        fps: frames a second, instead of the file's own.
    """

    def __init__(self, path: Path, name: str, fps: float | None = None) -> None:
        self.path, self.name, self.fps = path, name, fps

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield M = 1 frames (M = 0 where a channel is not finite); the one person has track id 0."""
        with TextLines.of(self.path, self) as lines:
            hierarchy = read_hierarchy(lines)
            layout = _layout(lines, hierarchy)
            columns = [hierarchy.names.index(joint) for joint in layout.joints]
            scale = _scale(lines, hierarchy, layout)
            count, interval = _read_motion_header(lines)
            step = interval if self.fps is None else 1 / self.fps
            kinematics = Kinematics(hierarchy)
            stage: _Stage | None = None
            seq = 0
            for values in _chunks(lines, count, len(hierarchy.channels)):
                good = (np.abs(values) < MAX_COORDINATE).all(axis=1)
                joints = scale * kinematics.positions(np.where(good[:, None], values, 0))[:, columns]
                if stage is None and good.any():
                    stage = _Stage(layout, joints[good])
                placed = joints if stage is None else stage.place(joints)
                points, confidence = body(placed, np.ones(placed.shape[:2], np.float32))
                for i, seen in enumerate(good.astype(int)):
                    t = round(seq * step * NANOSECONDS)
                    part = slice(i, i + seen)
                    ids = np.zeros(seen, np.int64)
                    yield SkeletonFrame(self.name, seq, t, layout.name, points[part], confidence[part], ids)
                    seq += 1


class _Stage:
    """Where the virtual camera stands, decided on the first frames (F, V, 3) in metres."""

    def __init__(self, layout: Layout, joints: NDArray[np.float64]) -> None:
        canonical = _canonical(layout, joints)
        ankles = (canonical[:, ANKLE_LEFT] + canonical[:, ANKLE_RIGHT]) / 2
        height = np.abs((canonical[:, SPINE_SHOULDER] - ankles).mean(axis=0))
        up = _Z_UP if height[2] > height[1] else _Y_UP
        across = up @ (canonical[0, HIP_RIGHT] - canonical[0, HIP_LEFT])
        width = float(np.hypot(across[0], across[2]))
        cosine, sine = (across[0] / width, across[2] / width) if width > 1e-6 else (1.0, 0.0)
        yaw = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
        self._rotation = yaw @ up
        self._shift = np.array([0.0, 0.0, DISTANCE]) - self._rotation @ canonical[0, SPINE_BASE]

    def place(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Joints (F, V, 3) in Kinect's camera axes."""
        placed: NDArray[np.float64] = joints @ self._rotation.T + self._shift
        return placed


def _canonical(layout: Layout, joints: NDArray[np.float64]) -> Float32Array:
    return layout.to_canonical(joints, np.ones(joints.shape[:2]))[0]


def _layout(lines: TextLines, hierarchy: Hierarchy) -> Layout:
    try:
        return compact_layout(hierarchy.names)
    except PosewireError as error:
        raise lines.fault(str(error)) from None


def _scale(lines: TextLines, hierarchy: Hierarchy, layout: Layout) -> float:
    """Metres in the file's unit."""
    used = layout.derivations
    lengths = hierarchy.lengths
    ankles = [next(iter(used[f"Ankle{side}"].choices[0].weights)) for side in ("Left", "Right")]
    head = [joint for joint in used["Head"].choices[0].weights if not joint.endswith("_End")]
    spine = max(sum(lengths[v] for v in hierarchy.path(joint)) for joint in head)
    legs = [sum(lengths[v] for v in hierarchy.path(ankle)[:2]) for ankle in ankles]
    height = (sum(legs) / 2 + spine) / (0.49 + 0.38)
    if not height > 1e-3:
        raise lines.fault(f"a skeleton {height:g} units tall; expected OFFSETs of a person's bones")
    return HEIGHT / float(height)


def _read_motion_header(lines: TextLines) -> tuple[int, float]:
    line = lines.need("Frames: and their number")
    if not line.lower().startswith(b"frames:"):
        raise lines.fault(f"{quoted(line)}; expected Frames: and their number")
    count = lines.integer(line[7:].strip(), 1, MAX_FRAMES, "the number of frames")
    line = lines.need("Frame Time: in seconds")
    if not line.lower().startswith(b"frame time:"):
        raise lines.fault(f"{quoted(line)}; expected Frame Time: in seconds")
    (interval,) = lines.numbers([line[11:].strip()], "Frame Time: in seconds")
    if not 1e-4 <= interval <= 10:
        raise lines.fault(f"Frame Time: {interval:g}; expected 0.0001 to 10 seconds")
    return count, interval


def _chunks(lines: TextLines, count: int, channels: int) -> Iterator[NDArray[np.float64]]:
    """(F, C) values of up to CHUNK frames at a time; those before a fault come before the fault is raised."""
    rows: list[list[float]] = []
    fault: SourceError | None = None
    try:
        for number in range(1, count + 1):
            fields = lines.need(f"frame {number} of {count}").split()
            if len(fields) != channels:
                raise lines.fault(f"{len(fields)} values; expected {channels}, one for each channel")
            rows.append(lines.numbers(fields, f"{channels} channel values"))
            if len(rows) == CHUNK:
                yield np.array(rows)
                rows = []
        while (line := lines.read()) is not None:
            if line:
                raise lines.fault(f"{quoted(line)}; expected the end of the file after {count} frames")
    except SourceError as error:
        fault = error
    if rows:
        yield np.array(rows)
    if fault is not None:
        raise fault
