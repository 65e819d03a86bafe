"""One child process as the supervisor sees it: alive, hanging, dead, started again, faulted."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stream.daemon.child import REFUSED, Orders
from stream.daemon.notify import VARIABLES

SILENCE_S = 10.0
"""A child that has not answered for this long hangs."""
START_SILENCE_S = 60.0
"""The same before its first answer, and before a capture's first frame: importing torch or loading a pose network from
a cold disk, on a busy machine, takes its time."""
LASTING_S = 60.0
"""A child that lived this long did not fail at once: its restarts are counted anew."""
MAX_RESTARTS = 5
"""Restarts of a child none of whose lives lasted, hence at most so many in `LASTING_S`."""
FIRST_PAUSE_S, LONGEST_PAUSE_S, FAULTED_PAUSE_S = 0.5, 10.0, 60.0
"""Pauses before a restart: the first, doubled each time up to the longest; and those of a child that is faulted."""
ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}
"""For glibc: with its eight pools of memory a core, MediaPipe's threads kept growing for hours."""
JITTER = 0.25
"""Share by which a pause is longer or shorter, so that what failed together does not start together."""

log = logging.getLogger("posewire")


@dataclass(slots=True)
class ChildProcess:
    """One child as the supervisor sees it.

    Attributes:
        name, role, source: see `stream.daemon.child.Orders`.
        finite: its end is an end: it is not started again.
        looped: it is finite, but a process of it that dies is started again, as nothing it did must stay whole.
        process: the running process, or None.
        code: exit code once it has ended for good.
        seen: monotonic time of its last sign of life.
        alive: it has shown life since its start.
        ready: it has said that it is, since its start.
        proven: a process of this child once worked, so that its orders are good.
        restart_at: monotonic time of its next start, or None.
        failures: lives in a row that did not last.
        trouble: how the last one ended, for people.
        died: it ended for good without a last word.
        released: all that it had to say has arrived, since its start.
        counts: what its last beat told.
    """

    name: str
    role: str
    source: int = -1
    finite: bool = False
    looped: bool = False
    process: subprocess.Popen[bytes] | None = None
    code: int | None = None
    started: float = 0.0
    seen: float = 0.0
    alive: bool = False
    ready: bool = False
    proven: bool = False
    restart_at: float | None = None
    failures: int = 0
    trouble: str = ""
    died: bool = False
    released: bool = False
    counts: dict[str, Any] = field(default_factory=dict)
    _killed: bool = False

    @property
    def _loading(self) -> bool:
        """Whether it is a capture that has not given a frame since its start."""
        return self.role == "capture" and not self.counts.get("frames")

    @property
    def steady(self) -> bool:
        """Whether it is a capture that has given frames since its start."""
        return self.role == "capture" and not self._loading

    @property
    def faulted(self) -> bool:
        """Whether it failed too often and waits for one of its rare restarts."""
        return self.restart_at is not None and self.failures > MAX_RESTARTS

    def start(self, orders: Orders, now: float) -> None:
        """Start the process and hand it its orders, or try again later; `now` is monotonic time."""
        self.started = self.seen = now
        self.alive = self.ready = self.released = False
        self.counts = {}
        self.restart_at = None
        self._killed = False
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream.daemon", self.role],
                stdin=subprocess.PIPE,
                env={**ALLOCATOR, **{name: value for name, value in os.environ.items() if name not in VARIABLES}},
            )
        except OSError as error:  # no memory, processes or files left, which may pass
            self.trouble = f"could not be started ({error.strerror})"
            self._start_again(now)
            return
        if self.process.stdin is None:
            raise RuntimeError("the child has no standard input")
        try:
            self.process.stdin.write(msgspec.json.encode(orders))
            self.process.stdin.close()
        except BrokenPipeError:
            log.warning("%s died before it had its orders", self.name)

    def heard(self, now: float) -> None:
        """Note a sign of life."""
        self.seen, self.alive = now, True

    def look(self, now: float) -> bool:
        """Whether the process, which should run, is gone; one that hangs is killed."""
        if self.process is None:
            return False
        if (code := self.process.poll()) is not None:
            self._ended(code, now)
            return True
        if not self._killed and now - self.seen > (SILENCE_S if self.alive and not self._loading else START_SILENCE_S):
            log.error("%s hangs: no sign of life for %.0f s; stopping it", self.name, now - self.seen)
            self.process.kill()
            self._killed = True
        return False

    def _ended(self, code: int, now: float) -> None:
        """Note that the process exited while it should not have been stopped, and when to start it again, if ever."""
        hung, self._killed = self._killed, False
        self.process = None
        self.trouble = "hung" if hung else f"died of signal {-code}" if code < 0 else f"ended with exit code {code}"
        if not hung and ((self.finite and code in (0, REFUSED)) or (code == REFUSED and not self.proven)):
            self.code = code
            return
        if self.finite and not self.looped:
            log.error("%s %s; what is recorded is not started again", self.name, self.trouble)
            self.code, self.died = REFUSED, True
            return
        self._start_again(now)

    def _start_again(self, now: float) -> None:
        """Set the time of the next start, later and later."""
        self.failures = self.failures + 1 if now - self.started < LASTING_S else 1
        faulted = self.failures > MAX_RESTARTS
        pause = FAULTED_PAUSE_S if faulted else min(FIRST_PAUSE_S * 2 ** (self.failures - 1), LONGEST_PAUSE_S)
        pause *= random.uniform(1.0, 1.0 + JITTER) if faulted else random.uniform(1.0 - JITTER, 1.0 + JITTER)
        self.restart_at = now + pause
        if faulted:
            log.error("%s %s; faulted after %d restarts; next try in %.0f s", self.name, self.trouble,
                      self.failures - 1, pause)  # fmt: skip
        else:
            log.error("%s %s; starting it again in %.1f s", self.name, self.trouble, pause)

    def reap(self) -> bool:
        """Whether the process, asked to stop, is gone."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process, self.code, self.died = None, code, code not in (0, REFUSED)
        return self.process is None
