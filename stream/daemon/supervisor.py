"""The supervisor: starts the daemon's processes, watches them, restarts them, stops them; does none of their work.

Signal handlers only set a flag; the loop acts on it. A child that exits is started again after a pause that doubles up
to ten seconds, except a capture of a recorded file, whose end is an end. A child that shows no life is killed first.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import zmq

from stream.config import Config, FileSource
from stream.daemon.child import FINISH, LOST, RELEASE, STOP, Orders
from stream.daemon.process import ChildProcess, socket_folder

SILENCE_S = 10.0
"""A child without a sign of life for this long hangs."""
START_SILENCE_S = 60.0
"""The same before its first sign: importing torch from a cold disk takes its time."""
STOP_S, TERMINATE_S = 3.0, 0.5
"""Seconds for all children together to stop by themselves once told to, and then to heed SIGTERM."""
AWAY_S = 2.0
"""A loop that took this long was stopped itself (Ctrl-Z): the children's silence means nothing."""

log = logging.getLogger("posewire")
OnMessage = Callable[[str, dict[str, Any]], None]


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
        # A recorder that starts again would overwrite what it has.
        self._consumer = ChildProcess(role, role, finite=recording is not None)
        self._captures = [
            ChildProcess(f"capture:{source.name}", "capture", index, finite=isinstance(source, FileSource))
            for index, source in enumerate(config.sources)
        ]
        self._publishers = [] if recording else [ChildProcess("publisher", "publisher")]
        self._children = [*self._publishers, self._consumer, *self._captures]
        self._salt = secrets.token_hex(8)
        self._stop_at = math.inf
        self._looked = 0.0

    def stop(self) -> None:
        """Ask `run` to end; safe to call from a signal handler."""
        self._stopping = True

    def run(self) -> int:
        """Run until stopped or until all sources have ended.

        Returns:
            Exit code: 0, or 2 if a source could not be read or a process refused its configuration.
        """
        with socket_folder() as folder, _signals(self.stop), self._control(folder) as control:
            try:
                for child in (*self._publishers, self._consumer):
                    self._start(child, folder)
                while self._going and not self._consumer.ready:
                    self._turn(control, folder)
                for capture in self._captures if self._going else ():
                    self._start(capture, folder)
                deadline = math.inf
                while self._going and any(child.code is None for child in self._captures):
                    self._turn(control, folder)
                    if self._seconds and deadline == math.inf and any(c.counts.get("frames") for c in self._captures):
                        deadline = time.monotonic() + self._seconds
                    if time.monotonic() > deadline:
                        self._stopping = True
                if not self._stopping and self._going:
                    log.info("all sources have ended")
            finally:
                self._stopping |= any(child.code is None for child in self._captures)
                if self._consumer.process is not None and not self._consumer.ready:
                    self._consumer.process.kill()  # it loads its model, has taken nothing yet, and would not hear
                # In the order of the flow: what a stage has taken, the next one still gets.
                self._end(control, self._captures, [])
                self._end(control, [self._consumer], self._captures)
                self._end(control, self._publishers, [self._consumer])
                self._listen(control, 100)  # what they said last
                for child in (self._consumer, *self._captures):
                    if told := told_counts(child.counts):
                        log.info("%s: %s", child.name, told)
        self._context.term()
        return max((child.code or 0 for child in self._children if child.code in (0, 2)), default=0)

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
            salt=self._salt,
        )
        child.start(orders, time.monotonic())

    def _turn(self, control: zmq.Socket[bytes], folder: Path) -> None:
        """Take what the children say for up to a tenth of a second, then look after them."""
        self._listen(control, 100)
        now = time.monotonic()
        away, self._looked = now - self._looked > AWAY_S, now
        for child in self._children:
            if away:
                child.seen = now
            if child.process is None:
                if child.restart_at is not None and now >= child.restart_at:
                    log.warning("starting %s again", child.name)
                    self._start(child, folder)
            elif (code := child.process.poll()) is not None:
                child.ended(code, now)
                if child.source >= 0 and code not in (0, 2):
                    name = self._config.sources[child.source].name
                    control.send_multipart([self._consumer.name.encode(), LOST + name.encode()])
            elif now - child.seen > (SILENCE_S if child.alive else START_SILENCE_S):
                log.error("%s hangs: no sign of life for %.0f s; killing it", child.name, now - child.seen)
                child.process.kill()

    def _listen(self, control: zmq.Socket[bytes], timeout_ms: int) -> None:
        by_name = {child.name: child for child in self._children}
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
            if kind == "source_ended":
                control.send_multipart([f"capture:{message['source']}".encode(), RELEASE])
                continue
            self._on_message(child.name, {"kind": kind, **message})

    def _end(self, control: zmq.Socket[bytes], stage: list[ChildProcess], before: list[ChildProcess]) -> None:
        """Ask the children of one stage to end, then make them.

        They work off everything that has arrived, as long as they show life: unless this daemon was asked to stop, or
        a child of a stage before died without its last word, for which they would wait.
        """
        running = [child for child in stage if not child.reap()]
        while running and not self._stopping and not any(child.died for child in before):
            self._ask(control, running, FINISH)
            now = time.monotonic()
            running = [child for child in running if not child.reap()]
            if any(now - child.seen > SILENCE_S for child in running):
                break
        if running and self._stop_at == math.inf:
            self._stop_at = time.monotonic() + STOP_S
        for escalate, deadline in (
            (None, self._stop_at),
            (subprocess.Popen.terminate, self._stop_at + TERMINATE_S),
            (subprocess.Popen.kill, math.inf),
        ):
            for child in running:
                if escalate is not None and child.process is not None:
                    log.warning("%s does not stop; sending %s", child.name, escalate.__name__)
                    escalate(child.process)
            while running and time.monotonic() < deadline:
                self._ask(control, running, STOP)
                running = [child for child in running if not child.reap()]

    def _ask(self, control: zmq.Socket[bytes], children: list[ChildProcess], order: bytes) -> None:
        """Give an order, and hear what they say to it; to be repeated, since one that starts has no socket yet."""
        for child in children:
            control.send_multipart([child.name.encode(), order])
        self._listen(control, 20)


def told_counts(counts: dict[str, Any]) -> str:
    """Counters as one line for people; those at zero and process ids are left out."""
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items() if name != "pid" and count)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    def handler(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
