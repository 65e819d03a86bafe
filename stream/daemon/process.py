"""One child process as the supervisor sees it, and the folder where the daemon's own sockets lie."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from stream.daemon.child import Orders
from stream.errors import PosewireError

SOCKET_PATH_LIMIT = 100
"""Longest path of an ipc socket that the kernel takes is 107 bytes."""
LONGEST_PAUSE_S = 10.0
LASTING_S = 60.0
"""A child that lived this long did not fail at once: the pauses before its next starts begin anew."""

log = logging.getLogger("posewire")


@dataclass(slots=True)
class ChildProcess:
    """One child as the supervisor sees it.

    Attributes:
        name, role, source: see `stream.daemon.child.Orders`.
        finite: its end is an end: it is not started again.
        process: the running process, or None.
        code: exit code once it has ended for good.
        seen: monotonic time of its last sign of life.
        alive: it has shown life since its start.
        restart_at: monotonic time of its next start, or None.
        failures: starts in a row that did not last a minute.
        died: it ended for good without a last word.
        ready: it has said that it is.
        counts: what its last beat told.
    """

    name: str
    role: str
    source: int = -1
    finite: bool = False
    process: subprocess.Popen[bytes] | None = None
    code: int | None = None
    started: float = 0.0
    seen: float = 0.0
    alive: bool = False
    ready: bool = False
    restart_at: float | None = None
    failures: int = 0
    died: bool = False
    counts: dict[str, Any] = field(default_factory=dict)

    def start(self, orders: Orders, now: float) -> None:
        """Start the process and hand it its orders; `now` is monotonic time."""
        self.process = subprocess.Popen([sys.executable, "-m", "stream.daemon", self.role], stdin=subprocess.PIPE)
        if self.process.stdin is None:
            raise RuntimeError("the child has no standard input")
        try:
            self.process.stdin.write(msgspec.json.encode(orders))
            self.process.stdin.close()
        except BrokenPipeError:
            log.warning("%s died before it had its orders", self.name)
        self.started = self.seen = now
        self.alive, self.restart_at = False, None

    def ended(self, code: int, now: float) -> None:
        """Note that the process exited while it should not have been stopped, and when to start it again, if ever."""
        self.process = None
        if code in (0, 2):
            self.code = code
        elif self.finite:
            log.error("%s died (%s); a recorded file is not started again", self.name, _how(code))
            self.code, self.died = 2, True
        else:
            self.failures = self.failures + 1 if now - self.started < LASTING_S else 1
            pause = min(0.5 * 2 ** (self.failures - 1), LONGEST_PAUSE_S)
            self.restart_at = now + pause
            log.error("%s died (%s); starting it again in %.1f s", self.name, _how(code), pause)

    def reap(self) -> bool:
        """Whether the process, asked to stop, is gone."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process, self.code, self.died = None, code, code not in (0, 2)
        return self.process is None


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A private folder for the daemon's own sockets, removed at the end."""
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if not base or len(os.fsencode(base)) > SOCKET_PATH_LIMIT - 40:
            continue
        try:
            folder = Path(tempfile.mkdtemp(prefix="posewire-", dir=base))
        except OSError:
            continue  # the next one may do
        break
    else:
        raise PosewireError("no folder for sockets: expected XDG_RUNTIME_DIR or TMPDIR to be short and writable")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
