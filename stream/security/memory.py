"""Bounds on what the publisher process may take, whoever connects to it (Linux), and on what is kept of a crash.

libzmq bounds neither the frames of a message nor the subscriptions of a peer. So the process looks at its own memory,
and drops everybody who is connected when there is too much; should that not be fast enough, the kernel gives it no
more, it dies, and is started again.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stream.errors import PosewireError

LIMIT_BYTES = 768 << 20
"""Resident memory at which connections are dropped; posewire itself takes 100 to 300 MiB of it."""
HARD_BYTES = 2 << 30
"""Writable memory that the kernel gives to the process at most."""
MAX_FILES = 65_536
"""Open files, hence connections, that are asked for at most."""

_LOOK_S = 0.02
_USEFUL = 0.8
"""Share to which memory must fall for a drop to have been of use."""
_GROWTH_BYTES = 32 << 20
"""How much it may grow meanwhile."""
_SETTLE_S = 0.25
"""Seconds in which libzmq frees what it held for peers that were dropped."""
_STATM = Path("/proc/self/statm")


class TooLarge(PosewireError):
    """The process takes more memory than it may, and nothing helps but to start it again."""


def resident_bytes() -> int:
    """Return the memory that this process holds, 0 where that cannot be told."""
    return _statm(1)


def limit_process(hard_bytes: int = HARD_BYTES) -> None:
    """Have the kernel bound this process's memory, and allow it as many connections as it may have."""
    if sys.platform != "linux":
        return
    import resource  # which Windows lacks

    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = hard_bytes if hard == resource.RLIM_INFINITY else min(hard_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def no_core_dumps() -> None:
    """Have the kernel keep nothing of the memory of this process, and of those that it starts, when they crash (POSIX).

    The limit is one byte, not none: of 0 the kernel takes no notice where `core_pattern` names a program, of 1 it does
    (see `do_coredump` in its fs/coredump.c).
    """
    if sys.platform == "win32":
        return
    import resource  # which Windows lacks

    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard == resource.RLIM_INFINITY else min(1, hard), hard))


@contextmanager
def bounded_process() -> Iterator[MemoryGuard]:
    """Bounds for a process that holds much already when it begins to publish, such as a model: on top of all that.

    Gives the guard for its sockets; the kernel's bound ends with the block.
    """
    if sys.platform != "linux":
        yield MemoryGuard(resident_bytes() + LIMIT_BYTES)
        return
    import resource  # which Windows lacks

    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        limit_process(_writable_bytes() + HARD_BYTES)
        yield MemoryGuard(resident_bytes() + LIMIT_BYTES)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _writable_bytes() -> int:
    """What RLIMIT_DATA counts, as it is now."""
    return _statm(5)


def _statm(field: int) -> int:
    """Bytes of a field of /proc/self/statm, 0 where that cannot be told."""
    try:
        return int(_STATM.read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def give_back() -> None:
    """Have the C library return to the system what was freed (glibc)."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


class MemoryGuard:
    """Says when the process has grown too large, and which sockets to drop the peers of.

    Args:
        limit: in bytes.
    """

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self._next = self._settles_until = 0.0
        self._before = 0
        """Bytes at the last drop, 0 once it was of use."""
        self._turn = self._in_vain = 0

    def look(self, names: Sequence[str]) -> str | None:
        """Return the name of the socket whose peers are to be dropped now, None where memory is within the limit.

        One at a time, the first first, as what it frees takes a moment to be free; the next one if it frees nothing.

        Args:
            names: of the sockets.

        Raises:
            TooLarge: all of them were dropped twice to no avail: what fills the memory is not what peers sent.
        """
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + _LOOK_S
        held = resident_bytes()
        if held > self.limit and self._before:
            give_back()
            held = resident_bytes()
        if self._before and held < _USEFUL * self._before:
            self._before = self._in_vain = 0
        if held <= self.limit:
            self._turn = 0
            return None
        if now < self._settles_until and held < self._before + _GROWTH_BYTES:
            return None
        self._in_vain += self._before > 0
        if self._in_vain >= 2 * len(names):
            raise TooLarge(f"{held >> 20} MiB of memory in use; expected at most {self.limit >> 20} MiB")
        self._before, self._settles_until = held, now + _SETTLE_S
        self._turn += 1
        return names[(self._turn - 1) % len(names)]
