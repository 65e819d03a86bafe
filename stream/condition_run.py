"""A time in which a condition has held, of one person or of the scene, and the event that tells of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stream.events import event_id
from stream.rulebook import Condition
from stream.types import NANOSECONDS, EndReason, Event, EventKind, Phase

UPDATE_S = 60.0
"""At most one update of an event in this time: what a condition tells of may last for hours."""


@dataclass(slots=True)
class ConditionRun:
    """One run of frames in which a condition held, with no break of `hold_s`.

    Attributes:
        condition: what holds.
        source, track: of whom; `NO_TRACK` for the scene.
        salt: mixed into the event's id.
        since: capture time of its first frame, in ns.
        last: that of the newest frame in which it held.
        event: what was told last of it; None until it has held for `for_s`.
        why: what its end is to say, should it hold no more.
    """

    condition: Condition
    source: str
    track: int
    salt: str
    since: int
    last: int
    event: Event | None = None
    why: EndReason = EndReason.BELOW_EXIT
    _sent: int = 0

    def hold(self, t: int, score: float, margin: float) -> list[Event]:
        """It holds at time `t`; returns the start of its event if it is time, or an update."""
        self.last, self.why = t, EndReason.BELOW_EXIT
        if self.event is None:
            if t - self.since < self.condition.for_s * NANOSECONDS:
                return []
            self.event = self._start(t, score, margin)
        else:
            peak = max(self.event.peak, score)
            self.event = replace(self.event, phase=Phase.UPDATE, t=t, score=score, peak=peak, margin=margin)
            if t - self._sent < UPDATE_S * NANOSECONDS:
                return []
        self._sent = t
        return [self.event]

    def broken(self, t: int) -> bool:
        """Whether it has not held for so long that it is over."""
        return t - self.last >= self.condition.hold_s * NANOSECONDS

    def move(self, t: int, track: int) -> list[Event]:
        """The person goes on as another track; returns the update that tells so."""
        self.track = track
        if self.event is None:
            return []
        self._sent = t
        self.event = replace(self.event, phase=Phase.UPDATE, t=max(t, self.event.t), track=track)
        return [self.event]

    def end(self, t: int, reason: EndReason) -> list[Event]:
        """Nothing more comes: the end of its event, if there is one."""
        if self.event is None:
            return []
        return [replace(self.event, phase=Phase.END, t=max(t, self.event.t), t_end=self.last, reason=reason)]

    def _start(self, t: int, score: float, margin: float) -> Event:
        condition = self.condition
        return Event(
            id=event_id(self.salt, self.source, self.track, condition.name, self.since),
            phase=Phase.START,
            kind=EventKind.ACTION,
            severity=condition.severity,
            source=self.source,
            track=self.track,
            name=condition.name,
            prompt=condition.text,
            t=t,
            t_start=self.since,
            t_end=None,
            score=score,
            peak=score,
            margin=margin,
            reason=None,
        )
