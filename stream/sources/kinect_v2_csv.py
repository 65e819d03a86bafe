"""Kinect v2 CSV: one frame a line, comma separated: time, then x, y, z, tracking state of each of 25 joints.

Time counts 100 ns ticks of the sensor's clock; metres in Kinect's camera axes; tracking state 2 tracked, 1 inferred,
0 not tracked. A comma may end the line. One person. As written by Microsoft's LabanotationSuite.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stream.sources.base import RecordedSource
from stream.sources.text_lines import TRACKING_CONFIDENCE, TextLines, body, frame
from stream.types import SkeletonFrame

V = 25
COLUMNS = 1 + 4 * V
TICK = 100
"""Nanoseconds."""


class KinectV2Csv(RecordedSource):
    """Frames of a Kinect v2 CSV file, layout `kinect_v2`; times are the file's own.

    Args:
        path: the file.
        name: the source's name.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield M = 1, V = 25 frames (M = 0 where no joint was tracked)."""
        expected = f"time and x,y,z,state of {V} joints: {COLUMNS} numbers between commas"
        with TextLines.of(self.path, self) as lines:
            seq = 0
            line: bytes | None = lines.need(expected)
            while line is not None:
                if line:
                    fields = line.removesuffix(b",").split(b",")
                    if len(fields) != COLUMNS:
                        raise lines.fault(f"{len(fields)} fields; expected {expected}")
                    ticks = lines.integer(fields[0].strip(), 0, 2**63 // TICK - 1, "time in ticks of 100 ns")
                    columns = np.array(lines.numbers(fields[1:], expected)).reshape(1, V, 4)
                    states = [lines.state(field) for field in fields[4::4]]
                    joints, confidence = body(columns[..., :3], TRACKING_CONFIDENCE[states][None])
                    yield frame(self.name, seq, ticks * TICK, "kinect_v2", joints, confidence)
                    seq += 1
                line = lines.read()
