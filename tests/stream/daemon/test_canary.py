"""Cameras' passwords are nowhere: not in what any command prints, sends, keeps or is called, whatever fails."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import zmq
from camera_server import CameraServer, StrictRtsp, nobody_seen
from canary import CANARY, FINCH, ProcessWatch, assert_absent, forms
from running_daemon import POSEWIRE, ROOT, write_sources

if sys.platform == "linux":
    import termios

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and needs a pseudo-terminal")
HEAD = "[capture]\nstall_s = 2.0\nfault_after_s = 0.5\n"
SOURCE = 'kind = "video"\nname = "{name}"\nurl = "{url}"\nuser = "me"\n{password}'
ENV, FILE = 'password_env = "KANARIENVOGEL"', 'password_file = "secret"'
KINDS = ("status", "alarm")
LOST = ("absent", "strict", "strict-rtsp", "dying", "placed")
"""Sources, all of which are lost in the end; the last two give some images before."""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a configuration, and its cameras at work."""
    pytest.importorskip("cv2", reason="OpenCV cannot be imported", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("k")
    monkeypatch.setenv("PYTHONPATH", nobody_seen(tmp_path_factory.mktemp("stand-in")))
    monkeypatch.setenv("KANARIENVOGEL", CANARY)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("PYTHONUTF8", "1")
    for name, value in {"VIDEOIO_DEBUG": "1", "LOG_LEVEL": "DEBUG", "FFMPEG_DEBUG": "1"}.items():
        monkeypatch.setenv(f"OPENCV_{name}", value)  # each of them has URLs quoted
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "56")
    (folder / "secret").write_text(FINCH + "\n")
    (folder / "secret").chmod(0o600)
    absent, strict = CameraServer(), CameraServer(user="me", password="other")
    dying, placed = CameraServer(fps=50, user="me", password=FINCH), CameraServer(fps=50)
    rtsp = StrictRtsp()
    dying.limit = placed.limit = 50
    with ExitStack() as stack:
        stack.callback(rtsp.close)
        for camera in (absent, strict, dying, placed):
            stack.enter_context(camera)
        absent.stop()
        place = placed.url.replace("/stream", "/user={user}&password={password}&channel=1")
        urls = (absent.url, strict.url, rtsp.url, dying.url, place)
        passwords = (ENV, FILE, ENV, FILE, ENV)
        sources = [
            SOURCE.format(name=name, url=url, password=password)
            for name, url, password in zip(LOST, urls, passwords, strict=True)
        ]
        write_sources(folder, *sources, head=HEAD)
        with ProcessWatch(os.getpid()) as watch:
            yield folder
        # They did arrive where they belong.
        assert any(login == f"me:{FINCH}" for login in dying.logins)
        assert any(login == f"me:{FINCH}" for login in strict.logins)
        assert f"/user=me&password={forms(CANARY)[1]}&channel=1" in placed.paths
        assert "Authorization: Basic" in rtsp.requests
    assert any(b"stream.daemon" in title or b"stream.cli" in title for title in watch.titles)
    for title in watch.titles:
        for secret in (CANARY, FINCH):
            assert_absent(secret, "a command line", title)
    for environment in watch.environments.values():
        assert_absent(FINCH, "an environment", environment)
        assert_absent(CANARY, "an environment", environment.replace(f"KANARIENVOGEL={CANARY}".encode(), b""))
    (folder / "secret").unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            for secret in (CANARY, FINCH):
                assert_absent(secret, str(path), path.read_bytes())


def nowhere(where: str, written: bytes) -> str:
    """What was written, with no password in it and no escape sequences."""
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", written)
    for secret in (CANARY, FINCH):
        assert_absent(secret, where, written)
        assert_absent(secret, where, re.sub(rb"\s+", b" ", plain))  # lines may be broken
    return plain.decode()


def shows(name: str, written: bytes) -> bool:
    """Whether what was written so far says that a source is lost."""
    return re.search(rf"{name} +lost", nowhere("what is shown", bytes(written))) is not None


class Everything:
    """Subscribes to everything that a daemon publishes.

    Attributes:
        heard: all of it, byte for byte.
        states: by source, every state so far.
        faults: names of the sources that have one.
    """

    def __init__(self, folder: Path) -> None:
        self.context = zmq.Context()
        self.folder = folder
        self.heard: list[bytes] = []
        self.states: dict[str, list[str]] = {name: [] for name in LOST}
        self.faults: set[str] = set()
        self.stopped = False
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        for name in ("events", "skeletons"):
            self.socket.connect(f"ipc://{folder}/{name}")

    def until_lost(self, seconds: float = 120.0) -> None:
        """Take what comes until every source has been lost, the last two after they ran."""
        until = time.monotonic() + seconds
        while not (self.faults == set(LOST) and all("running" in self.states[name] for name in LOST[-2:])):
            assert time.monotonic() < until, (self.states, self.faults)
            self.take()

    def take(self) -> None:
        while self.socket.poll(100):
            parts = self.socket.recv_multipart()
            self.heard += parts
            message = json.loads(parts[1])
            if message["type"] == "status" and message["source"] in self.states:
                self.states[message["source"]].append(message["data"]["state"])
            if message["type"] == "event" and message["data"]["kind"] == "fault":
                self.faults.add(message["source"])

    def ask(self) -> None:
        """Take a snapshot and all statuses and alarms again."""
        with self.context.socket(zmq.REQ) as socket:
            socket.connect(f"ipc://{self.folder}/query")
            for more in ({"type": "snapshot"}, *({"type": "after", "kind": kind, "seq": 0} for kind in KINDS)):
                socket.send_json({"v": 1, "id": "1", **more})
                assert socket.poll(20_000)
                self.heard.append(socket.recv())
                assert b'"error"' not in self.heard[-1][:40]

    def __enter__(self) -> Everything:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.destroy(linger=0)
        nowhere("the wire", b"\n".join(self.heard))


@contextmanager
def started(folder: Path, *words: str, terminal: bool = False) -> Iterator[bytearray]:
    """A program and what it writes, which is complete after the block, in which it is stopped with SIGINT."""
    written = bytearray()
    reader, writer = os.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(writer, (30, 200))
    command = [*POSEWIRE, *words, "--config", str(folder / "test.toml")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, cwd=ROOT)
    os.close(writer)

    def listen() -> None:
        while True:
            try:
                said = os.read(reader, 65_536)
            except OSError:  # of a terminal, the last one that had it open is gone
                return
            if not said:
                return
            written.extend(said)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield written
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        thread.join(20)
        os.close(reader)


@pytest.mark.parametrize("terminal", [False, True])
def test_passwords_are_nowhere_while_a_daemon_runs(site: Path, terminal: bool) -> None:
    with Everything(site) as wire, started(site, "run", terminal=terminal) as written:
        wire.until_lost()
        wire.ask()
        until = time.monotonic() + 30
        while not all(shows(name, written) for name in LOST) and time.monotonic() < until:
            time.sleep(0.1)  # the table is drawn
    said = nowhere("the terminal" if terminal else "the output", bytes(written))
    assert all(shows(name, said.encode()) for name in LOST)
    assert "/user={user}&password={password}&channel=1" in said
    assert ("frames/s" in said) == terminal


@pytest.mark.slow
def test_passwords_are_nowhere_in_what_the_other_commands_write(site: Path) -> None:
    def posewire(*words: str, code: int, config: bool = True) -> str:
        command = [*POSEWIRE, *words, *(["--config", str(site / "test.toml")] if config else [])]
        done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=120)
        said = nowhere(words[0], done.stdout + done.stderr)
        assert done.returncode == code, said
        return said

    said = posewire("check", code=2)
    for name in LOST[:3]:
        assert f"{name}: " in said
    assert "the stream ended" in said
    posewire("devices", "--json", code=0, config=False)
    recording, page, lines = site / "all.pwr", site / "page.html", site / "lines.ndjson"
    posewire("record", "--out", str(recording), "--seconds", "8", code=0)
    posewire("replay", str(recording), "--speed", "max", "--report", str(page), "--out", str(lines), code=0)
    assert recording.stat().st_size > 1000
    assert page.is_file()
