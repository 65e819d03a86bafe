"""Reading files that may be anything: bounded, of regular files only, and checked before they are used.

A model, and what was learnt with it, is input like any other.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from models.errors import ModelError

MAX_HEADER = 4 * 2**20
"""Bytes of what a safetensors file says of its tensors."""
_LENGTH = 8
"""Bytes of the header's length, before it."""


class InputFileError(ModelError):
    """A file cannot be read, or is something else; the message is one line with its path."""


class _Twice(ValueError):
    """A key stands twice in an object: readers may disagree about which counts."""


def read_limited(path: Path, limit: int, expected: str) -> bytes:
    """All of a regular file.

    Args:
        path: the file.
        limit: its most bytes; larger ones are refused unread.
        expected: what it should be, for errors.

    Raises:
        InputFileError: it is missing, too large, may not be read, or is a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InputFileError(f"{path}: is no regular file; expected {expected}")
            if status.st_size > limit:
                raise InputFileError(f"{path}: {status.st_size} bytes; expected at most {limit}")
            data = file.read(status.st_size + 1)  # no more: room for all of it is made first
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from error
    if len(data) != status.st_size:
        raise InputFileError(f"{path}: was written to while it was read; expected {expected}")
    return data


def parse_tensors(data: bytes, where: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Args:
        data: the file's bytes. (Mapped files may be cut short meanwhile.)
        where: named in errors.

    Raises:
        InputFileError: it is something else, such as a pickle or a zip.
    """
    if is_pickle(data):
        raise InputFileError(f"{where}: is a pickle (torch.save) file, which could run code; expected safetensors")
    length = int.from_bytes(data[:_LENGTH], "little")
    if length > min(MAX_HEADER, len(data) - _LENGTH):
        raise InputFileError(f"{where}: not a safetensors file (a header of {length} bytes)")
    header = data[_LENGTH : _LENGTH + length]
    try:
        tensors: dict[str, NDArray[Any]] = parse_safetensors(data)
        metadata = json.loads(header, object_pairs_hook=_unique).get("__metadata__") or {}
    except (SafetensorError, ValueError, LookupError, RecursionError) as error:
        raise InputFileError(f"{where}: not a safetensors file ({' '.join(str(error).split())[:200]})") from error
    return tensors, metadata


def is_pickle(data: bytes) -> bool:
    """Whether these bytes begin as a pickle does, or as the zip that `torch.save` puts one into."""
    # The length of a safetensors header may begin so too; what follows it does not.
    return data[_LENGTH : _LENGTH + 1] != b"{" and (data[:1] == b"\x80" or data[:2] == b"PK")


def check_unique(data: bytes, where: str) -> None:
    """Refuse JSON in which a key stands twice in an object; other faults are left to who reads it.

    Raises:
        InputFileError: one does.
    """
    try:
        json.loads(data, object_pairs_hook=_unique)
    except _Twice as error:
        raise InputFileError(f"{where}: {error}; expected it once") from error
    except (ValueError, RecursionError):
        return


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Twice(f"key {twice[:80]!r} stands twice")
    return found
