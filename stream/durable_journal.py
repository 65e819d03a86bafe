"""The journal that outlives the publisher: memory for what is recent, a file for everything.

A file that cannot be written loses nothing: what comes is published from memory, told to be not durable, and written as
soon as that works again. Only if the publisher dies before that is it gone, which the numbers then tell. A disk that
does not answer counts as one that cannot be written, after a while.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from stream.journal import Journal, JournalError, Missing, Page
from stream.journal_file import LostJournal
from stream.journal_store import JournalStore, Row
from stream.journal_thread import Job, JournalThread
from stream.journal_work import Outcome, Past, bring_up, guarded
from stream.messages import Message, decode_body
from stream.structs import Data, Envelope, EventData
from stream.topics import JOURNALED, Kind

BACKLOG = 20_000
"""Messages kept in memory while the file cannot be written; of more the oldest are lost to later starts."""
SLICE = 1_000
"""Messages of one commit at most: what waited for the disk for long is written bit by bit."""
PATIENCE_S = 2.0
"""Seconds that everybody waits for the disk, once; shorter than subscribers wait for heartbeats."""
START_PATIENCE_S = 20.0
"""Seconds that a start waits, which reads all of the file."""
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 16.0
PRUNE_S = 60.0
"""Seconds between two looks for messages that have become too old."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class DurableJournal(Journal):
    """A journal in memory and in a file; see `Journal`. In use until `close`.

    What is appended is committed with the next `commit`, all of it at once: the busier the publisher, the more messages
    share one write to the disk. One thread does it, and everything else with the file; `commit` waits for it, but not
    longer than `patience_s`.

    Args:
        store: the file, not yet open; nothing else may use it.
        run: of the daemon: the events that another run left open have nobody who will end them. Without a name each
            start is a run.
        clock: monotonic, s.
        patience_s: how long the disk may take.
    """

    def __init__(
        self,
        store: JournalStore,
        run: str = "",
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__()
        self._store = store
        self._run = run
        self._clock = clock
        self._patience_s = patience_s
        self._thread = JournalThread()
        self._backlog: deque[Row] = deque(maxlen=BACKLOG)
        self._taken: tuple[str, int] | None = None
        """What `note` was told, or an earlier start; None as long as nobody said anything."""
        self._early: SimpleQueue[Past] = SimpleQueue()
        """What the thread found, while it still searches the file for damage."""
        self._job: Job[Outcome[Any]] | None = None
        """What the thread is at, since when, and what it writes."""
        self._since = 0.0
        self._rows: list[Row] = []
        self._marked: tuple[str, int] | None = None
        self._hung = self._set_aside = False
        self._fresh = self._looked_back = self._others = False
        self._nameless = self._adopted = self._naming = False
        """Whether the file does not name this run yet, whether it may, and whether it is being written."""
        self._left: list[Envelope[Data]] = []
        self._retry_at = self._prune_at = 0.0
        self._pause = FIRST_RETRY_S

    @property
    def durable(self) -> bool:
        """Whether what is committed outlives this process."""
        return not self.trouble

    @property
    def uncommitted(self) -> bool:
        """Whether something was appended that must not be sent before `commit`."""
        return self._fresh

    def begin(self, epoch: str) -> None:
        """Start an epoch, and learn what earlier ones left open."""
        super().begin(epoch)
        self._write(START_PATIENCE_S)

    def append(self, message: Message) -> None:
        """Keep a message, in memory until `commit`; of another kind than `JOURNALED` it is ignored."""
        super().append(message)
        if message.topic.kind in JOURNALED:
            self._backlog.append(_row(message.topic.kind, message.envelope, message.body))
            self._fresh = True

    def note(self, run: str, number: int) -> None:
        """Note which event of a worker was the last one that something was appended of."""
        self._taken = run, number

    def commit(self) -> None:
        """Write what was appended; where that fails it is tried again, later and later, and nothing else suffers."""
        self._fresh = False
        if not self._settle(0.0):
            return
        now = self._clock()
        if (now >= self._retry_at) if self.trouble else self._unwritten:
            self._write(0.0 if self._hung else self._patience_s)
        if now >= self._prune_at and not self.trouble:
            self._prune_at = now + PRUNE_S
            self._use(self._store.prune)

    def take_left(self) -> tuple[list[Envelope[Data]], bool]:
        """Return, once, the last messages of the events that earlier starts left open, and whether of another run."""
        left, self._left = self._left, []
        return left, self._others

    def adopt(self) -> None:
        """Note that what other runs left open has been ended; committed with what was appended for that."""
        self._adopted = self._looked_back and not self._left

    def after(self, kind: Kind, seq: int, limit: int, max_bytes: int, epoch: str | None = None) -> Page | Missing:
        """Return the messages of a kind that follow a number; see `Journal.after`."""
        own = epoch in (None, self.epoch)
        if own and isinstance(page := super().after(kind, seq, limit, max_bytes), Page):
            return page
        return self._read(lambda: self._store.after(kind, seq, limit, max_bytes, epoch or self.epoch))

    def newest(self, epoch: str, kind: Kind) -> int:
        """Return the newest number that is known of a kind in an epoch, 0 if there is none."""
        if epoch == self.epoch:
            return super().newest(epoch, kind)
        return self._read(lambda: self._store.newest(epoch, kind))

    def next_epoch(self, epoch: str) -> str:
        """Return the epoch that followed a former one, or the oldest known where that one is not known."""
        return "" if epoch == self.epoch else self._read(lambda: self._store.next_epoch(epoch)) or self.epoch

    def close(self) -> None:
        """Write what is left, if that works now, and close the file."""
        left = len(self._backlog) + 1
        while self._settle(self._patience_s) and self._unwritten and len(self._backlog) < left:
            left = len(self._backlog)
            self._write(self._patience_s)
        self._thread.submit(self._store.close).wait(0.0 if self._job else self._patience_s)

    @property
    def _unwritten(self) -> bool:
        noted = self._taken is not None and self._taken != self.committed
        return bool(self._backlog) or noted or (self._nameless and self._adopted)

    def _read(self, read: Callable[[], T]) -> T:
        if not self.trouble and (outcome := self._use(read)) is not None and outcome.error is None:
            return cast("T", outcome.value)
        raise JournalError(f"cannot be read now ({self.trouble}); ask again")

    def _use(self, action: Callable[[], T]) -> Outcome[T] | None:
        """Do something else with the file; None if that takes too long, and goes on."""
        self._since = time.monotonic()
        job = self._thread.submit(partial(guarded, self._store, action))
        if not job.wait(self._patience_s):
            self._job = job
            self._hang()
            return None
        outcome = job.result()
        if outcome.error is not None:
            self._fail(outcome.error, outcome.aside)
        return outcome

    def _write(self, patience_s: float) -> None:
        """Bring the file up to date with what was appended."""
        self._set_aside = False
        self._hand_over(patience_s)
        if self._set_aside:  # a new one can be begun at once
            self._hand_over(patience_s)
        while self._job is None and self._backlog and not self.trouble:
            self._hand_over(patience_s)

    def _hand_over(self, patience_s: float) -> None:
        self._rows = [self._backlog.popleft() for _ in range(min(len(self._backlog), SLICE))]
        self._marked = None if self._backlog else self._taken
        self._naming = self._nameless and self._adopted and not self._backlog
        run = self._run if self._naming else None
        self._since = time.monotonic()
        unended = list(self._open.items()) if self.trouble else []
        action = partial(bring_up, self._store, self.epoch, self._rows, self._marked, run, unended, self._early.put)
        self._job = self._thread.submit(partial(guarded, self._store, action))
        self._settle(patience_s)

    def _settle(self, patience_s: float) -> bool:
        """Take in what the thread did last; False if it is still at it."""
        if self._job is None:
            return True
        if not self._job.wait(patience_s):
            if not self._early.empty():
                self._look_back(self._early.get(), self._rows)
            self._hang()
            return False
        outcome, self._job = self._job.result(), None
        rows, self._rows = self._rows, []
        marked, self._marked = self._marked, None
        naming, self._naming = self._naming, False
        if outcome.error is not None:
            self._backlog = deque([*rows, *self._backlog], BACKLOG)
            self._hung = False
            self._fail(outcome.error, outcome.aside)
            return True
        if isinstance(outcome.value, Past):
            self._look_back(outcome.value, rows)
        self.committed = marked or self.committed
        self._nameless = self._nameless and not naming
        late = self._hung and time.monotonic() - self._since > self._patience_s
        if self.trouble and (late or self._backlog):
            self._retry_at = self._clock()  # well is what answers in time, and has everything
            return True
        if self.trouble:
            log.warning("%s: the journal works again", self._store.path)
        self.trouble, self._pause, self._hung = "", FIRST_RETRY_S, False
        return True

    def _look_back(self, past: Past, rows: Sequence[Row]) -> None:
        """Take note of what earlier starts left; once, as soon as the file can be read."""
        if self._looked_back:
            return
        self._looked_back = True
        if self._taken is None and past.taken[0]:
            self._taken = self.committed = past.taken
        self._others = self._nameless = not self._run or past.run != self._run
        known = {row.event for row in (*rows, *self._backlog)} | set(self._open)
        left = {event: body for event, body in past.left if event not in known}
        self._open = left | self._open
        self._left = [decode_body(body) for body in left.values()]

    def _hang(self) -> None:
        """Note that the disk does not answer; nobody waits for it any more until it does."""
        if not self._hung:
            self._hung = True
            self._note_trouble(f"the disk has not answered for {time.monotonic() - self._since:.0f} s")

    def _fail(self, error: sqlite3.Error | OSError, aside: Path | None) -> None:
        """Note that the file cannot be used; where it is damaged or deleted, have a new one begun with all there is."""
        if aside is not None:
            self._set_aside = True
            self.broken = f"the journal was damaged ({error}); it was set aside as {aside.name}, and a new one begun"
            log.error("%s: %s", self._store.path, self.broken)
        if aside is not None or isinstance(error, LostJournal):
            self._backlog.clear()
            self._backlog.extend(self._kept_rows())
            self.committed = "", 0
            self._nameless = True
        self._note_trouble(str(error))
        self._retry_at = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_RETRY_S)

    def _note_trouble(self, what: str) -> None:
        if not self.trouble:
            log.error("%s: the journal cannot be written (%s); what comes is not durable", self._store.path, what)
        self.trouble = f"{self._store.path.name}: {what}"

    def _kept_rows(self) -> list[Row]:
        """What memory has of this epoch, in the order of publishing."""
        kept = [(order, kind, body) for kind, kept in self._kept.items() for _, body, order in kept]
        return [_row(kind, decode_body(body), body) for _, kind, body in sorted(kept)]


def _row(kind: str, envelope: Envelope[Data], body: bytes) -> Row:
    data = envelope.data
    if not isinstance(data, EventData):
        return Row(kind, envelope.seq, envelope.t_pub, body)
    return Row(kind, envelope.seq, envelope.t_pub, body, data.id, data.phase == "end")
