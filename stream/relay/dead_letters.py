"""Messages that the other end will never take: kept in a file, so that they do not stop those behind them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from stream.relay.base import Parcel

MAX_BYTES = 5 << 20
"""Of the file; then it becomes FILE.1, in place of the one before, and a new one begins."""


class DeadLetters:
    """A file of JSON lines, readable by its owner only.

    Args:
        path: the file; made when there is something to keep.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, parcel: Parcel, why: str) -> None:
        """Add a message; on the disk before this returns.

        Raises:
            OSError: it cannot be written.
        """
        line = {
            "t": round(time.time(), 3),
            "id": parcel.id,
            "topic": parcel.topic,
            "why": why,
            "message": msgspec.Raw(parcel.body),
        }
        if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.path, flags, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            # What a full disk cut short ends here, and stands alone.
            file.write(b"" if _ends_whole(self.path) else b"\n")
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return True
        file.seek(size - 1)
        return file.read(1) == b"\n"
