"""A skeleton frame as one part of a message between the daemon's own processes: fixed fields, arrays, names.

Of these there are by far the most, and a ZeroMQ message costs by its parts.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from stream.types import Float32Array, SkeletonFrame, Space

TAG = b"F"
"""What a part of a frame begins with."""
_STAMP = struct.Struct("<8s4q")
"""What a frame's part begins with: the tag and the stamp."""
_NO_STAMP = _STAMP.pack(TAG, 0, 0, 0, 0)
_FRAME = struct.Struct("<qqHHHHB7x")
"""What follows: sequence number, time, bodies, joints, bytes of the source's and of the layout's name, space.
Behind it, each aligned to its numbers: track ids, joints, confidence; then both names."""
_ARRAYS = _STAMP.size + _FRAME.size
_SPACES = (Space.CAMERA3D, Space.IMAGE2D)


class Stamp(NamedTuple):
    """Where a frame was when, in ns on the monotonic clock that all processes of a machine share.

    Attributes:
        number: of the frame among those of its source that this capture sent, from 1 without holes; 0 is no stamp.
        captured: when it was captured; of a recorded source, when it was due.
        pose: how long finding its joints took, in ns; 0 where a sensor gives them.
        handed: when it was queued for the worker.
    """

    number: int
    captured: int
    pose: int
    handed: int


def encode_frame(frame: SkeletonFrame, source: str) -> bytes:
    """A frame, under this name of its source, as the one part of its message."""
    bodies, joints = frame.confidence.shape
    name, layout, space = source.encode(), frame.layout.encode(), frame.space is Space.IMAGE2D
    return b"".join(
        (
            _NO_STAMP,
            _FRAME.pack(frame.seq, frame.t, bodies, joints, len(name), len(layout), space),
            frame.track_ids.tobytes(),
            frame.joints.tobytes(),
            frame.confidence.tobytes(),
            name,
            layout,
        )
    )


def decode_frame(data: bytes) -> SkeletonFrame:
    """The frame of a part, under the name that it was given.

    Raises:
        ValueError: it is none of ours.
    """
    if len(data) < _ARRAYS:
        raise ValueError(f"a frame of {len(data)} bytes; expected at least {_ARRAYS}")
    seq, t, bodies, count, name_size, layout_size, space = _FRAME.unpack_from(data, _STAMP.size)
    ids = np.frombuffer(data, np.int64, bodies, _ARRAYS)
    joints, confidence = joints_of(data, bodies, count, _ARRAYS + 8 * bodies)
    name_end = len(data) - layout_size
    source, layout = data[name_end - name_size : name_end].decode(), data[name_end:].decode()
    return SkeletonFrame(source, seq, t, layout, joints, confidence, ids, _SPACES[space])


def joints_of(data: bytes, bodies: int, count: int, start: int) -> tuple[Float32Array, Float32Array]:
    """Joints (M, V, 3) and, behind them, confidence (M, V)."""
    size = bodies * count
    numbers = np.frombuffer(data, np.float32, 4 * size, start)
    return numbers[: 3 * size].reshape(bodies, count, 3), numbers[3 * size :].reshape(bodies, count)


def stamped(part: bytes, number: int, captured: int, pose: int, handed: int) -> bytes:
    """An encoded frame with a stamp on it (see `Stamp`): frames themselves carry no such times."""
    return _STAMP.pack(TAG, number, captured, pose, handed) + part[_STAMP.size :]


def stamp_of(part: bytes) -> Stamp | None:
    """The stamp of a message's first part, if it has one."""
    if part[:1] != TAG:
        return None
    _, number, captured, pose, handed = _STAMP.unpack_from(part)
    return Stamp(number, captured, pose, handed) if number else None
