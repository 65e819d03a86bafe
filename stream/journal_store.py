"""The file that a journal is kept in: SQLite, every commit on the disk before it counts.

One connection in one thread (see `stream.journal_thread`), which holds the file alone (SQLite before 3.51.3 could lose
a WAL that two connections reset at once). Every method raises `sqlite3.Error` or `OSError` where the file cannot be
used; see `stream.durable_journal` for what becomes of the messages then.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from stream.journal import Missing, Page
from stream.journal_file import LostJournal, Place, Transaction, connect, place_of, search

KEEP_EVENTS = 50_000
KEEP_DAYS = 30.0
DAY_S = 86_400.0

_SLACK = 100
"""Messages above `keep_events` before the oldest are deleted, many at once."""
_SLICE = 1_000
"""Messages of a kind that are deleted in one commit, so that none takes long."""
_EPOCHS = 1_000
"""Epochs remembered of which no message is left."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message.

    Attributes:
        kind, seq: its number.
        t: when it was published, s.
        body: its JSON.
        event: the id of its event, if it is of one.
        ended: whether that has ended with it.
    """

    kind: str
    seq: int
    t: float
    body: bytes
    event: str | None = None
    ended: bool = False


class JournalStore:
    """The file. Not open at first.

    Args:
        path: the file; its folder must exist when it is first opened, and is made anew where it is deleted later.
        keep_events: messages kept of each kind, and a few more until they are deleted.
        keep_days: days that they are kept by the wall clock; those of this start for that long in any case, so that
            setting the clock destroys nothing that is new.
        clock: wall clock, s.
    """

    def __init__(
        self,
        path: Path,
        keep_events: int = KEEP_EVENTS,
        keep_days: float = KEEP_DAYS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._keep_events, self._keep_s = keep_events, keep_days * DAY_S
        self._clock = clock
        self._started = time.monotonic()
        self._db: sqlite3.Connection | None = None
        self._epoch = 0
        self._counts: dict[str, int] = {}
        self._checked = False
        self._place: Place | None = None
        """Of the files that were opened last."""

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._db is not None

    def open(self, epoch: str, look: Callable[[], None] | None = None) -> None:
        """Open the file, or make it, and note that this epoch has begun.

        Args:
            epoch: the name of this start.
            look: called as soon as the file can be read, and before all of it is, in search of damage.

        Raises:
            BrokenJournal: it is damaged or something else.
        """
        if self._place is not None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = self._db = connect(self.path, check=False)
        try:
            if look is not None:
                look()
            if not self._checked:
                search(db)
                self._checked = True
            with Transaction(db):
                db.execute("INSERT OR IGNORE INTO epochs(epoch) VALUES (?)", (epoch,))
                (self._epoch,) = db.execute("SELECT number FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
                old = self._epoch - _EPOCHS
                for table, column in (("pruned", "epoch"), ("epochs", "number")):
                    empty = f"{column} < ? AND {column} NOT IN (SELECT epoch FROM messages)"
                    db.execute(f"DELETE FROM {table} WHERE {empty}", (old,))
            self._counts = dict(db.execute("SELECT kind, count(*) FROM messages GROUP BY kind"))
            self._place = place_of(self.path)
        except BaseException:
            self.close()
            raise

    def write(self, rows: Sequence[Row], taken: tuple[str, int] | None = None, run: str | None = None) -> None:
        """Commit messages, all or none; delete the oldest where there are too many.

        Messages that an attempt which failed has committed nevertheless may be given again.

        Args:
            rows: the messages.
            taken: see `taken`; None where that is as it was.
            run: see `run`; None likewise.

        Raises:
            LostJournal: the file was deleted or replaced, without which SQLite would go on as if nothing were wrong.
        """
        db = self._in_place()
        with Transaction(db):
            if taken is not None:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('taken', ?)", (f"{taken[1]} {taken[0]}",))
            if run is not None:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('run', ?)", (run,))
            db.executemany(
                "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?)",
                [(row.kind, self._epoch, row.seq, row.t, row.body) for row in rows],
            )
            for row in rows:
                if row.event is None:
                    continue
                db.execute("DELETE FROM open_events WHERE id = ?", (row.event,))
                if not row.ended:
                    db.execute("INSERT INTO open_events(id, body) VALUES (?, ?)", (row.event, row.body))
        for row in rows:
            self._counts[row.kind] = self._counts.get(row.kind, 0) + 1
        if any(count > self._keep_events + _SLACK for count in self._counts.values()):
            self.prune()

    def prune(self) -> None:
        """Delete what is past retention, the oldest first, at most `_SLICE` of a kind; to be called now and then.

        Raises:
            LostJournal: see `write`.
        """
        db = self._in_place()
        oldest_kept = self._clock() - self._keep_s
        spared = self._epoch if time.monotonic() - self._started < self._keep_s else self._epoch + 1
        for kind, count in self._counts.items():
            excess = count - self._keep_events
            last: dict[int, int] = {}
            found = 0
            query = "SELECT epoch, seq, t FROM messages WHERE kind = ? ORDER BY epoch, seq LIMIT ?"
            for epoch, seq, t in db.execute(query, (kind, _SLICE)):
                if found >= excess and (t >= oldest_kept or epoch >= spared):
                    break
                last[epoch] = seq
                found += 1
            if not last:
                continue
            with Transaction(db):
                for epoch, seq in last.items():
                    db.execute("DELETE FROM messages WHERE kind = ? AND epoch = ? AND seq <= ?", (kind, epoch, seq))
                    db.execute("INSERT OR REPLACE INTO pruned VALUES (?, ?, ?)", (kind, epoch, seq))
            self._counts[kind] -= found

    def after(self, kind: str, seq: int, limit: int, max_bytes: int, epoch: str) -> Page | Missing:
        """Return a page as `Journal.after` does."""
        db = self._opened()
        number = self._number(epoch)
        if number is None:
            return Missing(0)
        query = "SELECT seq, body FROM messages WHERE kind = ? AND epoch = ? AND seq > ? ORDER BY seq LIMIT ?"
        messages: list[bytes] = []
        size = 0
        with closing(db.execute(query, (kind, number, seq, limit + 1))) as rows:
            for found, body in rows:
                size += len(body)
                if found != seq + 1 + len(messages) and not messages:
                    return Missing(found)
                if found != seq + 1 + len(messages) or len(messages) >= limit or (messages and size > max_bytes):
                    return Page(messages, True)
                messages.append(body)
        if not messages and seq < (last := self._last_pruned(kind, number)):
            return Missing(last + 1)
        return Page(messages, False)

    def newest(self, epoch: str, kind: str) -> int:
        """Return the newest number that is known of a kind in an epoch."""
        number = self._number(epoch)
        if number is None:
            return 0
        query = "SELECT max(seq) FROM messages WHERE kind = ? AND epoch = ?"
        (kept,) = self._opened().execute(query, (kind, number)).fetchone()
        return max(kept or 0, self._last_pruned(kind, number))

    def next_epoch(self, epoch: str) -> str:
        """Return the epoch after one, or the oldest one after all of whose predecessors nothing is known."""
        query = "SELECT epoch FROM epochs WHERE number > ? ORDER BY number LIMIT 1"
        found = self._opened().execute(query, (self._number(epoch) or 0,)).fetchone()
        return str(found[0]) if found else ""

    def open_events(self) -> list[tuple[str, bytes]]:
        """Return id and last message of each event that has not ended, the least recently changed first.

        Whatever was stored as a message comes as bytes, which need not be one.
        """
        return list(self._opened().execute("SELECT id, CAST(body AS BLOB) FROM open_events ORDER BY number"))

    def drop_open(self, events: Sequence[str]) -> None:
        """Forget events that have not ended, by their ids."""
        db = self._opened()
        with Transaction(db):
            db.executemany("DELETE FROM open_events WHERE id = ?", [(event,) for event in events])

    def keep_open(self, events: Sequence[tuple[str, bytes]]) -> None:
        """Add events that have not ended, of which the file knows nothing; see `open_events`."""
        db = self._opened()
        with Transaction(db):
            db.executemany("INSERT OR IGNORE INTO open_events(id, body) VALUES (?, ?)", events)

    def taken(self) -> tuple[str, int]:
        """Return the worker whose events were written last, and the number of the last one; empty and 0 for none."""
        number, _, run = self._meta("taken").partition(" ")
        return (run, int(number)) if number.isdecimal() else ("", 0)

    def run(self) -> str:
        """Return the run of the daemon whose open events these are, empty if there was none."""
        return self._meta("run")

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):  # of a disk that is full or gone; what was committed is committed
                db.close()

    def set_aside(self) -> Path:
        """Rename the closed file, in place of one that was set aside before, and return its new path."""
        aside = self.path.with_name(self.path.name + ".corrupt")
        for suffix in ("", "-wal"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.replace(aside.with_name(aside.name + suffix))
        self._checked = False
        return aside

    def _meta(self, name: str) -> str:
        found = self._opened().execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    def _number(self, epoch: str) -> int | None:
        found = self._opened().execute("SELECT number FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
        return int(found[0]) if found else None

    def _last_pruned(self, kind: str, epoch: int) -> int:
        query = "SELECT last FROM pruned WHERE kind = ? AND epoch = ?"
        found = self._opened().execute(query, (kind, epoch)).fetchone()
        return int(found[0]) if found else 0

    def _in_place(self) -> sqlite3.Connection:
        db = self._opened()
        if place_of(self.path) != self._place:
            self._checked = False  # what is there now may be anything
            raise LostJournal("its file was deleted or replaced; a new one is begun")
        return db

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.ProgrammingError("the journal is not open")
        return self._db
