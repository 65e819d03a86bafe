"""How far a subscriber is, and the file that lets it go on there after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from models.whole_file import write_whole
from stream.errors import PosewireError
from stream.structs import Count, Label, Name

MAX_BYTES = 64 << 10
MOST_FORMER = 64
"""Former epochs remembered; it is one as a rule, and more only where the publisher cannot read its journal."""


class CursorError(PosewireError):
    """A cursor file cannot be read or written."""


class Position(Struct, frozen=True):
    """Up to where everything is done with.

    Attributes:
        epoch: of the publisher.
        seqs: by kind, the last number in that epoch; 0 for none.
        former: the epochs before that one, the latest first, back to one that the journal is known to have: to go on
            from there where the journal never had this one.
    """

    epoch: Name
    seqs: Annotated[dict[Label, Count], Meta(max_length=32)]
    former: Annotated[tuple[Name, ...], Meta(max_length=MOST_FORMER)] = ()

    def in_next(self, epoch: str, seqs: dict[str, int]) -> Position:
        """Return a position in the epoch that came after this one's."""
        return Position(epoch, seqs, (self.epoch, *self.former)[:MOST_FORMER])


class _File(Position, frozen=True, kw_only=True):
    v: Literal[1] = 1


_DECODER = msgspec.json.Decoder(_File)


class CursorFile:
    """A position in a small file, replaced whole: what is there is always one that was written.

    Args:
        path: the file; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: Position | None = None

    def read(self) -> Position | None:
        """Return the position, None if there is no file yet.

        Raises:
            CursorError: the file cannot be read or is something else.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            found = _DECODER.decode(data)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CursorError(f"{self.path}: cannot be read ({error.strerror}); expected a cursor file") from None
        except (ValueError, RecursionError) as error:
            raise CursorError(
                f"{self.path}: no cursor file ({error}); expected one that posewire wrote, or none to begin now"
            ) from None
        self._written = Position(found.epoch, found.seqs, found.former)
        return self._written

    def write(self, position: Position) -> None:
        """Keep a position, on the disk before this returns; the same one again costs nothing.

        Raises:
            CursorError: it cannot be written; the one before is still there.
        """
        if position == self._written:
            return
        try:
            data = msgspec.json.encode(_File(position.epoch, position.seqs, position.former)) + b"\n"
            write_whole(self.path, data, mode=0o600, sync=True)
        except OSError as error:
            raise CursorError(
                f"{self.path}: cannot be written ({error.strerror}); expected a place to write to"
            ) from None
        self._written = position
