"""A real sink process, fed by a real publisher process, as the supervisor would run it; and servers to be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from stream.config_file import parse_config
from stream.daemon.child import STOP, Orders
from stream.daemon.control import Control
from stream.daemon.process import ChildProcess

WIRE = Path(__file__).parents[1] / "wire"
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


def tool(name: str) -> str | None:
    """Path of a program, None where it is not installed."""
    return shutil.which(name, path=PATH)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Certificate and key, by openssl, of a name (`DNS:localhost`) that trusts itself."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-addext"]
    command = [*words, f"subjectAltName={name}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


class _Talking(ABC):
    """A process whose lines are taken in while it runs; use in a `with` block."""

    def start(self) -> None:
        """Start it, or start it again."""
        self._process = self._begin()
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout], daemon=True)
        self._reader.start()

    def kill(self) -> None:
        """Kill it, and take what it still said."""
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @abstractmethod
    def _begin(self) -> subprocess.Popen[str]:
        """Start it."""

    @abstractmethod
    def _read(self, lines: Any) -> None:
        """Take what it says, until it says no more."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class Feed(_Talking):
    """A publisher process of alarms; use in a `with` block.

    Attributes:
        committed: ids of its alarms in order, each once it was durable.
    """

    def __init__(self, folder: Path, rate: float) -> None:
        self._folder, self._rate = folder, rate
        self._runs = 0
        self.committed: list[str] = []

    def enough(self) -> None:
        """Have it publish nothing new."""
        (self._folder / "enough").touch()
        time.sleep(0.3)  # what is on its way to us is told of

    def _begin(self) -> subprocess.Popen[str]:
        self._runs += 1
        return subprocess.Popen(
            [sys.executable, str(WIRE / "chaos_publisher.py"), str(self._folder), str(self._runs), str(self._rate)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(WIRE), str(WIRE.parents[2])])},
        )

    def _read(self, lines: Any) -> None:
        self.committed.extend(line.strip() for line in lines if line.endswith("\n") and line != "ready\n")


class SinkBench:
    """One sink of a daemon, its child process looked after as the supervisor does; use in a `with` block.

    Args:
        folder: of everything; a short path.
        sink: its `[[sinks]]` block.
    """

    def __init__(self, folder: Path, sink: dict[str, Any]) -> None:
        (folder / "state").mkdir(mode=0o700, exist_ok=True)
        data = {
            "node": {"name": "n", "state": str(folder / "state")},
            "publish": {"events": f"ipc://{folder}/events", "query": f"ipc://{folder}/query", "heartbeat_s": 0.25},
            "sinks": [{"name": "x", **sink}],
        }
        self.folder = folder / "state" / "sinks"
        self._config = parse_config(data, folder / "test.toml")
        self.child = ChildProcess("sink.x", "sink")
        self.control = Control(folder, [self.child], lambda _child, _message: None)

    def start(self) -> None:
        """Start its process."""
        orders = Orders(
            name=self.child.name,
            parent=os.getpid(),
            control=self.control.endpoint,
            frames="",
            outputs="",
            config_path="test.toml",
            config=self._config.model_dump(mode="json"),
        )
        self.child.start(msgspec.convert(msgspec.to_builtins(orders), Orders), time.monotonic())

    def until(self, wanted: Callable[[], object], seconds: float = 40.0) -> None:
        """Look after the process until something holds."""
        deadline = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < deadline, self.child.counts
            self.control.listen(20)
            if self.child.restart_at is not None and time.monotonic() >= self.child.restart_at:
                self.start()
            else:
                self.child.look(time.monotonic())

    def kill(self) -> None:
        """Kill its process, which is then started again."""
        assert self.child.process is not None
        os.kill(self.child.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ask its process to end, and wait for it."""
        deadline = time.monotonic() + 20
        while not self.child.reap():
            assert time.monotonic() < deadline
            self.control.order([self.child], STOP)
            self.control.listen(20)
        assert self.child.code == 0

    def __enter__(self) -> Self:
        self.control.__enter__()
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.child.process is not None:
            self.child.process.kill()
            self.child.process.wait()
        self.control.__exit__(None, None, None)


def check_complete(delivered: list[tuple[str, str]], committed: list[str], *, most_twice: int) -> None:
    """Everything that was committed came, in order; what came twice has the same key both times.

    Args:
        delivered: key and event id of each message as it came; the key is what receivers tell messages apart by.
        committed: event ids.
        most_twice: how many may have come more than once.
    """
    first = list(dict.fromkeys(delivered))
    events = [event for _, event in first]
    # A publisher that is killed may have published what it could no longer tell us of.
    untold = set(events) - set(committed)
    assert [event for event in events if event not in untold] == committed, set(committed) - set(events)
    assert events == sorted(events)
    assert len({key for key, _ in first}) == len(first)
    assert len(delivered) - len(first) <= most_twice, "each kill may have one message sent twice"


class WebServer(_Talking):
    """`web_server.py` as a process to be killed; use in a `with` block.

    Attributes:
        taken: the requests it took, in order, over all its lives: status, headers, body, path; and when, monotonic.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.taken: list[dict[str, Any]] = []
        self._rules = folder / "rules.json"
        self.rules()

    def rules(self, **rules: object) -> None:
        """How to answer from now on."""
        part = self._rules.with_suffix(".part")
        part.write_text(msgspec.json.encode({**rules, "now": time.time()}).decode())
        part.replace(self._rules)

    def accepted(self) -> list[dict[str, Any]]:
        """The requests that were answered with 204."""
        return [request for request in self.taken if request["status"] == 204]

    def is_up(self) -> bool:
        """Whether it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("web_server.py")), str(self.port), str(self._rules)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def _read(self, lines: Any) -> None:
        for line in lines:
            self.taken.append({**msgspec.json.decode(line), "at": time.monotonic()})
