"""Nothing that a publisher has committed is lost, whoever is killed, paused or cut off: real processes, seeded.

The short form: pytest -m slow --log-cli-level INFO tests/stream/wire/test_chaos.py
The long one (CHAOS_SECONDS=180, CHAOS_SEED=1): pytest -m soak --log-cli-level INFO tests/stream/wire/test_chaos.py
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from tcp_proxy import TcpProxy

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KILLS = 10
CATCH_UP_S = 60.0

log = logging.getLogger(__name__)


def python(script: str, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    """A script of this folder as a process; the plain subscriber finds nothing of the project."""
    path = "" if script.startswith("plain") else f"{ROOT}{os.pathsep}{HERE}"
    return subprocess.Popen(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        **options,  # type: ignore[call-overload]
    )


class Publisher:
    """The publisher's processes, one after the other.

    Attributes:
        acknowledged: the ids that they said were committed, in order.
    """

    def __init__(self, folder: Path, rate: float) -> None:
        self.folder, self.rate = folder, rate
        self.acknowledged: list[str] = []
        self.runs = 0
        self.start()

    def start(self) -> None:
        self.runs += 1
        self.ready = threading.Event()
        self.process = python("chaos_publisher.py", self.folder, self.runs, self.rate, stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read, args=(self.process, self.ready))
        self.thread.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.thread.join()

    def _read(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        for line in process.stdout:  # type: ignore[union-attr]
            if line == b"ready\n":
                ready.set()
            elif line.endswith(b"\n"):
                self.acknowledged.append(line.decode().strip())
        process.stdout.close()  # type: ignore[union-attr]


@dataclass
class Subscriber:
    """The processes of one subscriber, one after the other."""

    name: str
    path: Path
    arguments: tuple[object, ...]
    script: str = "chaos_subscriber.py"
    process: subprocess.Popen[bytes] | None = None
    runs: int = 0
    lines: list[dict] = field(default_factory=list)

    def start(self) -> None:
        self.runs += 1
        self.process = python(self.script, *self.arguments)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def last(self) -> dict:
        """The last line that it wrote."""
        lines = self._tail()
        return json.loads(lines[-1]) if lines else {}

    def newest(self) -> str:
        """The id of the last alarm that it wrote; a publisher that had nothing more to say may have come after it."""
        ids = [json.loads(line).get("id", "") for line in self._tail()]
        return next(filter(None, reversed(ids)), "")

    def _tail(self) -> list[bytes]:
        with self.path.open("rb") as file:
            start = max(self.path.stat().st_size - 4096, 0)
            file.seek(start)
            lines = file.read().split(b"\n")[:-1]  # the last one may be half written
        return lines[1:] if start else lines

    def check(self, acknowledged: list[str]) -> None:
        """Everything acknowledged since its first word is there, once and in order, and nothing was given up."""
        self.lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        assert not [line["gap"] for line in self.lines if "gap" in line], self.name
        alarms = [line for line in self.lines if line.get("kind") == "alarm"]
        ids = [line["id"] for line in alarms]
        assert ids == sorted(set(ids)), f"{self.name}: twice or not in order"
        missing = {name for name in acknowledged if name >= ids[0]} - set(ids)
        assert not missing, f"{self.name}: {len(missing)} lost, such as {sorted(missing)[:3]}"
        numbers = [(line["epoch"], line["seq"]) for line in alarms]
        for before, after in pairwise(numbers):
            assert after[1] == (before[1] + 1 if after[0] == before[0] else 1), self.name

    def latencies(self) -> list[float]:
        """Seconds from an alarm's numbering, just before its commit, until it was received."""
        return sorted(line["now"] - line["t_pub"] for line in self.lines if line.get("kind") == "alarm")


def quantile(values: list[float], share: float) -> float:
    return values[min(int(share * len(values)), len(values) - 1)]


@contextmanager
def paused(process: subprocess.Popen[bytes]) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def wait_until(done: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def chaos(folder: Path, seconds: float, seed: int, rate: float) -> None:
    with ExitStack() as stack:
        proxies = [stack.enter_context(TcpProxy(str(folder / name))) for name in ("events", "query")]
        plain, proxied = (f"ipc://{folder}/events", f"ipc://{folder}/query"), tuple(each.endpoint for each in proxies)

        def subscriber(
            name: str, ends: tuple[str, ...], *more: object, script: str = "chaos_subscriber.py"
        ) -> Subscriber:
            path = folder / f"{name}.lines"
            path.touch()
            found = Subscriber(name, path, (*ends, path, *more), script)
            stack.callback(found.kill)
            return found

        good = subscriber("good", plain)
        far = subscriber("far", proxied)
        slow = subscriber("slow", plain, 0.4 / rate)
        other = subscriber("plain", plain, script="plain_subscriber.py")
        late = subscriber("late", plain)
        publisher = Publisher(folder, rate)
        stack.callback(lambda: publisher.kill())
        early = [good, far, slow, other]
        for each in early:
            each.start()
        wait_until(lambda: all(each.last() for each in early), 30, "nobody joined")
        storm(random.Random(seed), seconds, publisher, early, late, proxies)
        (folder / "enough").touch()
        publisher.ready.wait(30)
        time.sleep(0.5)
        produced = time.monotonic()
        last = publisher.acknowledged[-1]
        everybody = [*early, late]
        wait_until(lambda: all(each.newest() >= last for each in everybody), CATCH_UP_S, "not all of it came")
        caught_up = time.monotonic() - produced
        for each in everybody:
            each.kill()
            each.check(publisher.acknowledged)
        told = publisher.acknowledged
        log.info(
            f"{len(told)} alarms acknowledged in {seconds:.0f} s by {publisher.runs} publishers, "
            f"{sum(each.runs for each in everybody)} subscribers: none lost, none twice, in order; "
            f"the last one had all {caught_up:.1f} s after the end"
        )
        for each in everybody:
            late_s = each.latencies()
            log.info(
                f"{each.name}: {len(late_s)} alarms, {each.runs} runs, "
                f"{1000 * quantile(late_s, 0.5):.1f} ms median, {1000 * quantile(late_s, 0.99):.0f} ms p99"
            )


def storm(
    random_: random.Random,
    seconds: float,
    publisher: Publisher,
    early: list[Subscriber],
    late: Subscriber,
    proxies: list[TcpProxy],
) -> None:
    """Everything that may happen, in any order, for so long."""
    rounds = max(KILLS, round(seconds / 6))
    deeds = ["publisher", "subscriber"] * rounds + ["pause publisher", "pause subscriber", "reset", "hold"] * (
        rounds // 3
    )
    random_.shuffle(deeds)
    began = time.monotonic()
    for number, deed in enumerate(deeds):
        time.sleep(max(0.0, began + seconds * number / len(deeds) - time.monotonic()))
        if number == len(deeds) // 2:
            late.start()
        victim = random_.choice(early)
        length = random_.uniform(0.2, 1.0)
        if deed == "publisher":
            publisher.ready.wait(30)
            time.sleep(random_.uniform(0.0, 0.3))
            publisher.kill()
            publisher.start()
        elif deed == "subscriber":
            victim.kill()
            time.sleep(random_.uniform(0.0, 0.3))
            victim.start()
        elif deed == "pause publisher":
            with paused(publisher.process):
                time.sleep(length)
        elif deed == "pause subscriber" and victim.process is not None:
            with paused(victim.process):
                time.sleep(length)
        elif deed == "reset":
            random_.choice(proxies).reset()
        elif deed == "hold":
            proxy = random_.choice(proxies)
            proxy.hold(True)
            time.sleep(length)
            proxy.hold(False)
            if random_.random() < 0.5:
                proxy.reset()
    assert publisher.runs > KILLS
    assert sum(each.runs - 1 for each in early) >= KILLS


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_chaos(tmp_path_factory: pytest.TempPathFactory) -> None:
    chaos(tmp_path_factory.mktemp("c"), 20.0, seed=7, rate=300.0)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_long_chaos(tmp_path_factory: pytest.TempPathFactory) -> None:
    seconds = float(os.environ.get("CHAOS_SECONDS", "180"))
    chaos(tmp_path_factory.mktemp("c"), seconds, int(os.environ.get("CHAOS_SEED", "1")), rate=300.0)


REPLAYER = """
import json, sys, zmq
query, epoch = sys.argv[1:]
with zmq.Context() as context, context.socket(zmq.REQ) as socket:
    socket.connect(query)
    seq = count = 0
    while True:
        socket.send_json({"v": 1, "type": "after", "kind": "alarm", "seq": seq, "epoch": epoch})
        reply = json.loads(socket.recv())
        seq = reply["messages"][-1]["seq"] if reply["more"] else 0
        print(len(reply["messages"]), flush=True)
"""
"""Reads an earlier epoch again and again, as fast as it is given."""


def steady(folder: Path, seconds: float, rate: float, replayers: int) -> float:
    """Eight good subscribers beside a slow one and one that reads nothing; p99 in seconds of all good ones."""
    ends = f"ipc://{folder}/events", f"ipc://{folder}/query"
    with ExitStack() as stack:
        first = Publisher(folder, rate)
        wait_until(lambda: len(first.acknowledged) > 5_000, 30, "no alarms")
        first.kill()
        everybody: list[Subscriber] = []
        for number in range(10):
            path = folder / f"{replayers}-{number}.lines"
            path.touch()
            everybody.append(Subscriber(f"{number}", path, (*ends, path, *((4 / rate,) if number == 8 else ()))))
            stack.callback(everybody[-1].kill)
        publisher = Publisher(folder, rate)
        publisher.runs = 2
        stack.callback(publisher.kill)
        for each in everybody:
            each.start()
        wait_until(lambda: all(each.last() for each in everybody), 60, "nobody joined")
        good, dead = everybody[:8], everybody[9]
        epoch = json.loads(good[0].path.read_text().splitlines()[0])["position"][0]
        stack.enter_context(paused(dead.process))  # type: ignore[arg-type]
        readers = [
            subprocess.Popen([sys.executable, "-c", REPLAYER, ends[1], epoch], stdout=subprocess.PIPE)
            for _ in range(replayers)
        ]
        for reader in readers:
            stack.callback(reader.wait)
            stack.callback(reader.stdout.close)  # type: ignore[union-attr]
            stack.callback(reader.kill)
        began, before = time.time(), len(publisher.acknowledged)
        replayed = [0]
        for reader in readers:
            threading.Thread(target=_count, args=(reader, replayed), daemon=True).start()
        time.sleep(seconds)
        made = len(publisher.acknowledged) - before
        took = time.time() - began
        (folder / "enough").touch()
        time.sleep(0.5)
        last = publisher.acknowledged[-1]
        wait_until(lambda: all(each.newest() >= last for each in good), CATCH_UP_S, "not all of it came")
        for each in good:
            each.kill()
            each.check(publisher.acknowledged)
        late = sorted(
            line["now"] - line["t_pub"]
            for each in good
            for line in each.lines
            if began + 1 < line.get("t_pub", 0) < began + took
        )
        (folder / "enough").unlink()
        log.info(
            f"{made / took:.0f} alarms/s for {took:.0f} s to {len(good)} good ones beside a slow and a dead one, "
            f"{replayers} replays at {replayed[0] / took:.0f} messages/s: none lost; from numbering to subscriber "
            f"{1000 * quantile(late, 0.5):.1f} ms median, {1000 * quantile(late, 0.99):.1f} ms p99"
        )
        return quantile(late, 0.99)


def _count(reader: subprocess.Popen[bytes], total: list[int]) -> None:
    for line in reader.stdout:  # type: ignore[union-attr]
        total[0] += int(line)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_steady(tmp_path_factory: pytest.TempPathFactory) -> None:
    """How many alarms a second, how late, and what replays make of it: printed, as it depends on the machine."""
    rate, seconds = float(os.environ.get("STEADY_RATE", "2000")), float(os.environ.get("STEADY_SECONDS", "20"))
    for replayers in (0, 2):
        assert steady(tmp_path_factory.mktemp("s"), seconds, rate, replayers) > 0
