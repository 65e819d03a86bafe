"""When the frames of a recording are due if it is played at its own speed."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from stream.types import NANOSECONDS, SkeletonFrame

MAX_GAP_S = 5.0
"""A longer silence in a recording is skipped."""
MAX_LATE_S = 1.0
"""A frame further back in time than this is a clock that started anew, not a frame that came late."""
PACE_STEP_S, PACE_STEPS, PACE_MIN_S = 0.1, 50, 2.0
"""How fast it goes is looked at in steps of this length or more, over so many of them, but not over less time."""
_MAX_LATE, _MAX_GAP = MAX_LATE_S * NANOSECONDS, MAX_GAP_S * NANOSECONDS


@dataclass(slots=True)
class _Clock:
    """One source's clock: its time `t` belongs to the moment `now`; `played` is its time so far without the jumps."""

    t: int
    now: float
    newest: int
    played: int = 0


class Pacer:
    """Paces each source by its own clock, so that those of one recording need not agree on what time it is.

    A source's first frame is due when it is read, the others as much later as their capture times say. After a jump
    (over `MAX_LATE_S` back or `MAX_GAP_S` ahead) a source starts anew: its next frame is due at once.

    Args:
        speed: times real time; None is as fast as it goes.

    Attributes:
        jumps: number of jumps so far.
    """

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._clocks: dict[str, _Clock] = {}
        self._most = 0
        self._steps: deque[tuple[float, float]] = deque(maxlen=PACE_STEPS)
        self._next_step = -math.inf
        self.jumps = 0

    @property
    def media_s(self) -> float:
        """Recorded seconds so far without the jumps, of the source that has most."""
        return self._most / NANOSECONDS

    @property
    def pace(self) -> float:
        """How many times real time it went lately; 0.0 while too little was played to tell."""
        if not self._steps or self._steps[-1][0] - self._steps[0][0] < PACE_MIN_S:
            return 0.0
        (first, begun), (last, done) = self._steps[0], self._steps[-1]
        return (done - begun) / (last - first)

    def due(self, frame: SkeletonFrame, now: float) -> float:
        """In how many seconds a frame is due, below 0 if it is overdue; `now` is of a clock that never jumps."""
        wait = self._wait(frame.source, frame.t, now)
        if now >= self._next_step:
            self._next_step = now + PACE_STEP_S
            self._steps.append((now, self.media_s))
        return wait

    def _wait(self, source: str, t: int, now: float) -> float:
        clock = self._clocks.get(source)
        if clock is None:
            self._clocks[source] = _Clock(t, now, t)
            return 0.0
        step = t - clock.newest
        if not -_MAX_LATE <= step <= _MAX_GAP:
            self.jumps += 1
            self._clocks[source] = _Clock(t, now, t, clock.played)
            return 0.0
        if step > 0:
            clock.newest = t
            clock.played += step
            self._most = max(self._most, clock.played)
        if self._speed is None:
            return 0.0
        return clock.now + (t - clock.t) / NANOSECONDS / self._speed - now
