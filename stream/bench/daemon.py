"""A real daemon under measurement: `posewire run` over recordings that play for ever, looked at from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import zmq

from stream.bench.footage import record
from stream.bench.machine import resident_bytes
from stream.bench.plan import BenchError
from stream.messages import MAX_BODY, MessageError, decode
from stream.structs import HeartbeatData
from stream.topics import JOURNALED, Kind, prefix
from stream.transport import connect, harden

RECORDED_S = 60.0
HEARTBEAT_S = 0.25
START_LIMIT_S = 60.0
START_LIMIT_PER_CAMERA_S = 3.0
STOP_LIMIT_S = 30.0
HEARTBEAT = prefix(Kind.HEARTBEAT)
CONFIG = """
[node]
name = "bench"
state = "{folder}/state"
[examples]
path = ""
[regressions]
path = "{folder}/regressions"
[publish]
events = "ipc://{folder}/e"
query = "ipc://{folder}/q"
heartbeat_s = {heartbeat_s}
"""
SOURCE = """
[[sources]]
kind = "file"
name = "cam{number}"
path = "{path}"
loop = true
"""


def write_config(folder: Path, cameras: int, people: int) -> Path:
    """A configuration of so many cameras, each a process of its own, which play a recording of so many people."""
    recording = folder / f"people{people}.pwr"
    if not recording.exists():
        record(recording, people, RECORDED_S)
    path = folder / "bench.toml"
    sources = "".join(SOURCE.format(number=number, path=recording) for number in range(cameras))
    path.write_text(CONFIG.format(folder=folder, heartbeat_s=HEARTBEAT_S) + sources)
    return path


class Daemon:
    """What can be known of a running daemon. Use `running`.

    From the first message on it listens as a subscriber does who wants to know of events, and reads heartbeats alone:
    what it takes to look must not be taken from what is looked at.

    Args:
        process: the supervisor.
        folder: of its sockets.
        cameras: number of its sources.

    Attributes:
        began: monotonic time of its start.
        heartbeat: the last one, and in `heard` when it came; None before the first.
        first_message, first_decided: seconds from the start until each was heard of; None before.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, cameras: int) -> None:
        self._process, self._folder, self._cameras = process, folder, cameras
        self.began = time.monotonic()
        self.heartbeat: HeartbeatData | None = None
        self.heard = 0.0
        self.first_message: float | None = None
        self.first_decided: float | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        harden(self._socket, send_high_water=10, receive_high_water=10_000, max_size=MAX_BODY)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        for topic in (b"", HEARTBEAT, *map(prefix, JOURNALED)):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        connect(self._socket, f"ipc://{folder}/e")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._context.destroy(linger=0)

    def listen(self, seconds: float) -> Iterator[HeartbeatData]:
        """The heartbeats of so many seconds, as they come.

        Raises:
            BenchError: the daemon has ended.
        """
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            if self._process.poll() is not None:
                raise BenchError(f"the daemon ended by itself: {self._last_words()}")
            if not self._socket.poll(round(1000 * min(rest, 0.5))):
                continue
            parts = self._socket.recv_multipart()
            now = time.monotonic()
            if self.first_message is None:
                self.first_message = now - self.began
                self._socket.setsockopt(zmq.UNSUBSCRIBE, b"")
            if not parts[0].startswith(HEARTBEAT):
                continue
            try:
                data = decode(parts).envelope.data
            except MessageError as error:
                raise BenchError(f"the daemon publishes what is no message: {error}") from error
            if isinstance(data, HeartbeatData):
                self.heartbeat, self.heard = data, now
                if self.first_decided is None and "total" in data.latency_ms:
                    self.first_decided = now - self.began
                yield data

    def wait_until_all_run(self) -> None:
        """Wait until every camera gives frames and something was decided.

        Raises:
            BenchError: that takes too long, or the daemon has ended.
        """
        limit = START_LIMIT_S + START_LIMIT_PER_CAMERA_S * self._cameras
        running = 0
        for beat in self.listen(limit):
            running = sum(source.state == "running" and source.frames > 0 for source in beat.sources.values())
            if running == self._cameras and self.first_decided is not None:
                return
        raise BenchError(f"{running} of {self._cameras} cameras run after {limit:.0f} s: {self._last_words()}")

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds so far of each kind of process: supervisor, publisher, worker, capture."""
        took: dict[str, float] = defaultdict(float)
        for role, pid in self._processes():
            with suppress(FileNotFoundError, ProcessLookupError):  # it may end at any moment
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                took[role] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return dict(took)

    def memory(self) -> dict[str, int]:
        """Bytes of memory of each kind of process; what they share is shared out."""
        found: dict[str, int] = defaultdict(int)
        for role, pid in self._processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                found[role] += resident_bytes(pid)
        return dict(found)

    def _processes(self) -> list[tuple[str, int]]:
        supervisor = self._process.pid
        tasks = Path(f"/proc/{supervisor}/task")
        if not tasks.exists():
            raise BenchError(f"{tasks}: cannot be read; expected Linux and a running daemon")
        children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        found = [("supervisor", supervisor)]
        for pid in children:
            with suppress(FileNotFoundError, ProcessLookupError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if len(words) > 3:  # `python -m stream.daemon ROLE`; a dead one has none
                    found.append((words[3].decode(), pid))
        return found

    def _last_words(self) -> str:
        lines = (self._folder / "daemon.log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


@contextmanager
def running(folder: Path, cameras: int, people: int) -> Iterator[Daemon]:
    """A daemon with so many cameras; ended at the end, by force if it does not heed Ctrl-C.

    Args:
        folder: an empty one with a short path, for its files and sockets.
        cameras: number of sources, each of which plays a recording in real time.
        people: in each of them.
    """
    config = write_config(folder, cameras, people)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "run", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
        try:
            with Daemon(process, folder, cameras) as daemon:
                yield daemon
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
