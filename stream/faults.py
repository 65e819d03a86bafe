"""From the states of cameras to fault events: one that stays away too long is an alarm until it is back.

Pure: told what happened and what time it is. All times are ns on a clock that never jumps back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from stream.events import event_id
from stream.types import NANOSECONDS, NO_TRACK, EndReason, Event, EventKind, Phase, Severity

CAMERA_LOST = "camera-lost"
"""Name of the event, last level of its topic."""
RUNNING = "running"
DOWN = ("lost", "error", "faulted")
"""States of a source that gives no frames and should."""
TEXT_LIMIT = 500
"""Characters of a state's detail that the event repeats."""


@dataclass(slots=True)
class _Away:
    """A source that is down: since when, why, and the event once there is one."""

    since: int
    detail: str
    event: Event | None = None


class FaultWatch:
    """Watches over live sources; a recorded file that ends is no fault, so it is not told of those.

    The events are alerts: in alarm systems a fault stands below what it keeps the system from seeing.

    Args:
        sources: names of the live ones; states of others are ignored.
        fault_after_s: seconds that a source may be down before it is a fault.
        salt: sets the event ids of one run apart from those of others.
    """

    def __init__(self, sources: Iterable[str], fault_after_s: float, *, salt: str = "") -> None:
        self._sources = frozenset(sources)
        self._patience = round(fault_after_s * NANOSECONDS)
        self._salt = salt
        self._away: dict[str, _Away] = {}

    def status(self, source: str, state: str, detail: str, t: int) -> list[Event]:
        """Take note of a source's state at time `t`; returns the end of its fault if it is back."""
        if source not in self._sources:
            return []
        away = self._away.get(source)
        if state in DOWN:
            if away is None:
                self._away[source] = _Away(t, detail)
            elif away.event is None:
                away.detail = detail or away.detail
            return self.tick(t)
        if state != RUNNING and away is not None and away.event is not None:
            return []  # it was stopped while it was lost: that does not bring it back
        self._away.pop(source, None)
        if away is None or away.event is None:
            return []
        return [_ended(away.event, t, EndReason.RECOVERED)]

    def tick(self, t: int) -> list[Event]:
        """Return the faults that begin by time `t`: to be called every now and then."""
        events = []
        for source, away in self._away.items():
            if away.event is None and t - away.since >= self._patience:
                away.event = self._begun(source, away, t)
                events.append(away.event)
        return events

    def end_all(self, t: int, reason: EndReason) -> list[Event]:
        """End all faults, as nobody watches any more."""
        events = [_ended(away.event, t, reason) for away in self._away.values() if away.event is not None]
        self._away.clear()
        return events

    def _begun(self, source: str, away: _Away, t: int) -> Event:
        why = f": {away.detail[:TEXT_LIMIT]}" if away.detail else ""
        return Event(
            id=event_id(self._salt, source, NO_TRACK, CAMERA_LOST, away.since),
            phase=Phase.START,
            kind=EventKind.FAULT,
            severity=Severity.ALERT,
            source=source,
            track=NO_TRACK,
            name=CAMERA_LOST,
            prompt=f"the camera is lost{why}",
            t=t,
            t_start=away.since,
            t_end=None,
            score=1.0,
            peak=1.0,
            margin=0.0,
            reason=None,
        )


def _ended(event: Event, t: int, reason: EndReason) -> Event:
    return replace(event, phase=Phase.END, t=t, t_end=t, reason=reason)
