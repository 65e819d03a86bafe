"""The worker's events on their way to the publisher: kept until they are in the journal, sent again when it was killed.

Each has a number, and names the one kept before it, so that the publisher sees a hole and asks for what follows its
last one; it takes each once and in order (see `stream.daemon.intake`). Only if the publisher stays away for very long
is something dropped, what matters least first, and that is counted.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from dataclasses import dataclass

import zmq

from stream.daemon.child import waits
from stream.daemon.links import decode_taken, encode, numbered
from stream.types import Event, Phase, Severity

LIMIT = 10_000
"""Events kept: some minutes of a flood, months of a quiet place; some 10 MB."""
_ROOM = 0.1
"""Share that is dropped at once, as sorting out what matters takes time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An event that may have to be sent again.

    Attributes:
        worth: what is worth less is dropped first.
        body: it, encoded.
    """

    worth: int
    body: bytes


class Outbox:
    """Events on their way. `hear` and `flush` are called often; neither waits.

    Args:
        socket: DEALER socket to the publisher, its routing id another one for each worker.
        limit: events kept at most.
    """

    def __init__(self, socket: zmq.Socket[bytes], limit: int = LIMIT) -> None:
        self._socket = socket
        self._limit = limit
        self._kept: dict[int, _Kept] = {}
        self._unsent: deque[int] = deque()
        self._number = self._taken = self._previous = self._lost = 0

    @property
    def told(self) -> int:
        """Number of the last event that was given, or is kept where newer ones were dropped."""
        return next(reversed(self._kept), self._number)

    @property
    def settled(self) -> int:
        """Of the events up to this number none is kept any more."""
        return next(iter(self._kept), self._number + 1) - 1

    @property
    def all_taken(self) -> bool:
        """Whether the publisher has taken everything."""
        return self._taken >= self.told

    def put(self, event: Event) -> None:
        """Keep an event, and send it."""
        self._number += 1
        self._kept[self._number] = _Kept(_worth(event), encode(event)[1])
        self._unsent.append(self._number)
        if len(self._kept) > self._limit:
            self._drop()
        self.flush()

    def flush(self) -> None:
        """Send what waits to be sent, as much of it as the socket takes."""
        while self._unsent:
            number = self._unsent[0]
            kept = self._kept.get(number)
            if kept is not None:
                previous = self._previous if self._previous in self._kept else 0
                try:
                    self._socket.send_multipart(numbered(kept.body, previous, number), zmq.NOBLOCK)
                except zmq.Again:
                    return
                self._previous = number
            self._unsent.popleft()

    def hear(self) -> None:
        """Take in what the publisher says."""
        while waits(self._socket):
            said = decode_taken(self._socket.recv())
            self._taken = said.number
            while self._kept and (oldest := next(iter(self._kept))) <= said.committed:
                del self._kept[oldest]
            if said.again:
                self._unsent = deque(number for number in self._kept if number > said.number)
                self._look_back()

    def take_lost(self) -> int:
        """Return how many events were lost since the last call; 0 as long as there is no room to tell of it."""
        if 2 * len(self._kept) > self._limit:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def _drop(self) -> None:
        """Make room: what was published though not committed goes first, then updates, then what is not critical."""
        order = sorted(self._kept, key=lambda number: (number > self._taken, self._kept[number].worth))
        for number in order[: max(int(_ROOM * self._limit), 1)]:
            del self._kept[number]
            if number > self._taken:
                if not self._lost:
                    log.error("the publisher is away for too long: events are lost")
                self._lost += 1
        self._unsent = deque(number for number in self._unsent if number in self._kept)
        self._look_back()

    def _look_back(self) -> None:
        """Find the number before the first that waits to be sent."""
        first = self._unsent[0] if self._unsent else self._number + 1
        self._previous = max((number for number in self._kept if number < first), default=0)


def connect(context: zmq.Context[zmq.Socket[bytes]], linger_ms: int) -> zmq.Socket[bytes]:
    """Return a socket for an outbox, not yet connected: 10,000 messages wait in it while the publisher restarts."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, secrets.token_hex(8).encode())
    socket.setsockopt(zmq.SNDHWM, 10_000)
    socket.setsockopt(zmq.LINGER, linger_ms)
    return socket


def _worth(event: Event) -> int:
    """What a publisher can least make up for: an update is followed by another one, or by the end."""
    if event.phase is Phase.UPDATE:
        return 0
    return 2 if event.severity is Severity.CRITICAL else 1
