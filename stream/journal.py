"""What the publisher keeps of what it published, for subscribers that missed some or come late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from stream.errors import PosewireError
from stream.messages import Message
from stream.structs import Data, Envelope, EventData
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
        first: number of the oldest message after it that is (one above the newest number where all are gone); 0 where
            nothing is known of the epoch.
    """

    first: int


class JournalError(PosewireError):
    """The journal cannot be read now."""


class Journal:
    """Journal in memory, bounded: a restart of the publisher forgets it, so it is not durable.

    The publisher appends a message, commits, and only then sends it; `stream.durable_journal` keeps this interface and
    commits to a file. Not thread safe.

    Args:
        retention: messages kept of each kind.

    Attributes:
        epoch: of the messages that are appended.
        trouble: why what is appended is not durable though it should be; empty if it is.
        broken: what became of a damaged file, for people; whoever tells of it empties it.
        committed: name of the worker whose events were appended last, and the number of the last one that is committed
            (see `stream.daemon.outbox`); empty and 0 for none.
    """

    def __init__(self, retention: int = RETENTION) -> None:
        self.epoch = self.trouble = self.broken = ""
        self.committed = "", 0
        self._kept: dict[str, deque[tuple[int, bytes, int]]] = {kind: deque(maxlen=retention) for kind in JOURNALED}
        """By kind: number, body, and how many messages of all kinds there were before."""
        self._appended = 0
        self._open: dict[str, bytes] = {}
        self.open_dropped = 0
        """Open events forgotten because there were more than `OPEN_LIMIT`."""

    @property
    def durable(self) -> bool:
        """Whether what is committed outlives this process."""
        return False

    @property
    def uncommitted(self) -> bool:
        """Whether something was appended that must not be sent before `commit`."""
        return False

    def begin(self, epoch: str) -> None:
        """Start an epoch; called once, before anything is appended."""
        self.epoch = epoch

    def commit(self) -> None:
        """Make durable what was appended, as far as that is possible; in memory there is nothing to do."""

    def note(self, run: str, number: int) -> None:
        """Note that what was appended came of this event of a worker and those before it; committed together."""
        self.committed = run, number

    def take_left(self) -> tuple[list[Envelope[Data]], bool]:
        """Return, once, the last messages of the events that earlier starts left open, and whether of another run."""
        return [], False

    def adopt(self) -> None:
        """Note that what other runs left open has been ended."""

    def close(self) -> None:
        """Write what is left, if that works, and let go of the file."""

    def append(self, message: Message) -> None:
        """Keep a message; of another kind than `JOURNALED` it is ignored."""
        kept = self._kept.get(message.topic.kind)
        if kept is None:
            return
        kept.append((message.envelope.seq, message.body, self._appended))
        self._appended += 1
        data = message.envelope.data
        if isinstance(data, EventData):
            self._open.pop(data.id, None)
            if data.phase != "end":
                self._open[data.id] = message.body
            if len(self._open) > OPEN_LIMIT:
                del self._open[next(iter(self._open))]
                self.open_dropped += 1

    def next_epoch(self, epoch: str) -> str:
        """Return the epoch that followed a former one, or the oldest known where that one is not known."""
        return "" if epoch == self.epoch else self.epoch

    def newest(self, epoch: str, kind: Kind) -> int:
        """Return the newest number that is known of a kind in an epoch, 0 if there is none."""
        kept = self._kept[kind]
        return kept[-1][0] if kept and epoch == self.epoch else 0

    def after(self, kind: Kind, seq: int, limit: int, max_bytes: int, epoch: str | None = None) -> Page | Missing:
        """Return the messages of a kind in `JOURNALED` that follow number `seq`.

        Args:
            kind: which numbers.
            seq: the last number that the asker has, 0 for none.
            limit: messages at most.
            max_bytes: bytes at most, but always one message.
            epoch: whose numbers; None for the current one.

        Raises:
            JournalError: they are kept and cannot be read now.
        """
        if epoch not in (None, self.epoch):
            return Missing(0)
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
