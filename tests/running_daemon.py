"""Real daemons for tests: start them, look at their processes, hear what they publish without the project's code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import zmq

ROOT = Path(__file__).parents[1]
POSEWIRE = [sys.executable, "-m", "stream.cli"]
CONFIG = """
[background]
bank = false
[publish]
events = "ipc://{folder}/events"
query = "ipc://{folder}/query"
skeletons = "ipc://{folder}/skeletons"
[[prompts]]
name = "kick"
text = "a person kicks"
"""


def write_sources(folder: Path, *sources: str, head: str = "") -> Path:
    """A configuration with these `[[sources]]` blocks, whose addresses lie in `folder`."""
    path = folder / "test.toml"
    path.write_text(head + CONFIG.format(folder=folder) + "".join(f"[[sources]]\n{source}\n" for source in sources))
    return path


@contextmanager
def running(config: Path, *before: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon that logs to `daemon.log` beside its configuration; killed at the end if it still runs.

    Args:
        config: its configuration.
        before: words before the command, such as `nice`.
        environment: variables.
    """
    folder = config.parent
    own = {"XDG_RUNTIME_DIR": str(folder), "XDG_STATE_HOME": str(folder / "state"), **environment}
    with (folder / "daemon.log").open("a") as log:
        process = subprocess.Popen(
            [*before, *POSEWIRE, "run", "--config", str(config)],
            stdout=log,
            stderr=log,
            text=True,
            cwd=ROOT,
            env={**os.environ, **own},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


class Wire:
    """A plain pyzmq subscriber to everything.

    Attributes:
        folder: of the daemon's addresses.
        times: by source, when each of its skeletons arrived (monotonic) and was captured, in seconds.
        epochs: by arrival.
        states: every (source, state, detail) so far, changes only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        for topic in (b"status/", b"skeleton/", b"heartbeat/"):
            self.socket.setsockopt(zmq.SUBSCRIBE, topic)
        for name in ("events", "skeletons"):
            self.socket.connect(f"ipc://{folder}/{name}")
        self.times: dict[str, list[tuple[float, float]]] = {}
        self.epochs: list[str] = []
        self.states: list[tuple[str, str, str]] = []
        self.heartbeat: dict = {}

    def take(self, timeout_ms: int = 100) -> None:
        """Take what has arrived."""
        while self.socket.poll(timeout_ms):
            timeout_ms = 0
            message = json.loads(self.socket.recv_multipart()[1])
            if message["epoch"] not in self.epochs:
                self.epochs.append(message["epoch"])
            data = message["data"]
            if message["type"] == "skeleton":
                self.times.setdefault(message["source"], []).append((time.monotonic(), message["t"]))
            elif message["type"] == "status":
                self.states.append((message["source"], data["state"], data["detail"]))
            elif message["type"] == "heartbeat":
                self.heartbeat = data

    def until(self, wanted: Callable[[], object], seconds: float = 120.0) -> float:
        """Take messages until `wanted` holds; seconds that it took."""
        began = time.monotonic()
        while not wanted():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"not so in {seconds} s; states {self.states[-6:]}, heartbeat {self.heartbeat}")
            self.take()
        return time.monotonic() - began

    def flows(self, source: str, since: float, frames: int = 3) -> bool:
        """Whether so many frames of a source arrived after a monotonic time."""
        return sum(arrived > since for arrived, _ in self.times.get(source, ())) >= frames

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.destroy(linger=0)


class Client:
    """A plain pyzmq client of a daemon whose addresses are `e` and `q` in a folder: hears events, and asks.

    Args:
        place: the folder.
        topics: prefixes of what to hear; all by default.

    Attributes:
        ANSWER_MS: how long `ask` waits.
    """

    ANSWER_MS = 20_000

    def __init__(self, place: Path, topics: Sequence[bytes] = (b"",)) -> None:
        self.place = place
        self.context = zmq.Context()
        self.events = self.context.socket(zmq.SUB)
        self.events.setsockopt(zmq.RECONNECT_IVL, 20)
        for topic in topics:
            self.events.setsockopt(zmq.SUBSCRIBE, topic)
        self.events.connect(f"ipc://{place}/e")
        self.query = self.context.socket(zmq.REQ)
        self.query.connect(f"ipc://{place}/q")

    def until(self, wanted: Callable[[dict], object], seconds: float = 120.0) -> dict:
        """Take messages until one satisfies `wanted`, and return it."""
        deadline = time.monotonic() + seconds
        last = None
        while time.monotonic() < deadline:
            if self.events.poll(100):
                last = json.loads(self.events.recv_multipart()[1])
                if wanted(last):
                    return last
        raise AssertionError(f"not seen in {seconds} s; the last was {last}")

    def event(self, phase: str, name: str) -> dict:
        """The next event of that phase and name."""
        wanted = (phase, name)
        return self.until(lambda m: m["type"] == "event" and (m["data"]["phase"], m["data"]["name"]) == wanted)["data"]

    def runs(self) -> None:
        """Wait until the source `cam` says that it runs."""
        self.until(lambda m: m["source"] == "cam" and m["data"].get("state") == "running")

    def ask(self, **request: object) -> dict:
        """The reply to a request."""
        self.query.send_json({"v": 1, **request})
        assert self.query.poll(self.ANSWER_MS)
        return self.query.recv_json()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.destroy(linger=0)


def children_of(pid: int) -> list[int]:
    """Process ids of the children of any thread of a process."""
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def roles_of(pid: int) -> dict[str, list[int]]:
    """Process ids of a daemon's children that run, by role, in the order of their start."""
    found: dict[str, list[int]] = {}
    for child in sorted(children_of(pid)):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")  # a dead one has none
        if len(words) > 3:
            found.setdefault(words[3].decode(), []).append(child)
    return found


def gone(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
