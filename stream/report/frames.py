"""What a report keeps of the skeletons of a recording of any length: evenly thinned, quantised frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.types import Float32Array, Int64Array, Space

BASE_INTERVAL = 40_000_000
"""Shortest time between two kept frames in ns: 25 frames a second, enough for the eye."""
MAX_FRAMES = 3_000
"""Most frames that are kept of one source."""
JOINTS = 25
"""Joints of the canonical layout, which is the only one that a report draws."""
MILLIMETRE = 0.001
"""Step of a joint's coordinate in 3-D, in metres: int16 reaches 32.767 m, further than any skeleton sensor."""

_STEPS = 32_767


@dataclass(slots=True)
class Rows:
    """An array that grows at its end: one block of memory, where a small array for each frame would leave holes.

    Attributes:
        data: (capacity, ...); rows from `length` on are free.
        length: rows in use.
    """

    data: NDArray[Any]
    length: int = 0

    @property
    def used(self) -> NDArray[Any]:
        """The rows in use, as a view."""
        return self.data[: self.length]

    def append(self, rows: Any) -> None:
        """Add rows, (n, ...)."""
        end = self.length + len(rows)
        if end > len(self.data):
            grown = np.empty((max(end, 2 * len(self.data)), *self.data.shape[1:]), self.data.dtype)
            grown[: self.length] = self.used
            self.data = grown
        self.data[self.length : end] = rows
        self.length = end

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Drop the rows that are not chosen, and the free ones."""
        self.data = self.used[chosen]
        self.length = len(self.data)


def _rows(dtype: str, *shape: int) -> Rows:
    return Rows(np.empty((16, *shape), dtype))


@dataclass(slots=True)
class KeptFrames:
    """Frames of one source, at most one in each interval; the interval doubles when they get too many.

    Attributes:
        times: ns of each kept frame, N rows.
        counts: bodies in each kept frame, N rows.
        tracks: track of each body, B rows.
        joints: (25, 3) int16 steps of `unit` of each body, B rows.
        confidence: (25,) in 0..255 of each body, B rows; 0: not seen.
        unit: length of a step: a millimetre in 3-D; in 2-D, where pixels and shares of the image are both in use, as
            the largest coordinate so far needs; 0 before there is any.
        interval: ns between two kept frames, at least.
        seen: frames that were given, kept or not.
    """

    times: Rows = field(default_factory=partial(_rows, "i8"))
    counts: Rows = field(default_factory=partial(_rows, "i8"))
    tracks: Rows = field(default_factory=partial(_rows, "i8"))
    joints: Rows = field(default_factory=partial(_rows, "i2", JOINTS, 3))
    confidence: Rows = field(default_factory=partial(_rows, "u1", JOINTS))
    unit: float = 0.0
    interval: int = BASE_INTERVAL
    seen: int = 0
    _origin: int = 0
    _last: int = 0

    @property
    def bodies(self) -> int:
        """Bodies in the kept frames, which is what the page's size depends on."""
        return self.tracks.length

    def add(self, t: int, tracks: Int64Array, joints: Float32Array, confidence: Float32Array, space: Space) -> None:
        """Keep the frame if it is the first in its interval; one that is not later than the last kept is dropped.

        A joint that is not finite, or in 3-D lies further than 32 m from the camera, counts as not seen.

        Args:
            t: capture time in ns.
            tracks: (M,).
            joints: (M, 25, 3).
            confidence: (M, 25).
            space: coordinates of `joints`, the same in all frames.
        """
        if not self.seen:
            self._origin = t
        self.seen += 1
        if self.times.length and self._slot(t) <= self._slot(self._last):
            return
        self._last = t
        valid = np.isfinite(joints).all(-1) & np.isfinite(confidence) & (confidence > 0)
        if space is Space.CAMERA3D:
            self.unit = MILLIMETRE
            valid &= (np.abs(joints) <= MILLIMETRE * _STEPS).all(-1)
        else:
            self._reach(float(np.abs(joints[valid]).max(initial=0.0)))
        safe = np.where(valid[..., None], joints, 0.0).astype(np.float64)
        self.times.append([t])
        self.counts.append([len(tracks)])
        self.tracks.append(tracks)
        self.joints.append(np.round(safe / (self.unit or 1.0)).clip(-_STEPS, _STEPS))
        self.confidence.append(np.where(valid, np.ceil(np.clip(np.where(valid, confidence, 0.0), 0.0, 1.0) * 255), 0))
        while self.times.length > MAX_FRAMES:
            self.thin()

    def thin(self) -> None:
        """Double the interval and drop the frames, about every second one, that no longer come first in theirs."""
        self.interval *= 2
        first = np.diff(self._slot(self.times.used), prepend=-1) > 0
        bodies = np.repeat(first, self.counts.used)
        for rows in (self.times, self.counts):
            rows.keep(first)
        for rows in (self.tracks, self.joints, self.confidence):
            rows.keep(bodies)
        self._last = int(self.times.used[-1])

    def _reach(self, largest: float) -> None:
        """Make the step long enough for a coordinate: twice, four times ... as long, so that roundings hardly add."""
        if not self.unit:
            self.unit = largest / _STEPS
        elif largest > self.unit * _STEPS:
            factor = 2.0 ** math.ceil(math.log2(largest / _STEPS / self.unit))
            self.joints.used[:] = np.round(self.joints.used / factor)
            self.unit *= factor

    def _slot(self, t: Any) -> Any:
        return (t - self._origin) // self.interval
