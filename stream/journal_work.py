"""What the journal's thread does with the file, and what it tells of that; nothing here touches what is in memory."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from stream.journal_file import is_broken
from stream.journal_store import JournalStore, Row
from stream.messages import MessageError, decode_body
from stream.structs import EventData

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Past:
    """What a file holds of earlier starts.

    Attributes:
        run: of the daemon that last used it.
        left: id and last message of each event that has not ended.
        taken: see `Journal.committed`.
    """

    run: str
    left: list[tuple[str, bytes]]
    taken: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What came of a use of the file.

    Attributes:
        value: what it gave; None if it failed.
        error: why it failed; the file is then closed.
        aside: where it is now, if it was damaged.
    """

    value: T | None
    error: sqlite3.Error | OSError | None = None
    aside: Path | None = None


def guarded(store: JournalStore, action: Callable[[], T]) -> Outcome[T]:
    """Do something with the file, in its thread; where that fails, close it."""
    try:
        return Outcome(action())
    except (sqlite3.Error, OSError) as error:
        store.close()
        if not is_broken(error):
            return Outcome(None, error)
        try:
            return Outcome(None, error, store.set_aside())
        except OSError as fault:
            return Outcome(None, fault)


def bring_up(
    store: JournalStore,
    epoch: str,
    rows: Sequence[Row],
    taken: tuple[str, int] | None,
    run: str | None,
    unended: Sequence[tuple[str, bytes]] = (),
    tell: Callable[[Past], None] | None = None,
) -> Past | None:
    """Write to the file, in its thread; where it had to be opened first, return what it held before.

    Args:
        store: the file.
        epoch: of the rows.
        rows, taken, run: see `JournalStore.write`.
        unended: see `JournalStore.keep_open`; of use where the file is opened, as it may be a new one.
        tell: hears of what it held before as soon as it can be read; a search for damage, which may take long, is yet
            to come then.
    """
    past = None
    if not store.is_open:
        unread: list[str] = []

        def look() -> None:
            nonlocal past
            left, unread[:] = _left_open(store)
            past = Past(store.run(), left, store.taken())
            if tell is not None:
                tell(past)

        store.open(epoch, look)
        if unread:
            store.drop_open(unread)
        if unended:
            store.keep_open(unended)
    if rows or taken is not None or run is not None:
        store.write(rows, taken, run)
    return past


def _left_open(store: JournalStore) -> tuple[list[tuple[str, bytes]], list[str]]:
    """What has not ended, and what of it cannot be read: that is forgotten, as nobody could ever tell of its end."""
    found, unread = [], []
    for event, body in store.open_events():
        try:
            if not isinstance(decode_body(body).data, EventData):
                raise MessageError("expected an event")
            found.append((event, body))
        except MessageError as error:
            log.error("%s: an open event cannot be read and is forgotten: %s", store.path, error)
            unread.append(event)
    return found, unread
