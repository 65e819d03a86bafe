"""What the publisher keeps of what it published, for subscribers that missed some or come late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from stream.messages import Message
from stream.structs import EventData
from stream.topics import JOURNALED, Kind

RETENTION = 10_000
"""Messages kept of each kind (an event takes 0.6 to 0.9 kB)."""
OPEN_LIMIT = 1_000
"""Open events kept; more than that is a flood that no operator reads."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of what was published.

    Attributes:
        messages: JSON bodies, in order, the first one directly after the number asked for.
        more: whether newer ones are kept too.
    """

    messages: list[bytes]
    more: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """What was asked for is no longer kept.

    Attributes:
        first: number of the oldest message that is.
    """

    first: int


class Journal:
    """Journal in memory, bounded: a restart of the publisher forgets it, so `durable` is False.

    The publisher appends a message before it is sent and sends nothing that could not be appended; a durable journal
    keeps this interface and commits in `append`. Not thread safe.

    Args:
        retention: messages kept of each kind.
    """

    durable = False

    def __init__(self, retention: int = RETENTION) -> None:
        self._kept: dict[str, deque[tuple[int, bytes]]] = {kind: deque(maxlen=retention) for kind in JOURNALED}
        self._open: dict[str, bytes] = {}
        self.open_dropped = 0
        """Open events forgotten because there were more than `OPEN_LIMIT`."""

    def append(self, message: Message) -> None:
        """Keep a message; of another kind than `JOURNALED` it is ignored."""
        kept = self._kept.get(message.topic.kind)
        if kept is None:
            return
        kept.append((message.envelope.seq, message.body))
        data = message.envelope.data
        if isinstance(data, EventData):
            self._open.pop(data.id, None)
            if data.phase != "end":
                self._open[data.id] = message.body
            if len(self._open) > OPEN_LIMIT:
                del self._open[next(iter(self._open))]
                self.open_dropped += 1

    def after(self, kind: Kind, seq: int, limit: int, max_bytes: int) -> Page | Missing:
        """Return the messages of a kind in `JOURNALED` that follow number `seq`.

        Args:
            kind: which numbers.
            seq: the last number that the asker has, 0 for none.
            limit: messages at most.
            max_bytes: bytes at most, but always one message.
        """
        kept = self._kept[kind]
        if not kept or seq >= kept[-1][0]:
            return Page([], False)
        first = kept[0][0]
        if seq < first - 1:
            return Missing(first)
        messages: list[bytes] = []
        size = 0
        start = seq + 1 - first
        for index in range(start, len(kept)):  # numbers have no holes, so the index follows from the number
            body = kept[index][1]
            size += len(body)
            if messages and (len(messages) >= limit or size > max_bytes):
                return Page(messages, True)
            messages.append(body)
        return Page(messages, False)

    def open_events(self) -> list[bytes]:
        """Return the last message of each event that has not ended, the least recently changed first."""
        return list(self._open.values())
