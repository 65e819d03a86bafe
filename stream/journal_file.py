"""The journal's SQLite file: its tables, its settings, whether it is whole."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

FORMAT = 1
"""Of the tables; a file of another one is set aside."""
_TABLES = """
CREATE TABLE epochs(number INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL UNIQUE);
CREATE TABLE messages(kind TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, t REAL NOT NULL,
                      body BLOB NOT NULL, PRIMARY KEY (kind, epoch, seq));
CREATE TABLE pruned(kind TEXT NOT NULL, epoch INTEGER NOT NULL, last INTEGER NOT NULL,
                    PRIMARY KEY (kind, epoch)) WITHOUT ROWID;
CREATE TABLE open_events(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_BUSY_S = 1.0
_WAL_LIMIT = 16 << 20
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class BrokenJournal(sqlite3.DatabaseError):
    """The file is damaged or no journal of ours."""


class LostJournal(OSError):
    """The open file is no longer the one of its name: what is written to it nobody will ever find."""


Place = tuple[tuple[int, int] | None, ...]
"""Device and inode of a journal's file and of the log beside it, None for what is not there."""


def place_of(path: Path) -> Place:
    """Which files a journal's names mean now.

    Raises:
        OSError: nobody can tell.
    """
    return tuple(_inode(path.with_name(path.name + suffix)) for suffix in ("", "-wal"))


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def connect(path: Path, *, check: bool) -> sqlite3.Connection:
    """Open the file, or make it; this connection alone may use it.

    Args:
        path: the file.
        check: whether to `search` it too.

    Raises:
        BrokenJournal: it is damaged or something else.
        sqlite3.Error, OSError: it cannot be used.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o600))  # whatever the umask is
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        _prepare(db)
        if check:
            search(db)
    except BaseException:
        with suppress(sqlite3.Error):
            db.close()
        raise
    return db


def search(db: sqlite3.Connection) -> None:
    """Read all of the file, in search of damage; that can take a minute.

    Raises:
        BrokenJournal: there is some.
    """
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise BrokenJournal(found)


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    (format_,) = db.execute("PRAGMA user_version").fetchone()
    empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if format_ == 0 and empty:
        db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT")
    elif format_ != FORMAT:
        raise BrokenJournal(f"format {format_}; expected {FORMAT}")


def is_broken(error: Exception) -> bool:
    """Whether an error means that the file is damaged, and no use to try again."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, BrokenJournal) or (code is not None and code & 0xFF in _BROKEN)


class Transaction:
    """A block that is committed as a whole; python's own context manager neither begins nor knows WAL's write lock."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            self._db.execute("ROLLBACK")
