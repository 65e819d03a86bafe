"""Puts a subscriber's messages in order by their numbers, each exactly once, and knows which are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

HOLD = 10_000
"""Messages of a kind held while an earlier one is fetched; what comes beyond is fetched later too."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that were published and cannot be had: past retention, or there is nobody to ask.

    Attributes:
        epoch: the publisher's epoch.
        kind: whose numbers.
        first, last: the first and the last number missing; no last one where nobody knows how many there were, perhaps
            none, and perhaps more in later epochs.
    """

    epoch: str
    kind: str
    first: int
    last: int | None


@dataclass(slots=True)
class _Stream(Generic[T]):
    """One kind: everything up to `cursor` is done with; `held` came after a hole; `newest` is known to exist."""

    cursor: int | None
    floor: int | None = None
    newest: int = 0
    held: dict[int, T | None] = field(default_factory=dict)


class Sequencer(Generic[T]):
    """The numbers of one epoch. Pure: no sockets, no clock.

    Methods that return a list return what is now due, in order. None among the items passed in advances the numbers
    and is not returned (a message that a filter drops).

    Args:
        epoch: of the publisher.
        from_start: True after a restart of the publisher, when everything since number 1 is wanted; False for a
            subscriber that joins, which wants what follows the first thing it hears.
        cursors: by kind, the number up to which everything is done with, for a subscriber that goes on.
    """

    def __init__(self, epoch: str, *, from_start: bool = False, cursors: Mapping[str, int] | None = None) -> None:
        self.epoch = epoch
        self._start = 0 if from_start else None
        self._streams: dict[str, _Stream[T]] = {kind: _Stream(seq, newest=seq) for kind, seq in (cursors or {}).items()}

    def cursor(self, kind: str) -> int | None:
        """Return the number up to which everything of a kind is done with, None if none of it is wanted so far."""
        stream = self._stream(kind)
        return stream.floor if stream.cursor is None else stream.cursor

    def _stream(self, kind: str) -> _Stream[T]:
        return self._streams.setdefault(kind, _Stream(self._start))

    def snapshot(self, kind: str, seq: int) -> None:
        """Take note that a snapshot covers the kind up to `seq`: what follows it is wanted in any case."""
        stream = self._stream(kind)
        if stream.cursor is None:
            stream.floor = seq
        else:
            stream.newest = max(stream.newest, seq)

    def hear(self, kind: str, newest: int) -> None:
        """Take note of the newest number, as a heartbeat tells it."""
        self._begin(self._stream(kind), newest)

    def push(self, kind: str, seq: int, item: T | None) -> list[T | Gap]:
        """Take in a message, from the publisher or fetched; one that was there before is dropped."""
        stream = self._stream(kind)
        cursor = self._begin(stream, seq, before=1)
        if seq > cursor and (seq == cursor + 1 or len(stream.held) < HOLD):
            stream.held.setdefault(seq, item)
        return self._flush(stream)

    def holes(self) -> list[tuple[str, int]]:
        """Return the kinds of which something is missing, each with the number after which it is."""
        return [
            (kind, stream.cursor)
            for kind, stream in self._streams.items()
            if stream.cursor is not None and stream.newest > stream.cursor
        ]

    def skip(self, kind: str, last: int) -> list[T | Gap]:
        """Give up what is missing up to number `last`; what is there stays."""
        stream = self._stream(kind)
        cursor = stream.cursor = self.cursor(kind) or 0
        due: list[T | Gap] = []
        while cursor < last:
            end = min(min(stream.held, default=last + 1) - 1, last)
            due.append(Gap(self.epoch, kind, cursor + 1, end))
            stream.cursor = end
            due.extend(self._flush(stream))
            cursor = stream.cursor
        stream.newest = max(stream.newest, cursor)
        return due

    def give_up(self, kind: str) -> list[T | Gap]:
        """Give up everything of a kind that is missing now."""
        return self.skip(kind, self._stream(kind).newest)

    def _begin(self, stream: _Stream[T], seq: int, before: int = 0) -> int:
        """Raise `newest` to `seq` and return the cursor, set `before` under it if this is the first that is heard."""
        if stream.cursor is None:
            stream.cursor = seq - before if stream.floor is None else min(seq - before, stream.floor)
        stream.newest = max(stream.newest, seq)
        return stream.cursor

    def _flush(self, stream: _Stream[T]) -> list[T | Gap]:
        due: list[T | Gap] = []
        cursor = stream.cursor or 0
        while cursor + 1 in stream.held:
            cursor += 1
            item = stream.held.pop(cursor)
            if item is not None:
                due.append(item)
        stream.cursor = cursor
        return due
