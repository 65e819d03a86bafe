"""Events of a real daemon over kill -9 of its publisher, worker or all of it: nothing lost, nothing ended twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from running_daemon import ROOT, roles_of, running, write_sources

from stream.daemon.process import SILENCE_S

sys.path.append(str(ROOT / "tests" / "stream" / "wire"))
from plain_subscriber import PlainSubscriber

HEAD = """
[events]
enter = 0.0
exit = 0.0
margin = -2.0
update_s = 0.2
[publish]
heartbeat_s = 0.2
"""
"""Whoever is seen has an event that goes on."""
SOURCES = ("one", "two")
ONE_A_LOOP = """
[events]
enter = 0.7
exit = 0.7
margin = -2.0
needed = 1
of = 1
hold_s = 0.0
cooldown_s = 0.0
update_s = 0.3
"""
"""Of the recording that is used here: a kick."""
PERIOD_S = 7.68
"""Its length."""


class Heard:
    """Everything that a subscriber got, over any number of daemons."""

    def __init__(self, folder: Path) -> None:
        self.subscriber = PlainSubscriber(f"ipc://{folder}/events", f"ipc://{folder}/query")
        self.messages: list[dict] = []

    def until(self, wanted: Callable[[], object], seconds: float = 100.0) -> None:
        deadline = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < deadline, self.messages[-5:]
            self.messages += [message for message, *_ in self.subscriber.step()]

    def events(self, name: str = "kick") -> list[dict]:
        return [
            message["data"]
            for message in self.messages
            if message.get("type") == "event" and message["data"]["name"] == name
        ]

    def lives(self) -> list[tuple[float, float, dict]]:
        """When each event that has ended was first and last told of (wall clock), and its end."""
        found: dict[str, tuple[float, float, dict]] = {}
        for message in self.messages:
            if message.get("type") == "event" and message["data"]["kind"] != "fault":
                first = found.get(message["data"]["id"], (message["t_pub"],))[0]
                found[message["data"]["id"]] = first, message["t_pub"], {**message["data"], "source": message["source"]}
        return [life for life in found.values() if life[2]["phase"] == "end"]

    def open(self) -> set[str]:
        last = {event["id"]: event["phase"] for event in self.events()}
        return {key for key, phase in last.items() if phase != "end"}

    def check(self) -> None:
        """No gap; each event has one start, then updates, then one end at most."""
        assert not [message["gap"] for message in self.messages if "gap" in message]
        for key in {event["id"] for event in self.events()}:
            phases = [event["phase"] for event in self.events() if event["id"] == key]
            assert phases[0] == "start", phases
            assert set(phases[1:-1]) <= {"update"}, phases


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")


def config(folder: Path) -> Path:
    path = write_sources(folder, 'kind = "synthetic"\nname = "cam"\nfps = 15\npeople = 2')
    text = path.read_text().replace("[publish]\n", HEAD.split("[publish]")[0] + "[publish]\nheartbeat_s = 0.2\n")
    path.write_text(text)
    return path


@pytest.mark.slow
def test_events_over_kills_of_every_process(folder: Path) -> None:
    heard = Heard(folder)
    try:
        with running(config(folder)) as process:
            heard.until(lambda: len(heard.open()) >= 2)
            before = heard.open()
            for _ in range(4):
                seen = len(heard.events())
                os.kill(roles_of(process.pid)["publisher"][0], signal.SIGKILL)
                heard.until(lambda seen=seen: len(heard.events()) >= seen + 6)
            assert heard.open() >= before, "they go on with the worker"
            assert not [event for event in heard.events() if event["reason"] == "crash"]
            left = heard.open()
            os.kill(roles_of(process.pid)["worker"][0], signal.SIGKILL)
            heard.until(lambda: not heard.open() & left)
            assert {event["reason"] for event in heard.events() if event["id"] in left and event["phase"] == "end"} == {
                "crash"
            }
            heard.until(lambda: len(heard.open()) >= 2)
            process.kill()
            process.wait()
        heard.until(lambda: True)
        left = heard.open()
        with running(config(folder)) as process:
            heard.until(lambda: not heard.open() & left, 30)
            ends = [event for event in heard.events() if event["id"] in left and event["phase"] == "end"]
            assert [event["reason"] for event in ends] == ["crash"] * len(left)
            heard.until(lambda: len(heard.open()) >= 2)
            process.terminate()
            assert process.wait(30) == 0
        with running(config(folder)) as process:  # what it said last was on the disk
            heard.until(lambda: len(heard.open()) >= 2)
            process.kill()
        heard.check()
        (journal,) = folder.glob("state/**/journal.db")
        journal.write_bytes(b"no journal at all" * 1000)
        before = len(heard.messages)
        with running(config(folder)) as process:
            heard.until(lambda: len(heard.events("journal-broken")) == 2)
            heard.until(lambda: len(heard.open()) >= 2)
            process.terminate()
            assert process.wait(30) == 0
        told = [message["gap"] for message in heard.messages[before:] if "gap" in message]
        assert {last for _, _, _, last in told} == {None}, "what the damaged one held cannot be had, and that is told"
        assert journal.with_name("journal.db.corrupt").exists()
        assert "Traceback" not in (folder / "daemon.log").read_text()
    finally:
        heard.subscriber.context.destroy(linger=0)


@pytest.mark.slow
def test_what_a_publisher_had_not_read_when_it_was_killed_is_told_by_the_next(folder: Path) -> None:
    """Events that begin and end while it stands still, which nobody but the worker knows of."""
    heard = Heard(folder)
    source = (
        f'kind = "file"\nname = "{{}}"\npath = "{ROOT / "stream" / "demo" / "Seq1_10.csv"}"\nloop = true\nspeed = 3.0'
    )
    path = write_sources(folder, *(source.format(name) for name in SOURCES), head=ONE_A_LOOP)
    # With skeletons the sockets would be full in a second, and what comes then waits in the worker.
    path.write_text(path.read_text().replace(f'skeletons = "ipc://{folder}/skeletons"', ""))
    try:
        with running(path) as process:
            heard.until(lambda: len(heard.lives()) >= 4)
            for _ in range(2):
                publisher = roles_of(process.pid)["publisher"][0]
                os.kill(publisher, signal.SIGSTOP)
                time.sleep(3 * PERIOD_S / 3.0)
                os.kill(publisher, signal.SIGKILL)
                stopped = time.time()
                heard.until(lambda stopped=stopped: sum(ends > stopped for _, ends, _ in heard.lives()) >= 8)
                late = [ends - starts for starts, ends, _ in heard.lives() if starts > stopped]
                assert min(late) < 0.1, "they had begun and ended before it was there"
            process.terminate()
            assert process.wait(30) == 0
        with running(path) as process:
            heard.until(lambda: not heard.open())
            process.kill()
        heard.check()
        assert not [event for event in heard.events() if event["reason"] == "crash"]
        assert not heard.events("events-lost")
        for name in SOURCES:
            starts = [data["t_start"] for _, _, data in heard.lives() if data["source"] == name]
            steps = [after - before for before, after in pairwise(starts)]
            assert len(steps) >= 6
            assert max(abs(step - PERIOD_S) for step in steps) < PERIOD_S / 4, "one a loop, each once and in order"
    finally:
        heard.subscriber.context.destroy(linger=0)


@pytest.mark.slow
def test_a_full_disk_is_told_and_recovers(folder: Path) -> None:
    state = folder / "state"
    state.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", str(state)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    heard = Heard(folder)
    try:
        with running(config(folder)) as process:
            heard.until(lambda: len(heard.open()) >= 2)
            with (state / "filler").open("wb", buffering=0) as file:
                while shutil.disk_usage(state).free:
                    file.write(bytes(4096))
            heard.until(lambda: heard.events("journal-failed"))
            (start,) = heard.events("journal-failed")
            assert (start["phase"], start["severity"], start["kind"]) == ("start", "critical", "fault")
            assert "full" in start["prompt"]
            seen = len(heard.events())
            heard.until(lambda: len(heard.events()) >= seen + 10)
            (state / "filler").unlink()
            heard.until(lambda: len(heard.events("journal-failed")) == 2)
            assert heard.events("journal-failed")[1]["reason"] == "recovered"
            seen = len(heard.events())
            os.kill(roles_of(process.pid)["publisher"][0], signal.SIGKILL)
            heard.until(lambda: len(heard.events()) >= seen + 6)
            process.terminate()
            assert process.wait(30) == 0
        heard.check()
    finally:
        heard.subscriber.context.destroy(linger=0)
        subprocess.run(["umount", "--lazy", str(state)], check=True)


@contextmanager
def own_disk(state: Path, image: Path) -> Iterator[None]:
    """A file system of its own for the state folder, which can be frozen: then whoever writes to it waits."""
    with image.open("wb") as file:
        file.truncate(64 << 20)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(state)]):
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be made here: {done.stderr.strip()}")
    state.chmod(0o700)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True)


@contextmanager
def frozen(state: Path) -> Iterator[None]:
    subprocess.run(["fsfreeze", "--freeze", str(state)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(state)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fsfreeze") is None, reason="fsfreeze is not installed")
def test_a_disk_that_hangs_is_told_and_recovers(folder: Path) -> None:
    """For longer than the supervisor waits for a process that hangs."""
    state = folder / "state"
    state.mkdir()
    heard = Heard(folder)
    try:
        with own_disk(state, folder / "image"), running(config(folder)) as process:
            heard.until(lambda: len(heard.open()) >= 2)
            publisher = roles_of(process.pid)["publisher"]
            with frozen(state):
                until = time.monotonic() + SILENCE_S + 3
                heard.until(lambda: heard.events("journal-failed"))
                (start,) = heard.events("journal-failed")
                assert (start["phase"], start["severity"]) == ("start", "critical")
                assert "the disk has not answered for 2 s" in start["prompt"]
                while time.monotonic() < until:
                    seen = len(heard.events())
                    heard.until(lambda seen=seen: len(heard.events()) >= seen + 3)
                late = Heard(folder)
                try:
                    late.until(lambda: len(late.events()) >= 3)  # it asks for a snapshot first
                finally:
                    late.subscriber.context.destroy(linger=0)
                assert roles_of(process.pid)["publisher"] == publisher
            heard.until(lambda: len(heard.events("journal-failed")) == 2)
            assert heard.events("journal-failed")[1]["reason"] == "recovered"
            seen = len(heard.events())
            os.kill(publisher[0], signal.SIGKILL)
            heard.until(lambda: len(heard.events()) >= seen + 6)
            process.terminate()
            assert process.wait(30) == 0
        heard.check()
        assert "publisher hangs" not in (folder / "daemon.log").read_text()
    finally:
        heard.subscriber.context.destroy(linger=0)
