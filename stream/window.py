"""The ring of the last 50 frames of one track, resampled by capture time to the model's rate.

Sensors do not deliver the rate that they claim (a "30 fps" Kinect gives 15 in the dark), so a window is never "the last
50 arrivals". Each arriving frame fills the grid points, `1 / rate_hz` apart and counted from the track's first frame,
that lie between it and the frame before, by linear interpolation; the ring holds grid points only. Work per frame is
therefore constant, and moving all capture times by a constant changes nothing but the times.
"""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(slots=True)
class Reached:
    """A grid point that a frame has reached, not yet written: those of many rings are interpolated at once.

    Attributes:
        ring: whose.
        number: of the point, counted from the first of the series.
        grid: its time, in ns.
        before, frame: the frames on both sides of it, each its time, joints (V, 3) and confidence (V,).
        due: whether it completes a window.
    """

    ring: WindowRing
    number: int
    grid: int
    before: _Frame
    frame: _Frame
    due: bool


_Frame = tuple[int, Float32Array, Float32Array]


class WindowRing:
    """Ring of one track; `push` frames in the order of capture, take the windows that become due.

    Args:
        settings: see `WindowSettings`.
        joints: V.
    """

    def __init__(self, settings: WindowSettings, joints: int = 25) -> None:
        self._settings = settings
        # Rows are written twice, T apart, so that the last T rows are always one slice of the two together.
        self._x = np.zeros((3, 2, settings.frames, joints), np.float32)
        self._mask = np.zeros((2, settings.frames, joints), np.float32)
        self._period = NANOSECONDS / settings.rate_hz
        self._gap = round(settings.gap_s * NANOSECONDS)
        self.near = round(settings.near_s * NANOSECONDS)
        """`near_s` in ns."""
        self._origin = 0
        self._reached = 0
        self._last: _Frame | None = None

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
        reached, gap = self.reach(t, joints, confidence)
        return fill(reached), gap

    def reach(self, t: int, joints: Float32Array, confidence: Float32Array) -> tuple[list[Reached], bool]:
        """Add one frame as `push` does, but leave it to `fill` to write what it reaches.

        Raises:
            ValueError: `t` is not later than the last one.
        """
        last, frame = self._last, (t, joints, confidence)
        if last is not None and t <= last[0]:
            raise ValueError(f"frame at {t} ns is not later than the one before, at {last[0]} ns")
        gap = last is not None and t - last[0] > self._gap
        if last is None or gap:
            self._origin, self._reached = t, 0
            last = frame
        reached = []
        while (grid := self._origin + round(self._reached * self._period)) <= t:
            due = (self._reached + 1) % self._settings.stride == 0
            reached.append(Reached(self, self._reached, grid, last, frame, due))
            self._reached += 1
        self._last = frame
        return reached, gap

    def write(self, point: Reached, joints: Float32Array, mask: Float32Array) -> Cut | None:
        """Write a grid point, the one after the last or the first of a new series; the window that it completes.

        Args:
            point: what `reach` gave.
            joints: (3, V) there.
            mask: (V,).
        """
        if point.number == 0:
            self._mask.fill(0.0)
        row = point.number % self._settings.frames
        self._x[:, :, row] = joints[:, None]
        self._mask[:, row] = mask
        return self._cut(point.grid, point.number + 1) if point.due else None

    def _cut(self, t1: int, filled: int) -> Cut:
        frames = self._settings.frames
        last = slice(filled % frames, filled % frames + frames)
        mask = self._mask.reshape(2 * frames, -1)[last].copy()
        return Cut(
            t0=t1 - round((frames - 1) * self._period),
            t1=t1,
            x=self._x.reshape(3, 2 * frames, -1)[:, last].copy(),
            mask=mask,
            coverage=np.count_nonzero(mask > 0) / mask.size,
            full=filled >= frames,
        )


def fill(reached: Sequence[Reached]) -> list[Cut]:
    """Write grid points of any number of rings, those of a ring in their order; the windows of those that are due.

    The interpolation is one computation for all of them: people are many, and what each takes is next to nothing.
    """
    if not reached:
        return []
    joints_last = _stacked([point.before[1] for point in reached])
    confidence_last = _stacked([point.before[2] for point in reached])
    joints = _stacked([point.frame[1] for point in reached])
    confidence = _stacked([point.frame[2] for point in reached])
    share = np.array([_share(point.grid, point.before[0], point.frame[0]) for point in reached])[:, None]
    near_last = np.array([point.grid - point.before[0] <= point.ring.near for point in reached])[:, None]
    near = np.array([point.frame[0] - point.grid <= point.ring.near for point in reached])[:, None]
    # Where only one of the two frames has the joint, it is held; where both have it, it moves in a straight line.
    there = confidence > 0
    both = (confidence_last > 0) & there
    weight = np.where(both, share, there).astype(np.float32)[..., None]
    x = joints_last * (1 - weight) + joints * weight
    seen_last, seen = np.where(near_last, confidence_last, np.float32(0)), np.where(near, confidence, np.float32(0))
    moved = (1 - share).astype(np.float32) * confidence_last + share.astype(np.float32) * confidence
    held = np.where(both, np.float32(0), np.maximum(seen_last, seen))
    mask = np.where(both & (seen_last + seen > 0), moved, held)
    axes = x.transpose(0, 2, 1)
    cuts = (point.ring.write(point, axes[row], mask[row]) for row, point in enumerate(reached))
    return [cut for cut in cuts if cut is not None]


def _stacked(arrays: Sequence[Float32Array]) -> Float32Array:
    """As `numpy.stack`, which takes longer for many that are small."""
    return np.concatenate(arrays).reshape(len(arrays), *arrays[0].shape)


def _share(grid: int, before: int, t: int) -> float:
    """How far a time is on the way from one frame to the next, 0..1."""
    return (grid - before) / (t - before) if t > before else 1.0
