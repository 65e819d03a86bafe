"""Kinect v1 CSV: a header of 20 joint names, then one frame a line, fields separated by ';'.

Each field is "x y z" in metres in Kinect's camera axes. A last field, where there is one, is the frame's label. A joint
at exactly 0 0 0 was not seen. There are no times: 30 frames a second unless told otherwise. One person.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stream.layouts import KINECT_V1_JOINTS
from stream.sources.base import FixedRateFile
from stream.sources.text_lines import TextLines, body, frame, quoted
from stream.types import SkeletonFrame

V = len(KINECT_V1_JOINTS)


class KinectV1Csv(FixedRateFile):
    """Frames of a Kinect v1 CSV file, layout `kinect_v1`."""

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield M = 1, V = 20 frames (M = 0 where no joint was seen)."""
        with TextLines.of(self.path, self) as lines:
            order = _read_header(lines)
            for seq, (fields, _) in enumerate(_rows(lines)):
                parts = b" ".join(fields).split()
                if len(parts) != 3 * V or any(len(field.split()) != 3 for field in fields):
                    raise lines.fault(f"{len(parts)} coordinates; expected 'x y z' for each of {V} joints")
                joints = np.array(lines.numbers(parts, "'x y z' in metres")).reshape(V, 3)[order]
                points, confidence = body(joints[None], joints.any(axis=1)[None].astype(np.float32))
                t = self.time(seq)
                yield frame(self.name, seq, t, "kinect_v1", points, confidence)

    def labels(self) -> Iterator[str]:
        """Yield each frame's label, '' where the file has none; reads the file once more.

        Raises:
            SourceError: the file is broken.
        """
        with TextLines.of(self.path) as lines:
            _read_header(lines)
            for _, label in _rows(lines):
                yield label


def _read_header(lines: TextLines) -> list[int]:
    """Columns of the 20 joints in the layout's order."""
    header = lines.need(f"a header with the names of {V} joints")
    names = [field.strip().decode("latin-1") for field in header.rstrip(b"; ").split(b";")]
    if sorted(names[:V]) != sorted(KINECT_V1_JOINTS) or len(names) > V + 1:
        raise lines.fault(f"{quoted(header)}; expected a header with the {V} Kinect v1 joint names between ';'")
    return [names.index(joint) for joint in KINECT_V1_JOINTS]


def _rows(lines: TextLines) -> Iterator[tuple[list[bytes], str]]:
    """Each line's joint fields and label."""
    empty = True
    while (line := lines.read()) is not None:
        if not line:
            continue
        fields = line.split(b";")
        if len(fields) not in (V, V + 1):
            raise lines.fault(f"{len(fields)} fields; expected {V} joints 'x y z' between ';' and at most one label")
        empty = False
        yield fields[:V], b"".join(fields[V:]).strip().decode("latin-1")
    if empty:
        lines.need("at least one frame after the header")
