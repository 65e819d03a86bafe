"""Frames as drivers give them: one that no part behind could work with is a fault of its camera and goes no further."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from stream.errors import PosewireError
from stream.layouts import layout
from stream.structs import MAX_BODIES
from stream.types import SkeletonFrame

_TIMES = 2**63
"""Capture times are 64-bit integers wherever they are kept."""


def frame_fault(frame: SkeletonFrame) -> str:
    """What is wrong with the form of a frame, or nothing.

    Only the form: coordinates that are no numbers or absurd count as not seen (see `stream.layouts.Layout`).

    Args:
        frame: with arrays of any shape and type.

    Returns:
        One line for people; "" for a frame of which the worker can make use.
    """
    try:
        joints = len(layout(frame.layout).joints)
    except PosewireError as error:
        return str(error)
    if not -_TIMES <= frame.t < _TIMES:
        return f"a capture time of {frame.t:.0e} ns; expected one of 64 bits"
    bodies = len(frame.track_ids)
    if bodies > MAX_BODIES:
        return f"{bodies} bodies in a frame; expected at most {MAX_BODIES}"
    expected: dict[str, tuple[NDArray[Any], str, tuple[int, ...]]] = {
        "joints": (frame.joints, "float32", (bodies, joints, 3)),
        "confidence": (frame.confidence, "float32", (bodies, joints)),
        "track_ids": (frame.track_ids, "int64", (bodies,)),
    }
    for name, (array, kind, shape) in expected.items():
        if array.shape != shape or array.dtype != kind:
            return f"{name} of {array.dtype} {array.shape}; expected {kind} {shape}"
    return ""
