from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from wire_samples import make_end, make_event, make_frame, pump

from stream.endpoints import EndpointError
from stream.follower import Item, Snapshot
from stream.journal import Journal
from stream.messages import Message
from stream.publisher import Publisher
from stream.query import PromptInfo
from stream.sequence import Gap
from stream.sockets import PublisherSockets
from stream.structs import EventData
from stream.subscriber import Subscriber
from stream.topics import TopicError
from stream.types import Severity

ANY = "tcp://127.0.0.1:*"
ALARMS = ("alarm",)


def opened(publisher: Publisher, folder: Path | None = None, **options: object) -> PublisherSockets:
    endpoints = {"events": ANY, "query": ANY} if folder is None else {
        "events": f"ipc://{folder}/events", "query": f"ipc://{folder}/query",
    }  # fmt: skip
    return PublisherSockets(publisher, **endpoints, heartbeat_s=0.05, **options)  # type: ignore[arg-type]


def subscriber(sockets: PublisherSockets, *, query: bool = True, **options: object) -> Subscriber:
    endpoints = sockets.endpoints
    return Subscriber(endpoints["events"], endpoints["query"] if query else None, **options)  # type: ignore[arg-type]


def seqs(items: list[Item], epoch: str | None = None) -> list[int]:
    return [
        item.envelope.seq for item in items if isinstance(item, Message) and epoch in (None, item.envelope.epoch)
    ]  # fmt: skip


def publish(sockets: PublisherSockets, *numbers: int, send: bool = True, **changes: object) -> None:
    for number in numbers:
        message = sockets.publisher.publish_event(make_event(number, **changes))
        if send:
            sockets.send(message)


def count(number: int) -> Callable[[list[Item]], bool]:
    return lambda items: len(seqs(items)) >= number


def joined(items: list[Item]) -> bool:
    return any(isinstance(item, Snapshot) for item in items)


def test_late_joiner_takes_a_snapshot_and_goes_on():
    with opened(Publisher("n")) as sockets:
        publisher = sockets.publisher
        publisher.set_prompts([PromptInfo("fall", "a person falls", "critical")], "d")
        publish(sockets, 1, 2, 3)
        publish(sockets, 4, source="cam2")
        sockets.send(publisher.publish_event(make_end(2)))
        sockets.send(publisher.publish_status("cam1", "running", frames=4))
        with subscriber(sockets, topics=("alarm/cam1",)) as sub:
            (snapshot,) = pump(sockets, sub, joined)
            assert isinstance(snapshot, Snapshot)
            assert snapshot.epoch == publisher.epoch
            assert [event.envelope.seq for event in snapshot.open_events] == [1, 3], "2 ended, 4 is another camera's"
            assert isinstance(snapshot.open_events[0].envelope.data, EventData)
            assert snapshot.sources["cam1"].frames == 4
            assert snapshot.prompts[0].name == "fall"
            assert snapshot.seqs["alarm"] == 5
            publish(sockets, 6, 7)
            assert seqs(pump(sockets, sub, count(2))) == [6, 7], "also if the subscription came after the snapshot"


def test_first_subscriber_gets_everything():
    with opened(Publisher("n")) as sockets, subscriber(sockets) as sub:
        items: list[Item] = []
        assert sockets.wait_for_subscriber(10)
        publish(sockets, *range(50))
        publish(sockets, *range(50), severity=Severity.INFO)
        items = pump(sockets, sub, lambda items: sum(str(t)[:5] in ("alarm", "actio") for t in topics(items)) == 100)
        for kind in ("alarm", "action"):
            numbers = [item.envelope.seq for item in items if isinstance(item, Message) and item.topic.kind == kind]
            assert numbers == list(range(1, 51)), kind


def topics(items: list[Item]) -> list[object]:
    return [item.topic for item in items if isinstance(item, Message)]


def test_lost_messages_are_fetched():
    """The publisher keeps these in its journal and does not send them: to the subscriber they are lost."""
    with opened(Publisher("n")) as sockets, subscriber(sockets, topics=ALARMS) as sub:
        pump(sockets, sub, joined)
        publish(sockets, 1)
        publish(sockets, *range(2, 1200), send=False)
        publish(sockets, 1200, 1201)
        items = pump(sockets, sub, count(1201))
        assert seqs(items) == list(range(1, 1202)), "in order, each once, over several pages"
        assert len(items) == 1201


def test_a_loss_that_nothing_follows_is_fetched():
    with opened(Publisher("n")) as sockets, subscriber(sockets, topics=ALARMS) as sub:
        pump(sockets, sub, joined)
        publish(sockets, 1, 2, 3, send=False)
        assert seqs(pump(sockets, sub, count(3))) == [1, 2, 3]


def test_slow_subscriber_loses_nothing():
    """High-water marks of ten: most of what is sent while the subscriber sleeps is dropped by ZeroMQ."""
    publisher = Publisher("n")
    with opened(publisher, events_high_water=10) as sockets, subscriber(sockets, topics=ALARMS, high_water=10) as sub:
        pump(sockets, sub, joined)
        long = "a person " + "x" * 1900  # so that the buffers of the kernel do not hold them all
        publish(sockets, *range(5_000), prompt=long)
        items = pump(sockets, sub, count(5_000))
        assert seqs(items) == list(range(1, 5_001))


def test_past_retention_is_told():
    with opened(Publisher("n", journal=Journal(5))) as sockets, subscriber(sockets, topics=ALARMS) as sub:
        pump(sockets, sub, joined)
        publish(sockets, 1)
        publish(sockets, *range(2, 21), send=False)
        items = pump(sockets, sub, count(6))
        assert items[1] == Gap(sockets.publisher.epoch, "alarm", 2, 15)
        assert seqs(items) == [1, 16, 17, 18, 19, 20]


def test_without_query_gaps_are_told():
    with opened(Publisher("n")) as sockets, subscriber(sockets, query=False, topics=("alarm", "heartbeat")) as sub:
        pump(sockets, sub, count(1))
        publish(sockets, 1, 2, 3, send=False)
        publish(sockets, 4)
        items = pump(sockets, sub, lambda items: b"alarm/cam1/fall/" in [t.encode() for t in topics(items)])
        gap, alarm = [i for i in items if isinstance(i, Gap) or i.topic.kind == "alarm"]
        assert gap == Gap(sockets.publisher.epoch, "alarm", 1, 3)
        assert alarm.envelope.seq == 4


def test_query_socket_that_never_answers():
    """Somebody listens but is stuck: the subscriber goes on without a snapshot and tells of what it lost."""
    with opened(Publisher("n")) as sockets, zmq.Context() as context, context.socket(zmq.ROUTER) as stuck:
        stuck.linger = 0
        port = stuck.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(
            sockets.endpoints["events"], f"tcp://127.0.0.1:{port}", ALARMS, query_timeout=0.1
        ) as sub:  # fmt: skip
            assert sockets.wait_for_subscriber(10)
            publish(sockets, 1)
            assert seqs(pump(sockets, sub, count(1))) == [1]
            publish(sockets, 2, send=False)
            publish(sockets, 3)
            items = pump(sockets, sub, count(1))
            assert items[0] == Gap(sockets.publisher.epoch, "alarm", 2, 2)
            assert seqs(items) == [3]


@pytest.mark.parametrize("query", [True, False])
def test_restart_of_the_publisher(tmp_path: Path, query: bool):
    old, new = Publisher("n"), Publisher("n")
    with opened(old, tmp_path) as sockets, subscriber(sockets, query=query, topics=ALARMS) as sub:
        assert sockets.wait_for_subscriber(10)
        publish(sockets, 1, 2)
        assert seqs(pump(sockets, sub, count(2))) == [1, 2]
        sockets.close()
        with opened(new, tmp_path) as again:
            publish(again, 1, 2, 3)  # nobody has reconnected yet
            items = pump(again, sub, lambda _: again.wait_for_subscriber(0))
            publish(again, 4)
            items += pump(again, sub, lambda more: 4 in seqs(items + more))
    if query:
        assert items[0] == Gap(old.epoch, "alarm", 3, None), (
            "a journal in memory: nobody knows what came before its end"
        )
        assert isinstance(items[1], Snapshot)
        assert items[1].epoch == new.epoch
        assert seqs(items) == [1, 2, 3, 4], "what came before the reconnection is fetched"
    else:
        assert Gap(new.epoch, "alarm", 1, 3) in items
        assert seqs(items) == [4]


def test_subscriber_may_be_first(tmp_path: Path):
    endpoints = f"ipc://{tmp_path}/events", f"ipc://{tmp_path}/query"
    with Subscriber(*endpoints, ALARMS, query_timeout=0.1) as sub:
        assert sub.receive(0.5) is None
        with opened(Publisher("n"), tmp_path) as sockets:
            pump(sockets, sub, joined)
            publish(sockets, 1)
            assert seqs(pump(sockets, sub, count(1))) == [1]


def test_narrow_topics_see_no_false_gaps():
    with opened(Publisher("n")) as sockets, subscriber(sockets, topics=("alarm/cam1/fall",)) as sub:
        pump(sockets, sub, joined)
        for number in range(1, 40):
            publish(sockets, number, source="cam10" if number % 2 else "cam1", name="fall" if number % 3 else "kick")
        expected = [number for number in range(1, 40) if number % 2 == 0 and number % 3]
        items = pump(sockets, sub, count(len(expected)))
        assert seqs(items) == expected
        assert len(items) == len(expected)


def test_skeletons_that_are_lost_are_told_of():
    with PublisherSockets(Publisher("n"), events=ANY, query=ANY, skeletons=ANY) as sockets:
        publisher = sockets.publisher
        with Subscriber(sockets.endpoints["skeletons"], sockets.endpoints["query"], ["skeleton"]) as sub:
            items: list[Item] = []
            deadline = time.monotonic() + 15
            while not seqs(items):
                assert time.monotonic() < deadline
                sockets.send(publisher.publish_skeleton(make_frame(1)))
                sockets.serve(1)
                item = sub.receive(0.01)
                items += [] if item is None else [item]
            message = next(item for item in items if isinstance(item, Message))
            assert message.joints().shape == (1, 25, 4)
            publisher.publish_skeleton(make_frame(1))
            lost = publisher.seqs()["skeleton"]
            sockets.send(publisher.publish_skeleton(make_frame(1)))
            items = pump(sockets, sub, lambda items: lost + 1 in seqs(items))
            assert Gap(publisher.epoch, "skeleton", lost, lost) in items


def test_malformed_messages_are_counted_and_skipped():
    with zmq.Context() as context, context.socket(zmq.XPUB) as hostile:
        hostile.linger = 0
        port = hostile.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}") as sub:
            assert sub.receive(0) is None
            assert hostile.poll(10_000)
            hostile.recv()
            good = Publisher("n").publish_event(make_event())
            for frames in ([b"x"], [b"alarm/a/b/", b"{"], [b"alarm/a/b/", b"[" * 100_000], [b"\xff"] * 9):
                hostile.send_multipart(frames)
            hostile.send_multipart(good.frames())
            assert sub.receive(10) == good
            assert sub.malformed == 4


def test_errors_of_use():
    with pytest.raises(TopicError):
        Subscriber("tcp://127.0.0.1:1", topics=["alarms"])
    with pytest.raises(EndpointError, match="nonsense"):
        Subscriber("nonsense").open()
    with pytest.raises(RuntimeError, match="not open"):
        Subscriber("tcp://127.0.0.1:1").receive(0)


def test_iterating_waits_for_the_next_item():
    with opened(Publisher("n")) as sockets, subscriber(sockets, query=False, topics=ALARMS) as sub:
        assert sockets.wait_for_subscriber(10)
        publish(sockets, 1, 2)
        items = iter(sub)
        assert seqs([next(items), next(items)]) == [1, 2]
