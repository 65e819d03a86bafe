"""Files that are written whole or not at all, and whose making leads nowhere else.

What is written goes to a new file beside the one that is meant, which takes its name once all of it is there. The new
one has a name that nobody can foresee, and O_EXCL makes it: a link that somebody planted there is not followed.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PART = re.compile(r"\.(?P<name>.{1,40})\.[0-9a-f]{16}\.part")
"""Names of what is not whole yet; one that lies about was left by a process that was killed."""


def part_of(path: Path) -> Path:
    """A name beside a file's, of something that is not there."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")


def open_new(path: Path, mode: int = 0o666) -> BinaryIO:
    """Make a file that must not be there, not even as a link, and open it for writing.

    Args:
        path: of the file.
        mode: its permissions, less the umask.

    Raises:
        FileExistsError: there is something of that name.
        OSError: it cannot be made.
    """
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # it has no opener


@contextmanager
def replacing(path: Path, *, mode: int = 0o666, sync: bool = False, new: bool = False) -> Iterator[BinaryIO]:
    """A stream that is the file once the block has ended well; else the file is as before, and nothing else is left.

    A link at `path` is replaced, not followed.

    Args:
        path: the file.
        mode: its permissions, less the umask.
        sync: it is on the disk before it takes its name.
        new: there must be nothing of that name.

    Raises:
        FileExistsError: there is, with `new`.
        OSError: it cannot be written.
    """
    part = part_of(path)
    stream = open_new(part, mode)
    try:
        with stream:
            yield stream
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        if new:
            os.link(part, path)  # unlike a rename it replaces nothing
        else:
            part.replace(path)
    finally:
        with suppress(OSError):  # gone, as it has its name
            part.unlink()


def write_whole(path: Path, data: bytes, *, mode: int = 0o666, sync: bool = False, new: bool = False) -> None:
    """Write a file, whole or not at all; see `replacing`.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path, mode=mode, sync=sync, new=new) as stream:
        stream.write(data)
