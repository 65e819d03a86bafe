"""The generated block of a table in a text file, between two marker comments."""

from __future__ import annotations

import re
from pathlib import Path

from models.whole_file import write_whole
from stream.errors import PosewireError


class BlockError(PosewireError):
    """A file's generated block cannot be replaced: one line that says why."""


def check_block(path: Path, name: str, runs: int, *, whole: bool) -> None:
    """Refuse to put a table into a file where that cannot be done, or would lose a fuller one.

    Args:
        path: the file, which need not exist.
        name: of the table.
        runs: how many the table is of, at most.
        whole: whether it has all its rows and columns.

    Raises:
        BlockError: the file cannot be read, has one marker without the other, or holds a fuller table.
    """
    old, span = _block(path, name)
    if span is None:
        return
    if not whole:
        raise BlockError(f"{path}: has the table {name} already; expected no --rows and --columns, or another file")
    found = re.search(r"\(splits x seeds\), (\d+) in all", old[slice(*span)])
    if found is not None and int(found[1]) > runs:
        raise BlockError(f"{path}: has the table {name} of {found[1]} runs, more than {runs}; expected another file")


def set_block(path: Path, name: str, text: str) -> None:
    """Put a text between the two marker comments of its name in a file; at the end of the file if it has none.

    Raises:
        BlockError: the file cannot be read or written, or has one marker without the other.
    """
    old, span = _block(path, name)
    begin, end = _markers(name)
    block = f"{begin}\n{text.strip()}\n{end}\n"
    target = path.resolve()
    if span is not None:
        new = old[: span[0]] + block + old[span[1] :].removeprefix("\n")
    else:
        new = f"{old.rstrip()}\n\n{block}" if old.strip() else block
    try:
        write_whole(target, new.encode())
    except OSError as error:
        raise BlockError(f"{path}: cannot be rewritten ({error.strerror}); expected a text file") from error


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- posewire reproduce {name}: begin -->", f"<!-- posewire reproduce {name}: end -->"


def _block(path: Path, name: str) -> tuple[str, tuple[int, int] | None]:
    """The text of a file, empty if there is none, and from where to where its block goes, if it has one."""
    begin, end = _markers(name)
    target = path.resolve()
    try:
        text = target.read_text(encoding="utf-8") if target.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise BlockError(f"{path}: cannot be rewritten ({reason}); expected a text file") from error
    if (text.count(begin), text.count(end)) not in ((0, 0), (1, 1)) or text.find(begin) > text.find(end):
        raise BlockError(f"{path}: its block cannot be told; expected one {begin!r}, then one {end!r}")
    return text, (text.find(begin), text.find(end) + len(end)) if begin in text else None
