"""Faults of messaging: connections that break, subscribers that stall, peers that misbehave, addresses in use, a past
that is no longer kept."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from running_daemon import ROOT

from stream.durable_journal import DurableJournal
from stream.endpoints import EndpointError
from stream.journal_store import JournalStore
from stream.messages import Message
from stream.position import Position
from stream.publisher import Publisher
from stream.sequence import Gap
from stream.sockets import PublisherSockets
from stream.subscriber import Subscriber
from tests.faults.catalogue import fault
from tests.faults.heard import Heard, until
from tests.faults.needs import network_namespace
from tests.faults.scene import HALL, SEEN, Daemon, Scene
from tests.stream.wire.tcp_proxy import TcpProxy
from tests.stream.wire.wire_samples import make_event, pump

SUBSCRIBER = ROOT / "tests" / "stream" / "wire" / "chaos_subscriber.py"
PEER = ROOT / "tests" / "stream" / "security" / "hostile_peer.py"
RAW = ("huge_frames", "endless_multipart")
"""Attacks that speak TCP themselves."""
MOST_MIB = 1024
"""What the publisher may never hold: it drops its peers above 768 MiB, and looks fifty times a second."""
EACH_ONCE = "each alarm once and in order, none lost"
OTHERS = "the good subscriber beside it gets each alarm, once, in order and in time"


def numbers_of(heard: Heard, since: int = 0) -> list[int]:
    """Numbers of the alarms that came; those of each publisher begin anew."""
    return [one.seq for one in heard.envelopes(since) if one.type == "event"]


def in_order(numbers: Sequence[int]) -> str:
    """Check that no alarm is missing, twice or out of order; how many there are."""
    assert numbers
    assert list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    return f"{len(numbers)} of {len(numbers)} alarms, 0 twice"


@contextmanager
def far(daemon: Daemon) -> Iterator[tuple[Heard, tuple[TcpProxy, TcpProxy]]]:
    """Somebody who hears the daemon through a network, once alarms have come; afterwards all of them must have."""
    with (
        TcpProxy(str(daemon.folder / "events")) as events,
        TcpProxy(str(daemon.folder / "query")) as query,
        Heard(daemon.folder, events.endpoint, query.endpoint) as heard,
    ):
        until(lambda: heard.events(SEEN), 30)
        yield heard, (events, query)
        last = numbers_of(daemon.heard)[-1]
        until(lambda: numbers_of(heard)[-1] >= last, 60, lambda: (numbers_of(heard)[-1], last))
        heard.check()


@fault(
    "messaging",
    "the connections of a subscriber are reset",
    how="a TCP proxy resets both of them 20 times in five seconds",
    required=EACH_ONCE,
    slow=True,
)
def resets(scene: Scene) -> str:
    with scene.shared() as daemon:
        with far(daemon) as (heard, proxies):
            for _ in range(20):
                for proxy in proxies:
                    proxy.reset()
                time.sleep(0.25)
        return f"{in_order(numbers_of(heard))}; 20 resets of both connections"


@fault(
    "messaging",
    "the network swallows everything",
    how="a TCP proxy passes on nothing for four seconds, keeps the connections, and then resets them",
    required=EACH_ONCE,
    slow=True,
)
def black_hole(scene: Scene) -> str:
    with scene.shared() as daemon:
        with far(daemon) as (heard, proxies):
            for proxy in proxies:
                proxy.hold(True)
            time.sleep(0.5)
            mark = heard.mark
            time.sleep(3.5)
            assert heard.mark == mark
            for proxy in proxies:
                proxy.reset()
                proxy.hold(False)
            took = until(lambda: heard.events(SEEN, since=mark), 30)
        return f"{in_order(numbers_of(heard))}; the first {took:.1f} s after the end"


class Other:
    """A subscriber as a process of its own, which writes down what it gets."""

    def __init__(self, daemon: Daemon, path: Path, pause_s: float = 0.0) -> None:
        self.path = path
        ends = [f"ipc://{daemon.folder}/{name}" for name in ("events", "query")]
        self.process = subprocess.Popen(
            [sys.executable, str(SUBSCRIBER), *ends, str(path), str(pause_s)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    @property
    def numbers(self) -> list[int]:
        """Of its alarms."""
        lines = [json.loads(line) for line in self.path.read_text().split("\n")[:-1]] if self.path.exists() else []
        assert not [line for line in lines if "gap" in line]
        return [line["seq"] for line in lines if "seq" in line]  # a snapshot has none


@contextmanager
def another(scene: Scene, daemon: Daemon, pause_s: float = 0.0) -> Iterator[Other]:
    """Another subscriber, who has heard something by now."""
    other = Other(daemon, scene.folder / "lines", pause_s)
    try:
        until(lambda: other.numbers, 60)
        yield other
    finally:
        other.process.kill()
        other.process.wait()


@fault(
    "messaging",
    "a subscriber is stopped",
    how="SIGSTOP for five seconds",
    required=f"{EACH_ONCE}; {OTHERS}",
    slow=True,
)
def stopped(scene: Scene) -> str:
    with scene.shared() as daemon:
        with another(scene, daemon) as other:
            mark, before = daemon.heard.mark, len(other.numbers)
            other.process.send_signal(signal.SIGSTOP)
            try:
                time.sleep(5)
            finally:
                other.process.send_signal(signal.SIGCONT)
            last = numbers_of(daemon.heard)[-1]
            took = until(lambda: other.numbers[-1] >= last, 30)
            silence = daemon.heard.longest_silence(SEEN, "cam", mark)
            missed = len(other.numbers) - before
        return f"{in_order(other.numbers)}, {missed} of them {took:.1f} s after it; others' silence {silence:.1f} s"


@fault(
    "messaging",
    "a subscriber is too slow",
    how="it takes half a second for each alarm, of which there are several in that time",
    required=f"{EACH_ONCE}, later and later; {OTHERS}",
    slow=True,
)
def slow(scene: Scene) -> str:
    with scene.shared() as daemon:
        with another(scene, daemon, pause_s=0.5) as other:
            mark = daemon.heard.mark
            until(lambda: len(other.numbers) >= 10, 60)
            silence = daemon.heard.longest_silence(SEEN, "cam", mark)
            behind = numbers_of(daemon.heard)[-1] - other.numbers[-1]
        assert behind > 0
        return f"{in_order(other.numbers)}, {behind} behind; others' silence {silence:.1f} s"


def attacked(scene: Scene, attack: str, seconds: float, *more: str) -> str:
    """Somebody who means harm is let at the sockets (see hostile_peer.py); what the publisher made of it."""
    with scene.shared() as daemon:
        (publisher,) = daemon.pids("publisher")
        mark = daemon.heard.mark
        Path(f"/proc/{publisher}/clear_refs").write_text("5")  # its peak is that of this attack
        with ExitStack() as stack:
            ends = [f"ipc://{daemon.folder}/{name}" for name in ("events", "query")]
            if attack in RAW:
                ends = [stack.enter_context(TcpProxy(end.removeprefix("ipc://"))).endpoint for end in ends]
            done = subprocess.run(
                [sys.executable, str(PEER), attack, *ends, str(seconds), *more],
                timeout=seconds + 60,
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr[-1500:]
        count = f"{fuzzed(done.stdout)} requests; " if attack == "fuzz" else ""
        daemon.flows()
        assert daemon.pids("publisher") == [publisher]
        silence = daemon.heard.longest_silence(SEEN, "cam", mark)
        peak = peak_mib(publisher)
        assert peak < MOST_MIB, peak
        told = in_order(numbers_of(daemon.heard, mark))
        return f"{count}{told} beside it; silence {silence:.1f} s; publisher {peak} MiB at most"


def fuzzed(told: str) -> int:
    """How many requests the attacker sent, after all of which a good one was answered."""
    sent, _replies, good = map(int, told.split())
    assert sent > 100
    assert good, "the request behind the broken ones got no reply"
    return sent


def peak_mib(pid: int) -> int:
    """The most memory that a process held since that was last cleared."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


HARMLESS = f"the publisher goes on within {MOST_MIB} MiB; {OTHERS}"


@fault("messaging", "broken requests", how="as many as are taken in three seconds", required=HARMLESS, slow=True)
def malformed(scene: Scene) -> str:
    return attacked(scene, "fuzz", 3, "1000000")


@fault("messaging", "a frame of two gigabytes", how="sent, again and again, for 3 s", required=HARMLESS, slow=True)
def huge_frame(scene: Scene) -> str:
    return attacked(scene, "huge_frames", 3)


@fault("messaging", "200,000 subscriptions", how="by one peer, 207 bytes each", required=HARMLESS, slow=True)
def subscriptions(scene: Scene) -> str:
    return attacked(scene, "subscriptions", 6)


@fault(
    "messaging", "a message that never ends", how="frame after frame, to both, for 4 s", required=HARMLESS, slow=True
)
def endless(scene: Scene) -> str:
    return attacked(scene, "endless_multipart", 4)


@fault(
    "messaging",
    "replies that nobody reads",
    how="50 connections ask for pages of the journal for 4 s and read none",
    required=HARMLESS,
    slow=True,
)
def unread(scene: Scene) -> str:
    return attacked(scene, "unread_replies", 4)


@fault(
    "messaging",
    "the network link is down",
    how="`ip link set down` for five seconds, in a network namespace with the subscriber",
    required=EACH_ONCE,
    needs=network_namespace,
    slow=True,
)
def link_down(scene: Scene) -> str:
    with scene.shared() as daemon:
        ends = [str(daemon.folder / name) for name in ("events", "query")]
        done = subprocess.run(
            ["unshare", "--net", sys.executable, "-m", "tests.faults.far_side", *ends],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-1500:]
        told = json.loads(done.stdout)
        assert told["during"] == told["gaps"] == 0, told
        return f"{in_order(told['numbers'])}; nothing while it was down, all of it {told['took']:.1f} s later"


@fault(
    "messaging",
    "the port is in use",
    how="something else listens on the address of `events`",
    required="exit code 2 and one line with the setting and the address",
    slow=True,
)
def port_in_use(scene: Scene) -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        path = scene.write_config(HALL)
        path.write_text(path.read_text().replace(f"ipc://{scene.folder}/events", address))
        done = scene.posewire("run", "--config", path)
    told = done.stdout + done.stderr
    (line,) = [line for line in told.splitlines() if "in use" in line]
    assert done.returncode == 2, told
    assert "Traceback" not in told, told
    assert f'publish.events = "{address}"' in line, line
    return f"exit code 2: {line.removeprefix('posewire publisher: ').replace(address, 'tcp://127.0.0.1:PORT')}"


@fault(
    "messaging",
    "a file stands where a socket should be",
    how="a text file at the ipc path of `events`",
    required="refused in one line with the setting and the path; the file stays as it is",
)
def path_taken(scene: Scene) -> str:
    path = scene.folder / "events"
    path.write_text("notes")
    with pytest.raises(EndpointError) as caught:
        PublisherSockets(Publisher("n"), events=f"ipc://{path}").open()
    line = str(caught.value)
    assert "publish.events" in line
    assert str(path) in line
    assert "\n" not in line
    assert path.read_text() == "notes"
    return line.replace(f"{scene.folder}/", "")


Make = Callable[..., PublisherSockets]


@contextmanager
def journal(folder: Path) -> Iterator[Make]:
    """Gives publishers with one journal, which follow each other; each call ends the one before."""
    running: list[PublisherSockets] = []

    def end() -> None:
        for sockets in running:
            sockets.close()
            sockets.publisher.journal.close()
        running.clear()

    def start(**settings: int) -> PublisherSockets:
        end()
        publisher = Publisher("n", journal=DurableJournal(JournalStore(folder / "journal.db", **settings)))
        sockets = PublisherSockets(
            publisher, events=f"ipc://{folder}/events", query=f"ipc://{folder}/query", heartbeat_s=0.05
        )
        sockets.open()
        running.append(sockets)
        return sockets

    try:
        yield start
    finally:
        end()


def tell(sockets: PublisherSockets, numbers: Sequence[int], *, heard: bool = True) -> None:
    """Publish alarms, or only commit them to the journal, as a publisher does that dies before it has sent them."""
    for number in numbers:
        message = sockets.publisher.publish_event(make_event(number))
        if heard:
            sockets.send(message)
    sockets.flush()


def alarms(items: Sequence[object]) -> list[int]:
    return [
        int(one.envelope.data.id[3:])  # type: ignore[union-attr]
        for one in items
        if isinstance(one, Message) and one.envelope.type == "event"
    ]


@fault(
    "messaging",
    "the publisher starts anew while alarms are on their way",
    how="publishers with one journal after each other; of the first, three alarms are committed and not sent",
    required=f"{EACH_ONCE}, over the change of the epoch",
)
def new_epoch(scene: Scene) -> str:
    ends = f"ipc://{scene.folder}/events", f"ipc://{scene.folder}/query"
    with journal(scene.folder) as start, Subscriber(*ends, ("alarm",), query_timeout=0.2) as subscriber:
        first = start()
        tell(first, [0])
        items = pump(first, subscriber, lambda items: bool(items))
        tell(first, [1, 2, 3])
        items += pump(first, subscriber, lambda items: 3 in alarms(items))
        tell(first, [4, 5, 6], heard=False)
        second = start()
        assert second.publisher.epoch != first.publisher.epoch
        tell(second, [7, 8, 9])
        items += pump(second, subscriber, lambda items: 9 in alarms(items))
    told = [number for number in alarms(items) if number]
    assert told == list(range(1, 10)), told
    assert not [one for one in items if isinstance(one, Gap)]
    return "9 of 9 alarms in order, 0 twice"


@fault(
    "messaging",
    "a subscriber was away for longer than the journal reaches back",
    how="it goes on at number 1; of 300 alarms since then, of an earlier start, the journal keeps about 100",
    required="told exactly which numbers are lost, then each alarm that is kept, once and in order",
)
def past_retention(scene: Scene) -> str:
    ends = f"ipc://{scene.folder}/events", f"ipc://{scene.folder}/query"
    with journal(scene.folder) as start:
        sockets = start(keep_events=100)
        for number in range(0, 300, 10):
            tell(sockets, range(number, number + 10), heard=False)
        position = Position(sockets.publisher.epoch, {"alarm": 1})
        sockets = start(keep_events=100)
        with Subscriber(*ends, ("alarm",), query_timeout=0.2, resume=position) as subscriber:
            items = pump(sockets, subscriber, lambda items: 299 in alarms(items))
    told = alarms(items)
    (gap,) = [one for one in items if isinstance(one, Gap)]
    assert told == list(range(300 - len(told), 300)), told
    assert (gap.first, gap.last) == (2, 300 - len(told)), gap
    return f"told that numbers {gap.first} to {gap.last} are lost, then {len(told)} alarms, 0 twice"
