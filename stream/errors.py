"""Errors that a user can act on: one line that says what is wrong, where, and what was expected."""

from __future__ import annotations

from pathlib import Path


class PosewireError(Exception):
    """Base of all errors that end a command with one line and exit code 2."""


class SourceError(PosewireError):
    """A source cannot be opened or read further.

    Args:
        where: the file or device.
        message: what is wrong and what was expected.
        line: line number in the file, from 1, where it has lines.
        offset: byte offset in the file, where it has none.
    """

    def __init__(self, where: str | Path, message: str, *, line: int | None = None, offset: int | None = None) -> None:
        place = (
            f"{where}:{line}" if line is not None else f"{where} at byte {offset}" if offset is not None else f"{where}"
        )
        super().__init__(f"{place}: {message}")
        self.where, self.message, self.line, self.offset = str(where), message, line, offset
