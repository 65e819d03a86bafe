"""Which of the worker's events have not ended, over restarts of the worker and of the publisher.

Pure. Whatever was dropped on the way: each message has the full state of its event, and the worker says again and again
which events are open. So every event has one start and one end on the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from stream.types import EndReason, Event, Phase

GIVEN_UP = 1_000
"""Events remembered that were ended in place of their worker."""


class OpenEvents:
    """The worker's events as they were last published. Methods return what is to be published."""

    def __init__(self) -> None:
        self._open: dict[str, Event] = {}
        self._given_up: deque[str] = deque(maxlen=GIVEN_UP)

    def __contains__(self, event: str) -> bool:
        return event in self._open

    def restore(self, event: Event) -> None:
        """Go on with an event that an earlier publisher told of; the worker will say if it has ended."""
        self._open.setdefault(event.id, event)

    def take(self, event: Event) -> list[Event]:
        """Take in what the worker tells; a start that was dropped is made up for.

        Of an event that was ended as its worker died, what this worker had still said of it is ignored.
        """
        if event.id in self._given_up:
            return []
        known = event.id in self._open
        self._open.pop(event.id, None)
        if event.phase is not Phase.END:
            self._open[event.id] = event
        if known or event.phase is Phase.START:
            return [event]
        start = replace(event, phase=Phase.START, t_end=None, reason=None)
        return [start, event] if event.phase is Phase.END else [start]

    def reconcile(self, told: Iterable[Event]) -> list[Event]:
        """Take in all events that a worker has open: others have nobody any more who would end them."""
        open_now = {event.id: event for event in told}
        ended = [event for key, event in self._open.items() if key not in open_now]
        begun = [event for key, event in open_now.items() if key not in self._open]
        return [*map(self._crashed, ended), *(each for event in begun for each in self.take(event))]

    def end_all(self, reason: EndReason) -> list[Event]:
        """End everything that is open."""
        ended = [end(event, reason) for event in self._open.values()]
        self._open.clear()
        return ended

    def _crashed(self, event: Event) -> Event:
        del self._open[event.id]
        self._given_up.append(event.id)
        return end(event, EndReason.CRASH)


def end(event: Event, reason: EndReason) -> Event:
    """The end of an event of which nothing is known since it was last told of."""
    return replace(event, phase=Phase.END, t_end=event.t, reason=reason)
