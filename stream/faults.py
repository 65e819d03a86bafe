"""From states of cameras and of the journal to fault events: a camera that stays away too long is an alarm until it is
back.

Pure: told what happened and what time it is. All times are ns on a clock that never jumps back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from stream.events import event_id
from stream.types import NANOSECONDS, NO_TRACK, EndReason, Event, EventKind, Phase, Severity

CAMERA_LOST, JOURNAL_FAILED, JOURNAL_BROKEN = "camera-lost", "journal-failed", "journal-broken"
SINK_FAILED = "sink-failed"
EVENTS_LOST = "events-lost"
"""Names of the events, last levels of their topics."""
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
    """Watches over live sources and over sinks; a recorded file that ends is no fault, so it is not told of those.

    The events are alerts: in alarm systems a fault stands below what it keeps the system from seeing.

    Args:
        sources: names of the live ones; states of others are ignored.
        fault_after_s: seconds that a source may be down before it is a fault.
        salt: sets the event ids of one run apart from those of others.
        sinks: what is watched over in the same way.
    """

    def __init__(
        self, sources: Iterable[str], fault_after_s: float, *, salt: str = "", sinks: Iterable[str] = ()
    ) -> None:
        self._sources = dict.fromkeys(sources, CAMERA_LOST) | dict.fromkeys(sinks, SINK_FAILED)
        """By what is watched over, the name of its fault."""
        self._patience = round(fault_after_s * NANOSECONDS)
        self._salt = salt
        self._away: dict[str, _Away] = {}

    def restore(self, event: Event) -> bool:
        """Go on with a fault that an earlier process of this daemon told of; False if it is none of these."""
        if event.name != self._sources.get(event.source) or event.source in self._away:
            return False
        self._away[event.source] = _Away(event.t_start, "", event)
        return True

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
        name = self._sources[source]
        key = event_id(self._salt, source, NO_TRACK, name, away.since)
        text = "messages are not carried on" if name == SINK_FAILED else "the camera is lost"
        return _fault(key, source, name, f"{text}{why}", Severity.ALERT, away.since, t)


class JournalFault:
    """Watches over the journal: while it cannot be written, alarms do not outlive the publisher, which is critical.

    Args:
        node: name of the daemon, the source of these events.
        salt: sets the event ids of one run apart from those of others.
    """

    def __init__(self, node: str, *, salt: str = "") -> None:
        self._node, self._salt = node, salt
        self._event: Event | None = None

    def look(self, trouble: str, t: int) -> list[Event]:
        """Return the start or the end of the fault; `trouble` says what is wrong, if anything is."""
        event = self._event
        if trouble and event is None:
            text = f"alarms are not durable: {trouble[:TEXT_LIMIT]}"
            self._event = self._begun(JOURNAL_FAILED, text, t)
            return [self._event]
        if trouble or event is None:
            return []
        self._event = None
        return [_ended(event, t, EndReason.RECOVERED)]

    def broken(self, text: str, t: int) -> list[Event]:
        """Return the events that tell of a damaged journal; a new one is in its place, so they are over at once."""
        event = self._begun(JOURNAL_BROKEN, text[:TEXT_LIMIT], t)
        return [event, _ended(event, t, EndReason.RECOVERED)]

    def end(self, t: int, reason: EndReason) -> list[Event]:
        """End the fault, as nobody watches any more."""
        event, self._event = self._event, None
        return [] if event is None else [_ended(event, t, reason)]

    def _begun(self, name: str, text: str, t: int) -> Event:
        key = event_id(self._salt, self._node, NO_TRACK, name, t)
        return _fault(key, self._node, name, text, Severity.CRITICAL, t, t)


def events_lost(node: str, count: int, t: int, *, salt: str = "") -> list[Event]:
    """Return the events that tell of others which were lost on their way to the publisher; they are over at once.

    Args:
        node: name of the daemon, their source.
        count: how many messages of events.
        t: now.
        salt: sets the event ids of one run apart from those of others.
    """
    text = f"messages of events that were lost, as the publisher was away for too long: {count:,}"
    key = event_id(salt, node, NO_TRACK, EVENTS_LOST, t)
    event = _fault(key, node, EVENTS_LOST, text, Severity.CRITICAL, t, t)
    return [event, _ended(event, t, EndReason.RECOVERED)]


def _fault(key: str, source: str, name: str, text: str, severity: Severity, since: int, t: int) -> Event:
    return Event(
        id=key,
        phase=Phase.START,
        kind=EventKind.FAULT,
        severity=severity,
        source=source,
        track=NO_TRACK,
        name=name,
        prompt=text,
        t=t,
        t_start=since,
        t_end=None,
        score=1.0,
        peak=1.0,
        margin=0.0,
        reason=None,
    )


def _ended(event: Event, t: int, reason: EndReason) -> Event:
    return replace(event, phase=Phase.END, t=t, t_end=t, reason=reason)
