"""PKU-MMD skeleton text: one frame a line, 150 numbers: two bodies of 25 joints x, y, z in metres.

Kinect v2's joints and camera axes; numbers separated by white space or commas; a body of zeros is absent, and so is a
joint of zeros. No times: 30 frames a second unless told otherwise. Source: Liu et al., "PKU-MMD", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stream.sources.base import FixedRateFile
from stream.sources.text_lines import TextLines, body, frame
from stream.types import SkeletonFrame

M, V = 2, 25
COLUMNS = M * V * 3


class PkuText(FixedRateFile):
    """Frames of a PKU-MMD text file, layout `kinect_v2`; bodies have no ids."""

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield frames of M = 0, 1 or 2 bodies."""
        expected = f"{COLUMNS} numbers: x y z of {V} joints of {M} bodies"
        with TextLines.of(self.path, self) as lines:
            seq = 0
            line: bytes | None = lines.need(expected)
            while line is not None:
                if line:
                    fields = line.replace(b",", b" ").split()
                    if len(fields) != COLUMNS:
                        raise lines.fault(f"{len(fields)} numbers; expected {expected}")
                    columns = np.array(lines.numbers(fields, expected)).reshape(M, V, 3)
                    joints, confidence = body(columns, columns.any(axis=-1).astype(np.float32))
                    t = self.time(seq)
                    yield frame(self.name, seq, t, "kinect_v2", joints, confidence)
                    seq += 1
                line = lines.read()
