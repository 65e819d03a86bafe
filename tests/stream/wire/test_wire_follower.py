"""The pure half of the subscriber against real journals: whatever is lost or starts again, all of it arrives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import make_event

from stream.answers import answer
from stream.durable_journal import DurableJournal
from stream.follower import Follower, Snapshot
from stream.journal import Journal
from stream.journal_store import JournalStore
from stream.messages import Message
from stream.position import Position
from stream.publisher import Publisher
from stream.query import AfterReply, Request, SnapshotReply, decode_reply
from stream.sequence import Gap
from stream.topics import Kind

KINDS = (Kind.ALARM,)


def follower(position: Position | None = None, limit: int = 100, kinds: tuple[Kind, ...] = KINDS) -> Follower:
    return Follower((b"",), kinds, asks=True, limit=limit, position=position)


def exchange(follower: Follower, publisher: Publisher, request: Request) -> bool:
    """Ask and use the reply."""
    body = answer(publisher, msgspec.json.encode(request))
    assert body is not None
    reply = decode_reply(body)
    if isinstance(reply, SnapshotReply):
        return follower.take_snapshot(reply)
    assert isinstance(reply, AfterReply)
    return follower.take_after(reply)


def drained(follower: Follower) -> list[Message | Gap | Snapshot]:
    items = list(follower.ready)
    follower.ready.clear()
    return items


def settle(follower: Follower, publisher: Publisher) -> None:
    """Ask for all that is missing, page by page."""
    follower.hear(publisher.heartbeat())
    for _ in range(500):
        request = follower.request()
        if request is None:
            return
        exchange(follower, publisher, request)
    raise AssertionError("it asks and asks")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_all_of_it_arrives_once_and_in_order(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        publisher = Publisher("n", journal=DurableJournal(JournalStore(path)))
        subscriber = follower(limit=data.draw(st.sampled_from([2, 100])))
        settle(subscriber, publisher)
        items = drained(subscriber)
        sent: list[bytes] = []
        for number in range(data.draw(st.integers(1, 30))):
            deed = data.draw(
                st.sampled_from(["publish", "publish", "lose", "heartbeat", "ask", "publisher", "subscriber"])
            )
            if deed in ("publish", "lose"):
                message = publisher.publish_event(make_event(number))
                publisher.journal.commit()
                sent.append(message.body)
                if deed == "publish":
                    subscriber.hear(message)
            elif deed == "heartbeat":
                subscriber.hear(publisher.heartbeat())
            elif deed == "ask" and (request := subscriber.request()) is not None:
                if data.draw(st.booleans()):
                    request = msgspec.structs.replace(request, limit=1)
                exchange(subscriber, publisher, request)
            elif deed == "publisher":
                publisher.journal.close()
                publisher = Publisher("n", journal=DurableJournal(JournalStore(path)))
            elif deed == "subscriber":
                items += drained(subscriber)
                subscriber = follower(subscriber.position)
        settle(subscriber, publisher)
        items += drained(subscriber)
        publisher.journal.close()
    assert [item.body for item in items if isinstance(item, Message) and item.topic.kind == "alarm"] == sent
    assert not [item for item in items if isinstance(item, Gap)]
    position = subscriber.position
    assert position is not None
    assert (position.epoch, position.seqs) == (publisher.epoch, {"alarm": publisher.seqs()["alarm"]})


def test_a_publisher_of_an_earlier_release_cannot_serve_earlier_epochs() -> None:
    """It ignores the field `epoch`: its replies are of its own."""
    subscriber = follower(Position("old", {"alarm": 4}))
    publisher = Publisher("n", journal=Journal())
    publisher.publish_event(make_event(1))
    subscriber.hear(publisher.heartbeat())
    request = subscriber.request()
    assert request is not None
    assert request.epoch == "old"
    assert exchange(subscriber, publisher, msgspec.structs.replace(request, epoch=None))
    settle(subscriber, publisher)
    gap, snapshot, message = (item for item in drained(subscriber) if not _is_heartbeat(item))
    assert gap == Gap("old", "alarm", 5, None)
    assert isinstance(snapshot, Snapshot)
    assert isinstance(message, Message)
    assert message.envelope.seq == 1


def _is_heartbeat(item: Message | Gap | Snapshot) -> bool:
    return isinstance(item, Message) and item.topic.kind == "heartbeat"


def test_one_who_is_told_to_go_on_without_does() -> None:
    subscriber = follower(Position("old", {"alarm": 4}))
    publisher = Publisher("n")
    publisher.publish_event(make_event(1))
    message = publisher.publish_event(make_event(2))
    subscriber.hear(message)
    for kind in (True, False, True):
        request = subscriber.request()
        assert request is not None
        assert (request.type == "after") == kind
        subscriber.give_up(request)
    assert drained(subscriber) == [Gap("old", "alarm", 5, None), Gap(publisher.epoch, "alarm", 1, 1), message]


def test_all_of_an_earlier_epoch_is_given_up_at_once() -> None:
    subscriber = follower(Position("old", {"alarm": 4, "status": 2}), kinds=(Kind.ALARM, Kind.ACTION, Kind.STATUS))
    publisher = Publisher("n")
    subscriber.hear(publisher.publish_event(make_event(1)))
    request = subscriber.request()
    assert request is not None
    subscriber.give_up(request)
    assert drained(subscriber) == [Gap("old", "alarm", 5, None), Gap("old", "status", 3, None)]
    settle(subscriber, publisher)
    assert [item.envelope.seq for item in drained(subscriber) if isinstance(item, Message)][:1] == [1]


class Starts:
    """Publishers of one journal, each killed before the next one starts; some never reach the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: Publisher | None = None

    def start(self, *, disk: bool = True) -> Publisher:
        if self.running is not None:
            self.running.journal.close()
        path = self.folder / ("journal.db" if disk else "no/journal.db")
        self.running = Publisher("n", journal=DurableJournal(JournalStore(path)))
        return self.running

    def publish(self, *numbers: int) -> list[Message]:
        assert self.running is not None
        messages = [self.running.publish_event(make_event(number)) for number in numbers]
        self.running.journal.commit()
        return messages


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Starts]:
    starts = Starts(tmp_path)
    yield starts
    if starts.running is not None:
        starts.running.journal.close()


def give_up(follower: Follower) -> None:
    """The publisher cannot read its journal."""
    while (request := follower.request()) is not None and request.epoch is not None:
        follower.give_up(request)


def alarms(items: list[Message | Gap | Snapshot]) -> list[Message]:
    return [item for item in items if isinstance(item, Message) and item.topic.kind == "alarm"]


@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("killed", [False, True])
def test_an_epoch_that_never_reached_the_disk_brings_back_nothing_old(starts: Starts, lost: int, killed: bool) -> None:
    early = starts.start()
    subscriber = follower()
    settle(subscriber, early)
    for message in starts.publish(1, 2):
        subscriber.hear(message)
    settle(subscriber, starts.start())
    for message in starts.publish(3, 4):
        subscriber.hear(message)
    heard = alarms(drained(subscriber))
    for number in range(lost):
        broken = starts.start(disk=False)
        assert not broken.journal.durable
        (message,) = starts.publish(10 + number)
        subscriber.hear(message)
        give_up(subscriber)
        settle(subscriber, broken)
        heard += alarms(drained(subscriber))
    starts.start()
    unheard = starts.publish(20)
    last = starts.start()
    unheard += starts.publish(21)
    if killed:
        subscriber = follower(subscriber.position)
    settle(subscriber, last)
    items = drained(subscriber)
    assert len(heard) == 4 + lost
    assert alarms(items) == unheard, "only what is new"
    assert [(gap.epoch, gap.last) for gap in items if isinstance(gap, Gap)] == [(broken.epoch, None)]


def test_where_nothing_of_the_past_is_known_everything_kept_is_new(starts: Starts, tmp_path: Path) -> None:
    subscriber = follower()
    settle(subscriber, starts.start())
    settle(subscriber, starts.start())
    broken = starts.start(disk=False)
    (tmp_path / "journal.db").unlink()
    (message,) = starts.publish(1)
    subscriber.hear(message)
    give_up(subscriber)
    settle(subscriber, broken)
    drained(subscriber)
    starts.start()
    kept = starts.publish(2)
    last = starts.start()
    kept += starts.publish(3)
    settle(subscriber, last)
    assert alarms(drained(subscriber)) == kept


def test_a_former_epoch_that_nobody_can_tell_of_is_left_for_what_is_live(starts: Starts) -> None:
    subscriber = follower()
    settle(subscriber, starts.start())
    subscriber.hear(starts.start(disk=False).heartbeat())
    give_up(subscriber)
    starts.start()
    starts.publish(1)
    last = starts.start()
    (live,) = starts.publish(2)
    subscriber.hear(live)
    request = subscriber.request()
    assert request is not None
    exchange(subscriber, last, request)  # unknown
    request = subscriber.request()
    assert request is not None
    assert request.epoch not in (None, last.epoch)
    subscriber.give_up(request)
    settle(subscriber, last)
    assert alarms(drained(subscriber)) == [live]
