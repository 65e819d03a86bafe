"""The supervisor: starts the daemon's processes, watches them, restarts them, stops them; does none of their work.

Signal handlers only set a flag; the loop acts on it. A child that exits is started again after a pause that doubles up
to ten seconds, except a capture of a recorded file, whose end is an end. A child that shows no life is killed first.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import zmq

from stream.config import Config, FileSource
from stream.daemon.child import Orders
from stream.errors import PosewireError

SILENCE_S = 10.0
"""A child without a sign of life for this long hangs."""
START_SILENCE_S = 60.0
"""The same before its first sign: importing torch from a cold disk takes its time."""
STOP_S = 2.0
"""Time for a child to stop by itself before it is terminated, and as much again before it is killed."""
SOCKET_PATH_LIMIT = 100
"""Longest path of an ipc socket that the kernel takes is 107 bytes."""

log = logging.getLogger("posewire")
OnMessage = Callable[[str, dict[str, Any]], None]


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
    counts: dict[str, Any] = field(default_factory=dict)


class Supervisor:
    """Runs the children of one daemon. Use `run`.

    Args:
        config: what to run.
        config_path: named by the children's error messages.
        on_message: called with a child's name and message (`ready`, `event`, ...).
        recording: file to record the frames to, in place of a worker and a publisher.
        seconds: stop by itself this long after the sources were started.
    """

    def __init__(
        self,
        config: Config,
        config_path: Path,
        *,
        on_message: OnMessage,
        recording: Path | None = None,
        seconds: float | None = None,
    ) -> None:
        self._config = config
        self._config_path = config_path
        self._on_message = on_message
        self._recording = recording
        self._seconds = seconds
        self._stopping = False
        self._context = zmq.Context()
        role = "recorder" if recording else "worker"
        self._consumer = ChildProcess(role, role)
        self._captures = [
            ChildProcess(f"capture:{source.name}", "capture", index, finite=isinstance(source, FileSource))
            for index, source in enumerate(config.sources)
        ]
        self._publishers = [] if recording else [ChildProcess("publisher", "publisher")]

    def stop(self) -> None:
        """Ask `run` to end; safe to call from a signal handler."""
        self._stopping = True

    def run(self) -> int:
        """Run until stopped or until all sources have ended.

        Returns:
            Exit code: 0, or 2 if a source could not be read or a process refused its configuration.
        """
        children = [*self._publishers, self._consumer, *self._captures]
        with _folder() as folder, _signals(self.stop), self._control(folder) as control:
            try:
                for child in (*self._publishers, self._consumer):
                    self._start(child, folder)
                while self._going and not self._consumer.ready:
                    self._turn(control, children, folder)
                for capture in self._captures if self._going else ():
                    self._start(capture, folder)
                deadline = time.monotonic() + (self._seconds or math.inf)
                while self._going and time.monotonic() < deadline and any(c.code is None for c in self._captures):
                    self._turn(control, children, folder)
            finally:
                # In the order of the flow: what a stage has taken, the next one still gets.
                for stage in (self._captures, [self._consumer], self._publishers):
                    self._stop(control, stage)
                for child in (self._consumer, *self._captures):
                    log.info("%s: %s", child.name, told_counts(child.counts) or "nothing done")
        self._context.term()
        return max((child.code or 0 for child in children if child.code in (0, 2)), default=0)

    @property
    def _going(self) -> bool:
        """False once asked to stop, or once a child that all need has refused to start: again would be no use."""
        return not self._stopping and all(child.code is None for child in (*self._publishers, self._consumer))

    @contextmanager
    def _control(self, folder: Path) -> Iterator[zmq.Socket[bytes]]:
        control = self._context.socket(zmq.ROUTER)
        control.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a child that was started again takes over its name
        control.setsockopt(zmq.LINGER, 0)
        with control:
            control.bind(f"ipc://{folder}/control")
            yield control

    def _start(self, child: ChildProcess, folder: Path) -> None:
        orders = Orders(
            name=child.name,
            parent=os.getpid(),
            control=f"ipc://{folder}/control",
            frames=f"ipc://{folder}/frames",
            outputs=f"ipc://{folder}/outputs",
            config_path=str(self._config_path),
            config=self._config.model_dump(mode="json"),
            source=child.source,
            recording=str(self._recording or ""),
        )
        command = [sys.executable, "-m", "stream.daemon", child.role]
        child.process = subprocess.Popen(command, stdin=subprocess.PIPE)
        if child.process.stdin is None:
            raise RuntimeError("the child has no standard input")
        try:
            child.process.stdin.write(msgspec.json.encode(orders))
            child.process.stdin.close()
        except BrokenPipeError:
            log.warning("%s died before it had its orders", child.name)
        child.started = child.seen = time.monotonic()
        child.alive, child.restart_at = False, None

    def _turn(self, control: zmq.Socket[bytes], children: list[ChildProcess], folder: Path) -> None:
        """Take what the children say for up to a tenth of a second, then look after them."""
        self._listen(control, children, 100)
        now = time.monotonic()
        for child in children:
            if child.process is None:
                if child.restart_at is not None and now >= child.restart_at:
                    log.warning("starting %s again", child.name)
                    self._start(child, folder)
            elif (code := child.process.poll()) is not None:
                self._ended(child, code, now)
            elif now - child.seen > (SILENCE_S if child.alive else START_SILENCE_S):
                log.error("%s hangs: no sign of life for %.0f s; killing it", child.name, now - child.seen)
                child.process.kill()

    def _listen(self, control: zmq.Socket[bytes], children: list[ChildProcess], timeout_ms: int) -> None:
        by_name = {child.name: child for child in children}
        while control.poll(timeout_ms):
            timeout_ms = 0
            name, content = control.recv_multipart()
            child = by_name.get(name.decode())
            if child is None:
                continue
            message = msgspec.json.decode(content)
            child.seen, child.alive = time.monotonic(), True
            kind = message.pop("kind")
            if kind == "beat":
                child.counts = message
                continue
            if kind == "ready":
                child.ready = True
            self._on_message(child.name, {"kind": kind, **message})

    def _ended(self, child: ChildProcess, code: int, now: float) -> None:
        child.process = None
        if child.finite or code in (0, 2):
            child.code = code
            if code not in (0, 2):
                log.error("%s died (%s); a recorded file is not started again", child.name, _how(code))
                child.code = 2
            return
        child.failures = child.failures + 1 if now - child.started < 60 else 1
        pause = min(0.5 * 2 ** (child.failures - 1), 10.0)
        child.restart_at = now + pause
        log.error("%s died (%s); starting it again in %.1f s", child.name, _how(code), pause)

    def _stop(self, control: zmq.Socket[bytes], children: list[ChildProcess]) -> None:
        """Ask the children of one stage to stop, then make them."""
        running = [child for child in children if child.process is not None]
        for escalate in (None, subprocess.Popen.terminate, subprocess.Popen.kill):
            deadline = time.monotonic() + (STOP_S if escalate is None else STOP_S / 2)
            for child in running:
                if child.process is None:
                    continue
                if escalate is not None:
                    log.warning("%s does not stop; sending %s", child.name, escalate.__name__)
                    escalate(child.process)
            while running and time.monotonic() < deadline:
                for child in running:
                    if escalate is None:
                        # Again in each turn: a child that is still starting has no socket yet, and twice does no harm.
                        control.send_multipart([child.name.encode(), b"stop"])
                self._listen(control, children, 20)
                for child in running:
                    if child.process is not None and (code := child.process.poll()) is not None:
                        child.process, child.code = None, code
                running = [child for child in running if child.process is not None]
        for child in running:
            if child.process is not None:
                child.process.wait()


def told_counts(counts: dict[str, Any]) -> str:
    """Counters as one line for people; those at zero and process ids are left out."""
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items() if name != "pid" and count)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def _folder() -> Iterator[Path]:
    """A private folder for the daemon's own sockets, removed at the end."""
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # mkdtemp is private
        if base and len(base) < SOCKET_PATH_LIMIT - 40 and os.access(base, os.W_OK):
            break
    else:
        raise PosewireError("no folder for sockets: expected XDG_RUNTIME_DIR or TMPDIR to be short and writable")
    folder = Path(tempfile.mkdtemp(prefix="posewire-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    def handler(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
