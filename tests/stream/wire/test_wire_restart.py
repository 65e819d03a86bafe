"""What a subscriber gets over restarts of the publisher and of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from plain_subscriber import PlainSubscriber
from wire_samples import make_event, pump

from stream.durable_journal import DurableJournal
from stream.follower import Item, Snapshot
from stream.journal_store import JournalStore
from stream.messages import Message
from stream.position import CursorError, CursorFile, Position
from stream.publisher import Publisher
from stream.sequence import Gap
from stream.sockets import PublisherSockets
from stream.structs import EventData, HeartbeatData
from stream.subscriber import Subscriber
from stream.types import Severity

ROOT = Path(__file__).parents[3]
ALARMS = ("alarm",)


class Daemon:
    """A publisher that is started again and again over one journal and one pair of addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.epochs: list[str] = []
        self.running: list[PublisherSockets] = []

    def start(self, *, disk: bool = True, **keep: int) -> PublisherSockets:
        store = JournalStore(self.folder / ("journal.db" if disk else "no/journal.db"), **keep)
        publisher = Publisher("n", journal=DurableJournal(store))
        self.epochs.append(publisher.epoch)
        sockets = PublisherSockets(
            publisher,
            events=f"ipc://{self.folder}/events",
            query=f"ipc://{self.folder}/query",
            heartbeat_s=0.05,
        )
        sockets.open()
        self.running.append(sockets)
        return sockets

    def stop(self, sockets: PublisherSockets) -> None:
        sockets.close()
        sockets.publisher.journal.close()
        self.running.remove(sockets)

    def session(self, *numbers: int, **changes: object) -> None:
        """A life that nobody hears of."""
        sockets = self.start()
        publish(sockets, *numbers, **changes)
        self.stop(sockets)

    def subscriber(self, resume: CursorFile | Position | None = None, topics: tuple[str, ...] = ALARMS) -> Subscriber:
        return Subscriber(
            f"ipc://{self.folder}/events", f"ipc://{self.folder}/query", topics, query_timeout=0.2, resume=resume
        )


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    for sockets in daemon.running:
        sockets.close()
        sockets.publisher.journal.close()


def publish(sockets: PublisherSockets, *numbers: int, send: bool = True, **changes: object) -> None:
    for number in numbers:
        message = sockets.publisher.publish_event(make_event(number, **changes))
        if send:
            sockets.send(message)
    sockets.flush()


def ids(items: list[Item]) -> list[int]:
    return [
        int(item.envelope.data.id[3:])
        for item in items
        if isinstance(item, Message) and isinstance(item.envelope.data, EventData)
    ]


def gaps(items: list[Item]) -> list[Gap]:
    return [item for item in items if isinstance(item, Gap)]


def count(number: int) -> Callable[[list[Item]], bool]:
    return lambda items: len(ids(items)) >= number


def joined(items: list[Item]) -> bool:
    return any(isinstance(item, Snapshot) for item in items)


def test_heartbeats_say_durable(daemon: Daemon) -> None:
    sockets = daemon.start()
    data = sockets.publisher.heartbeat().envelope.data
    assert isinstance(data, HeartbeatData)
    assert data.durable
    daemon.stop(sockets)


def test_nothing_is_missed_over_restarts(daemon: Daemon) -> None:
    first = daemon.start()
    with daemon.subscriber() as sub:
        pump(first, sub, joined)
        publish(first, 1, 2)
        assert ids(pump(first, sub, count(2))) == [1, 2]
        publish(first, 3, 4, send=False)  # committed, and killed before they were sent
        daemon.stop(first)
        daemon.session(*range(5, 1300))  # while the subscriber hears nothing: three pages
        daemon.session()  # one in which nothing happened
        last = daemon.start()
        publish(last, 1300, 1301)
        items = pump(last, sub, count(1299))
        publish(last, 1302)
        items += pump(last, sub, count(1))
        assert ids(items) == list(range(3, 1303))
        assert gaps(items) == []
        (snapshot,) = [item for item in items if isinstance(item, Snapshot)]
        assert snapshot.epoch == daemon.epochs[-1]
        assert ids(items[items.index(snapshot) :]) == [1300, 1301, 1302], "state of now, then what came of it"
        daemon.stop(last)


def test_a_subscriber_that_was_away_goes_on(daemon: Daemon, tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "cursor")
    first = daemon.start()
    publish(first, 0)
    with daemon.subscriber(cursor) as sub:
        items = pump(first, sub, joined)
        assert ids(items) == [], "it begins with what comes"
        publish(first, 1, 2, 3)
        assert ids(pump(first, sub, count(3))) == [1, 2, 3]
        sub.receive(0)
    publish(first, 4, 5)
    with daemon.subscriber(CursorFile(cursor.path)) as sub:
        assert ids(pump(first, sub, count(2))) == [4, 5]
    publish(first, 6)
    daemon.stop(first)
    daemon.session(7, 8)
    second = daemon.start()
    publish(second, 9)
    with daemon.subscriber(CursorFile(cursor.path)) as sub:
        items = pump(second, sub, count(4))
        publish(second, 10)
        items += pump(second, sub, count(1))
        assert ids(items) == [6, 7, 8, 9, 10]
        assert gaps(items) == []
    daemon.stop(second)


def test_an_item_is_done_with_when_the_next_is_asked_for_or_when_that_is_said(daemon: Daemon, tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "cursor")
    sockets = daemon.start()
    with daemon.subscriber(cursor) as sub:
        pump(sockets, sub, joined)
        publish(sockets, 1, 2)
        assert ids(take(sockets, sub)) == [1]
        assert CursorFile(cursor.path).read() == Position(daemon.epochs[0], {"alarm": 0})
        sub.acknowledge()
        assert CursorFile(cursor.path).read() == Position(daemon.epochs[0], {"alarm": 1})
        assert ids(take(sockets, sub)) == [2]
        assert sub.position == Position(daemon.epochs[0], {"alarm": 2})
    with daemon.subscriber(CursorFile(cursor.path)) as sub:
        assert ids(pump(sockets, sub, count(1))) == [2], "it was not done with"
    daemon.stop(sockets)


def take(sockets: PublisherSockets, sub: Subscriber) -> list[Item]:
    """One item only."""
    for _ in range(1000):
        sockets.serve(1)
        if (item := sub.receive(0)) is not None:
            return [item]
    raise TimeoutError


def test_what_happens_in_other_topics_moves_the_cursor_too(daemon: Daemon, tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "cursor")
    sockets = daemon.start()
    with daemon.subscriber(cursor, ("alarm/cam2",)) as sub:
        pump(sockets, sub, joined)
        publish(sockets, *range(30))
        publish(sockets, 30, source="cam2")
        assert ids(pump(sockets, sub, count(1))) == [30]
        publish(sockets, *range(31, 40))
        pump(sockets, sub, lambda _: sub.position == Position(daemon.epochs[0], {"alarm": 40}))
    daemon.stop(sockets)


def test_past_retention_is_told(daemon: Daemon) -> None:
    first = daemon.start()
    publish(first, 1, 2)
    daemon.stop(first)
    sockets = daemon.start(keep_events=100)
    for number in range(10, 500, 10):
        publish(sockets, *range(number, number + 10))
    daemon.stop(sockets)
    last = daemon.start(keep_events=100)
    with daemon.subscriber(Position(daemon.epochs[0], {"alarm": 1})) as sub:
        items = pump(last, sub, lambda items: 499 in ids(items))
        old, middle = gaps(items)
        assert old == Gap(daemon.epochs[0], "alarm", 2, 2)
        assert (middle.epoch, middle.first) == (daemon.epochs[1], 1)
        assert middle.last == 489 - len(ids(items)) + 1
        assert ids(items) == list(range(500 - len(ids(items)), 500))
    daemon.stop(last)


def test_an_unknown_past_is_told(daemon: Daemon) -> None:
    daemon.session(1, 2)
    sockets = daemon.start()
    with daemon.subscriber(Position("somethingelse", {"alarm": 7})) as sub:
        items = pump(sockets, sub, count(2))
        assert gaps(items) == [Gap("somethingelse", "alarm", 8, None)]
        assert ids(items) == [1, 2], "all that is kept"
    daemon.stop(sockets)


def test_kinds_go_their_own_ways(daemon: Daemon) -> None:
    first = daemon.start()
    with daemon.subscriber(topics=("alarm", "action", "status")) as sub:
        pump(first, sub, joined)
        publish(first, 1)
        publish(first, 2, severity=Severity.INFO)
        pump(first, sub, count(2))
        daemon.stop(first)
        daemon.session(3, 4, severity=Severity.INFO)
        last = daemon.start()
        publish(last, 5)
        publish(last, 6, severity=Severity.INFO)
        items = pump(last, sub, count(4))
        assert sorted(ids(items)) == [3, 4, 5, 6]
        assert gaps(items) == []
    daemon.stop(last)


def test_a_kill_amid_the_next_epoch_loses_no_kind(daemon: Daemon) -> None:
    topics = ("alarm", "action", "status")
    first = daemon.start()
    publish(first, 1)
    publish(first, 2, severity=Severity.INFO)
    daemon.stop(first)
    second = daemon.start()
    publish(second, 3, 4)
    publish(second, 5, 6, severity=Severity.INFO)
    daemon.stop(second)
    last = daemon.start()
    position: Position | None = Position(daemon.epochs[0], {"alarm": 1, "action": 1})
    items: list[Item] = []
    for _ in range(4):  # each handles one item and is killed
        with daemon.subscriber(position, topics) as sub:
            items += pump_one(last, sub)
            position = sub.position
    assert sorted(ids(items)) == [3, 4, 5, 6]
    assert position is not None
    assert position.seqs == {"alarm": 2, "action": 2, "status": 0}
    assert position.former == (daemon.epochs[0],)
    daemon.stop(last)


def asking_in_vain(sockets: PublisherSockets, sub: Subscriber) -> None:
    """The publisher lives and does not answer, until something was asked for a first time, and a second one."""
    assert sockets.wait_for_subscriber(10)
    for _ in range(1000):
        sockets.send(sockets.publisher.heartbeat())
        assert not gaps([item for item in [sub.receive(0.01)] if item is not None])
        if sub._asked is not None and sub._requester is not None and sub._requester.pending is not None:
            break
    sockets.send(sockets.publisher.heartbeat())
    sub.receive(0.05)  # something is heard after what was asked


def test_a_publisher_that_dies_just_after_a_word_is_waited_for(daemon: Daemon) -> None:
    first = daemon.start()
    publish(first, 1, 2, 3)
    with daemon.subscriber(Position(daemon.epochs[0], {"alarm": 1})) as sub:
        asking_in_vain(first, sub)
        daemon.stop(first)
        assert sub._asked is not None
        assert sub._heard > sub._asked
        sub._asked, sub._heard = sub._asked - 100, sub._heard - 100  # long ago
        assert sub.receive(2.0) is None, "it has a journal, and will start again"
        last = daemon.start()
        publish(last, 4)
        items = pump(last, sub, count(3))
        assert (ids(items), gaps(items)) == ([2, 3, 4], [])
    daemon.stop(last)


def test_a_time_in_which_nobody_read_is_none_without_an_answer(daemon: Daemon) -> None:
    """As of a sink whose other end was away for hours, with a request under way."""
    sockets = daemon.start()
    publish(sockets, 1, 2, 3)
    with daemon.subscriber(Position(daemon.epochs[0], {"alarm": 1})) as sub:
        asking_in_vain(sockets, sub)
        assert sub._asked is not None
        sub._asked, sub._heard, sub._stepped = sub._asked - 100, sub._heard - 100, sub._stepped - 100
        sub._refused = sub._asked
        for _ in range(40):
            sockets.send(sockets.publisher.heartbeat())
            assert sub.receive(0.05) is None
        items = pump(sockets, sub, count(2))
        assert (ids(items), gaps(items)) == ([2, 3], [])
    daemon.stop(sockets)


def test_a_plain_subscriber_hears_nothing_again_after_an_epoch_that_was_not_kept(daemon: Daemon) -> None:
    heard: list[int] = []
    lost: list[list[object]] = []

    def hear(sockets: PublisherSockets, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not done():
            assert time.monotonic() < deadline, heard
            sockets.serve(1)
            for message, *_ in plain.step(1):
                if "gap" in message:
                    lost.append(message["gap"])
                elif message["type"] == "event":
                    heard.append(int(message["data"]["id"][3:]))

    plain = PlainSubscriber(f"ipc://{daemon.folder}/events", f"ipc://{daemon.folder}/query")
    try:
        daemon.session(1, 2)
        broken = daemon.start(disk=False)
        publish(broken, 3)
        plain.go_on(broken.publisher.epoch, {"alarm": 0}, [daemon.epochs[0]])
        hear(broken, lambda: heard == [3])
        daemon.stop(broken)
        daemon.session(4)
        last = daemon.start()
        publish(last, 5)
        hear(last, lambda: 5 in heard)
        assert heard == [3, 4, 5]
        assert {(epoch, last) for epoch, _, _, last in lost} == {(broken.publisher.epoch, None)}
        assert plain.former == [daemon.epochs[2]]
        daemon.stop(last)
    finally:
        plain.context.destroy(linger=0)


def pump_one(sockets: PublisherSockets, sub: Subscriber) -> list[Item]:
    """One event only."""
    items: list[Item] = []
    while not ids(items):
        items = take(sockets, sub)
    return items


@pytest.mark.parametrize("heals", [False, True])
def test_what_cannot_be_read_holds_up_nothing_for_long(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heals: bool
) -> None:
    monkeypatch.setattr("stream.subscriber.UNREADABLE_S", 30.0 if heals else 0.5)
    first = daemon.start()
    file, away = tmp_path / "journal.db", tmp_path / "away"
    with daemon.subscriber(CursorFile(tmp_path / "cursor"), ("alarm", "action", "anomaly", "status")) as sub:
        pump(first, sub, joined)
        publish(first, 1)
        pump(first, sub, count(1))
        publish(first, 2, send=False)
        daemon.stop(first)
        file.rename(away)
        file.mkdir()  # no file that anybody could open
        last = daemon.start()
        publish(last, 3)
        items = pump(last, sub, lambda items: ids(items) != []) if not heals else []
        assert ids(items) == ([] if heals else [3])
        file.rmdir()
        away.rename(file)
        items += pump(last, sub, lambda _: last.publisher.journal.durable)
        publish(last, 4)
        items += pump(last, sub, lambda found: 4 in ids(items + found))
        lost = {(gap.epoch, gap.kind, gap.last) for gap in gaps(items)}
        if heals:
            assert (ids(items), lost) == ([2, 3, 4], set())
        else:
            assert ids(items) == [3, 4]
            kinds = ("alarm", "action", "anomaly", "status")
            assert lost == {(daemon.epochs[0], kind, None) for kind in kinds}
            assert len(gaps(items)) == 4, "each is told once"
    daemon.stop(last)


def test_what_was_published_but_not_kept_is_told(daemon: Daemon) -> None:
    """The disk failed, and the publisher died before it was well again."""
    first = daemon.start()
    with daemon.subscriber() as sub:
        pump(first, sub, joined)
        publish(first, 1)
        pump(first, sub, count(1))
        journal = first.publisher.journal
        assert isinstance(journal, DurableJournal)
        journal._fail(OSError(5, "I/O error"), None)
        journal._retry_at = 1e12
        publish(first, 2, 3, send=False)
        publish(first, 4)
        heartbeat = first.publisher.heartbeat().envelope.data
        assert isinstance(heartbeat, HeartbeatData)
        assert not heartbeat.durable
        assert ids(pump(first, sub, count(3))) == [2, 3, 4], "from memory"
        publish(first, 5, send=False)
        first.send(first.publisher.heartbeat())
        for _ in range(3):
            sub.receive(0.01)  # it hears that there is a fifth one, and nobody serves it
        journal._backlog.clear()
        first.close()
        journal.close()
        last = daemon.start()
        publish(last, 6)
        items = pump(last, sub, count(1))
        assert ids(items) == [6]
        assert gaps(items) == [Gap(daemon.epochs[0], "alarm", 5, 5)]
    daemon.stop(last)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"v": 2, "epoch": "e", "seqs": {}}', '{"v": 1, "epoch": "e"}', "\0" * 99]
)
def test_a_file_that_is_no_cursor_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cursor"
    path.write_text(text)
    with pytest.raises(CursorError, match="no cursor file"):
        CursorFile(path).read()


def test_cursor_files(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    assert CursorFile(path).read() is None
    CursorFile(path).write(Position("e", {"alarm": 3}))
    assert json.loads(path.read_text()) == {"epoch": "e", "seqs": {"alarm": 3}, "former": [], "v": 1}
    assert CursorFile(path).read() == Position("e", {"alarm": 3})
    assert list(tmp_path.iterdir()) == [path]
    former = Position("g", {"alarm": 0}, ("f", "e"))
    CursorFile(path).write(former)
    assert CursorFile(path).read() == former
    path.write_text('{"epoch":"e","seqs":{"alarm":3},"v":1}')
    assert CursorFile(path).read() == Position("e", {"alarm": 3}), "of an earlier release"
    with pytest.raises(CursorError, match="cannot be written"):
        CursorFile(tmp_path / "no" / "cursor").write(Position("e", {}))
    with pytest.raises(CursorError, match="cannot be read"):
        CursorFile(tmp_path).read()
    with pytest.raises(ValueError, match="query"):
        Subscriber("ipc:///x", resume=Position("e", {}))


def test_watch_goes_on_where_it_was_killed(daemon: Daemon, tmp_path: Path) -> None:
    cursor, out = tmp_path / "cursor", tmp_path / "out"
    ends = ["--connect", f"ipc://{tmp_path}/events", "--query", f"ipc://{tmp_path}/query"]
    command = [sys.executable, "-m", "stream.cli", "watch", "alarm", "--json", *ends, "--cursor", str(cursor)]

    @contextmanager
    def watching() -> Iterator[None]:
        with out.open("ab") as file:
            process = subprocess.Popen(command, stdout=file, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def serve(sockets: PublisherSockets, epoch: str, seq: int) -> None:
        """Until the cursor file says so."""
        deadline = time.monotonic() + 30
        while (found := CursorFile(cursor).read()) is None or (found.epoch, found.seqs) != (epoch, {"alarm": seq}):
            assert time.monotonic() < deadline, CursorFile(cursor).read()
            sockets.serve(10)

    first = daemon.start()
    publish(first, 100)
    with watching():
        serve(first, daemon.epochs[0], 1)
        publish(first, 1, 2, 3)
        serve(first, daemon.epochs[0], 4)
    publish(first, 4)
    daemon.stop(first)
    daemon.session(5)
    last = daemon.start()
    publish(last, 6)
    with watching():
        serve(last, daemon.epochs[2], 1)
        publish(last, 7)
        serve(last, daemon.epochs[2], 2)
    shown = [int(json.loads(line)["data"]["id"][3:]) for line in out.read_text().splitlines()]
    assert shown == [100, 1, 2, 3, 4, 5, 6, 7], "what was open at first, then each once"
    refused = subprocess.run([*command[:6], *ends[:2], *command[-2:]], capture_output=True, text=True, cwd=ROOT)
    assert refused.returncode == 2
    assert "--cursor: nobody to ask" in refused.stderr
