"""Erasing what is old from files that hold new messages as well, so that its bytes are gone from them too.

What the journal's retention deletes leaves its bytes in the file until the space is used again. Here it is overwritten
(`secure_delete`), the file is written anew without it (`VACUUM`), and so is what was on its way there (the WAL). All of
it is SQLite's own: an end half-way leaves a journal that is whole, and the next run goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from models.whole_file import write_whole
from stream.errors import PosewireError
from stream.journal_file import Transaction, connect


class PurgeError(PosewireError):
    """Something cannot be erased."""


class _Published(msgspec.Struct):
    t_pub: float


class _Letter(msgspec.Struct):
    t: float


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(connect(path, check=True)) as db:
            yield db
    except (sqlite3.Error, OSError) as error:
        raise PurgeError(
            f"{path}: old messages cannot be told from new ones ({error}); expected a whole journal, or no --older-than"
        ) from error


def old_messages(path: Path, before: float) -> int:
    """How many messages are older than a time, in s since 1970.

    Raises:
        PurgeError: the file is damaged or cannot be used.
    """
    with _opened(path) as db:
        (count,) = db.execute("SELECT count(*) FROM messages WHERE t < ?", (before,)).fetchone()
        return int(count) + len(_left_open(db, before))


def erase_messages(path: Path, before: float) -> None:
    """Erase all messages older than a time, in s since 1970; subscribers who ask for them are told that they are gone.

    Nobody else may use the file meanwhile.

    Raises:
        PurgeError: the file is damaged, cannot be used, or the disk lacks the room for it to be written anew.
    """
    with _opened(path) as db:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA temp_store = MEMORY")  # else VACUUM makes its copy in a file that lies elsewhere
        with Transaction(db):
            db.execute(
                "INSERT OR REPLACE INTO pruned SELECT kind, epoch, max(seq) FROM messages WHERE t < ? "
                "GROUP BY kind, epoch",
                (before,),
            )
            db.execute("DELETE FROM messages WHERE t < ?", (before,))
            db.executemany("DELETE FROM open_events WHERE id = ?", [(event,) for event in _left_open(db, before)])
        db.execute("VACUUM")
        # Twice: what the first leaves of the file's old length is cut off by the second.
        for _ in range(2):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def old_letters(path: Path, before: float) -> int:
    """How many lines of a file of undelivered messages are older than a time, in s since 1970, or are no whole line.

    Raises:
        PurgeError: the file cannot be read.
    """
    return sum(not new for _, new in _letters(path, before))


def erase_letters(path: Path, before: float) -> None:
    """Write a file of undelivered messages anew, without those that `old_letters` counts.

    Raises:
        PurgeError: it cannot be read or written.
    """
    kept = b"".join(line for line, new in _letters(path, before) if new)
    try:
        write_whole(path, kept, mode=0o600, sync=True)
    except OSError as error:
        raise PurgeError(f"{path}: cannot be written ({error.strerror}); expected a place to write to") from error


def _letters(path: Path, before: float) -> list[tuple[bytes, bool]]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise PurgeError(f"{path}: cannot be read ({error.strerror}); expected a file of your own") from error
    return [(line, _is_new(line, before)) for line in lines]


def _is_new(line: bytes, before: float) -> bool:
    try:
        return msgspec.json.decode(line, type=_Letter).t >= before
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False


def _left_open(db: sqlite3.Connection, before: float) -> list[str]:
    """Events that no end was told of, by what was told of them last."""
    left = []
    for event, body in db.execute("SELECT id, body FROM open_events"):
        try:
            old = msgspec.json.decode(body, type=_Published).t_pub < before
        except msgspec.DecodeError:  # whatever that is, nobody can end it
            old = True
        if old:
            left.append(event)
    return left
