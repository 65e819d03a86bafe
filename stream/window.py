"""The ring of the last 50 frames of one track, resampled by capture time to the model's rate.

Sensors do not deliver the rate that they claim (a "30 fps" Kinect gives 15 in the dark), so a window is never "the last
50 arrivals". Each arriving frame fills the grid points, `1 / rate_hz` apart and counted from the track's first frame,
that lie between it and the frame before, by linear interpolation; the ring holds grid points only. Work per frame is
therefore constant, and moving all capture times by a constant changes nothing but the times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.types import NANOSECONDS, Float32Array


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How windows are cut.

    Attributes:
        frames: T, rows in a window.
        rate_hz: grid points a second; the model's rate.
        stride: grid points between two windows of a track: smaller decides sooner and costs more.
        gap_s: a track unseen for longer than this starts its window anew.
        near_s: a grid point further than this from the nearest frame in which the joint was seen is masked; half the
            frame interval of the slowest sensor that should count as seen without holes.
    """

    frames: int = 50
    rate_hz: float = 25.0
    stride: int = 8
    gap_s: float = 1.0
    near_s: float = 0.2


@dataclass(frozen=True, slots=True)
class Cut:
    """One window as cut from a ring: a `stream.types.Window` that does not know whose it is.

    Attributes:
        t0, t1: capture times of the first and the last row, in ns.
        x: (3, T, V) float32.
        mask: (T, V) float32.
        coverage: mean share of (T, V) that was seen.
        full: whether the track was there for all T rows; until then coverage tells its age, not how well it is seen.
    """

    t0: int
    t1: int
    x: Float32Array
    mask: Float32Array
    coverage: float
    full: bool


class WindowRing:
    """Ring of one track; `push` frames in the order of capture, take the windows that become due.

    Args:
        settings: see `WindowSettings`.
        joints: V.
    """

    def __init__(self, settings: WindowSettings, joints: int = 25) -> None:
        self._settings = settings
        # Rows are written twice, T apart, so that the last T rows are always one contiguous slice.
        self._x = np.zeros((2 * settings.frames, joints, 3), np.float32)
        self._mask = np.zeros((2 * settings.frames, joints), np.float32)
        self._period = NANOSECONDS / settings.rate_hz
        self._gap = round(settings.gap_s * NANOSECONDS)
        self._near = round(settings.near_s * NANOSECONDS)
        self._origin = 0
        self._filled = 0
        self._last: tuple[int, Float32Array, Float32Array] | None = None

    def push(self, t: int, joints: Float32Array, confidence: Float32Array) -> tuple[list[Cut], bool]:
        """Add one frame.

        Args:
            t: capture time in ns; must be later than the last one.
            joints: (V, 3) float32, finite.
            confidence: (V,) float32, 0 where a joint was not seen.

        Returns:
            The windows that this frame completes, oldest first, and whether a gap had emptied the ring before it.

        Raises:
            ValueError: `t` is not later than the last one.
        """
        if self._last is not None and t <= self._last[0]:
            raise ValueError(f"frame at {t} ns is not later than the one before, at {self._last[0]} ns")
        gap = self._last is not None and t - self._last[0] > self._gap
        if self._last is None or gap:
            self._mask.fill(0.0)
            self._origin, self._filled = t, 0
            self._last = (t, joints, confidence)
        cuts = []
        while (grid := self._origin + round(self._filled * self._period)) <= t:
            self._write(grid, t, joints, confidence)
            if self._filled % self._settings.stride == 0:
                cuts.append(self._cut(grid))
        self._last = (t, joints, confidence)
        return cuts, gap

    def _write(self, grid: int, t: int, joints: Float32Array, confidence: Float32Array) -> None:
        """Interpolate the grid point at time `grid` between the last frame and this one, at time `t`."""
        if self._last is None:
            raise RuntimeError("no frame to interpolate from")
        t_last, joints_last, confidence_last = self._last
        share = (grid - t_last) / (t - t_last) if t > t_last else 1.0
        seen_last = confidence_last if grid - t_last <= self._near else np.zeros_like(confidence_last)
        seen = confidence if t - grid <= self._near else np.zeros_like(confidence)
        # Where only one of the two frames has the joint, it is held; where both have it, it moves in a straight line.
        both = (confidence_last > 0) & (confidence > 0)
        weight = np.where(both, share, confidence > 0).astype(np.float32)[:, None]
        row = self._filled % self._settings.frames
        value = joints_last * (1 - weight) + joints * weight
        mask = np.where(both & (seen_last + seen > 0), (1 - share) * confidence_last + share * confidence, 0.0)
        mask = np.where(both, mask, np.maximum(seen_last, seen))
        for at in (row, row + self._settings.frames):
            self._x[at] = value
            self._mask[at] = mask
        self._filled += 1

    def _cut(self, t1: int) -> Cut:
        frames = self._settings.frames
        start = self._filled % frames
        mask = self._mask[start : start + frames].copy()
        x = np.ascontiguousarray(self._x[start : start + frames].transpose(2, 0, 1))
        return Cut(
            t0=t1 - round((frames - 1) * self._period),
            t1=t1,
            x=x,
            mask=mask,
            coverage=float(np.mean(mask > 0)),
            full=self._filled >= frames,
        )
