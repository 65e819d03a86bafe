from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from wire_samples import make_end, make_event, make_frame, make_scores

from stream.allowance import BURST_S, BYTES_S
from stream.durable_journal import DurableJournal
from stream.endpoints import EndpointError
from stream.journal_store import JournalStore
from stream.publisher import Publisher
from stream.query import MAX_REQUEST, PAGE_BYTES
from stream.sockets import PublisherSockets

ROOT = Path(__file__).parents[3]
ANY = "tcp://127.0.0.1:*"


@pytest.fixture
def sockets() -> Iterator[PublisherSockets]:
    with PublisherSockets(Publisher("n"), events=ANY, query=ANY, skeletons=ANY, heartbeat_s=0.05) as sockets:
        yield sockets


Connect = Callable[[int, str], zmq.Socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects plain sockets that are closed after the test."""
    opened: list[zmq.Socket] = []
    with zmq.Context() as context:

        def connect(kind: int, endpoint: str) -> zmq.Socket:
            sock = context.socket(kind)
            opened.append(sock)
            sock.rcvtimeo, sock.linger = 10_000, 0
            sock.connect(endpoint)
            return sock

        yield connect
        for sock in opened:
            sock.close()


def serve_until(sockets: PublisherSockets, sock: zmq.Socket, seconds: float = 10.0) -> list[bytes]:
    deadline = time.monotonic() + seconds
    while not sock.poll(0):
        assert time.monotonic() < deadline, "nothing came"
        sockets.serve(5)
    return sock.recv_multipart()


def is_alive(sockets: PublisherSockets, connect: Connect) -> bool:
    with connect(zmq.REQ, sockets.endpoints["query"]) as sock:
        sock.send(b'{"v":1,"type":"ping","id":"alive"}')
        return json.loads(serve_until(sockets, sock)[0])["id"] == "alive"


def test_heartbeats_come_by_themselves(sockets: PublisherSockets, connect: Connect):
    sub = connect(zmq.SUB, sockets.endpoints["events"])
    sub.subscribe(b"heartbeat/")
    numbers = [json.loads(serve_until(sockets, sub)[1])["seq"] for _ in range(3)]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_prefix_of_one_camera_does_not_get_another(sockets: PublisherSockets, connect: Connect):
    sub = connect(zmq.SUB, sockets.endpoints["events"])
    sub.subscribe(b"alarm/cam1/")
    assert sockets.wait_for_subscriber(10)
    for source in ("cam10", "cam1", "cam11"):
        sockets.send(sockets.publisher.publish_event(make_event(source=source)))
    assert sub.recv_multipart()[0] == b"alarm/cam1/fall/"
    assert not sub.poll(200)


def test_skeletons_and_scores_have_their_own_socket(sockets: PublisherSockets, connect: Connect):
    events = connect(zmq.SUB, sockets.endpoints["events"])
    events.subscribe(b"s")
    skeletons = connect(zmq.SUB, sockets.endpoints["skeletons"])
    skeletons.subscribe(b"")
    assert sockets.wants_skeletons
    assert sockets.wait_for_subscriber(10)
    publisher = sockets.publisher
    deadline = time.monotonic() + 10
    while not skeletons.poll(20):
        assert time.monotonic() < deadline
        sockets.send(publisher.publish_skeleton(make_frame()))
        sockets.send(publisher.publish_scores(make_scores(), ["a", "b", "c"]))
    topic, _, array = skeletons.recv_multipart()
    assert (topic, len(array)) == (b"skeleton/cam1/all/", 800)
    assert skeletons.recv_multipart()[0] == b"score/cam1/3/"
    assert not events.poll(100)


def test_without_a_skeleton_socket_skeletons_go_nowhere():
    with PublisherSockets(Publisher("n"), events=ANY) as sockets:
        assert not sockets.wants_skeletons
        sockets.send(sockets.publisher.publish_skeleton(make_frame()))


def test_wait_for_subscriber_gives_up():
    with PublisherSockets(Publisher("n"), events=ANY) as sockets:
        started = time.monotonic()
        assert not sockets.wait_for_subscriber(0.2)
        assert time.monotonic() - started >= 0.2


def test_subscriber_that_left_does_not_count(sockets: PublisherSockets, connect: Connect):
    sub = connect(zmq.SUB, sockets.endpoints["events"])
    sub.subscribe(b"")
    assert sockets.wait_for_subscriber(10)
    sub.close(linger=0)
    deadline = time.monotonic() + 10
    while sockets.wait_for_subscriber(0):
        assert time.monotonic() < deadline
        sockets.serve(10)


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
def test_any_kind_of_client_gets_replies(sockets: PublisherSockets, connect: Connect, kind: int):
    with connect(kind, sockets.endpoints["query"]) as sock:
        sock.send(b'{"v":1,"type":"snapshot","id":"s"}')
        (reply,) = serve_until(sockets, sock)
        assert json.loads(reply)["id"] == "s"


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"garbage"],
        [b"\x00" * 1000],
        [b"[" * 60_000],
        [b'{"v":1,"type":7}'],
        [b"", b"", b"", b"x"],
        [b'{"v":1,"type":"ping"}'] * 500,
        [b"\xff" * MAX_REQUEST],
    ],
    ids=lambda frames: f"{len(frames)}x{frames[0][:8]!r}",
)
def test_hostile_request_gets_an_error(sockets: PublisherSockets, connect: Connect, frames: list[bytes]):
    with connect(zmq.DEALER, sockets.endpoints["query"]) as sock:
        sock.send_multipart(frames)
        assert json.loads(serve_until(sockets, sock)[-1])["type"] == "error"
    assert is_alive(sockets, connect)


def test_oversized_frame_ends_the_connection_only(sockets: PublisherSockets, connect: Connect):
    with connect(zmq.DEALER, sockets.endpoints["query"]) as sock:
        sock.send(b"x" * (64 << 20))
        for _ in range(20):
            sockets.serve(10)
        assert not sock.poll(0)
    assert is_alive(sockets, connect)


def test_bytes_that_are_not_zeromq(sockets: PublisherSockets, connect: Connect):
    for name in ("query", "events"):
        port = int(sockets.endpoints[name].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 100)
            for _ in range(10):
                sockets.serve(5)
    assert is_alive(sockets, connect)


def test_client_that_never_reads_replies(sockets: PublisherSockets, connect: Connect):
    sock = connect(zmq.DEALER, sockets.endpoints["query"])
    sock.sndtimeo = 0
    for number in range(300):
        sockets.send(sockets.publisher.publish_event(make_event(number)))
    for _ in range(2_000):
        try:
            sock.send(b'{"v":1,"type":"after","kind":"alarm","seq":0}')
        except zmq.Again:
            sockets.serve(0)
    sockets.serve(0)
    assert is_alive(sockets, connect)


def test_subscriptions_by_the_thousand(sockets: PublisherSockets, connect: Connect):
    sub = connect(zmq.SUB, sockets.endpoints["events"])
    for number in range(5_000):
        sub.subscribe(f"alarm/cam{number}/".encode())
    assert sockets.wait_for_subscriber(10)
    sockets.send(sockets.publisher.publish_event(make_event(source="cam7")))
    assert serve_until(sockets, sub)[0] == b"alarm/cam7/fall/"


def test_address_in_use_names_address_and_key(sockets: PublisherSockets):
    taken = sockets.endpoints["query"]
    with pytest.raises(EndpointError, match=f'^publish.query = "{taken}": address already in use'):
        PublisherSockets(Publisher("n"), events=ANY, query=taken).open()


def test_ipc_files_are_gone_after_close(tmp_path: Path, connect: Connect):
    def sockets() -> PublisherSockets:
        return PublisherSockets(Publisher("n"), events=f"ipc://{tmp_path}/e", query=f"ipc://{tmp_path}/q")

    for _ in range(2):
        with sockets() as opened:
            assert {path.name for path in tmp_path.iterdir()} == {"e", "q"}
            assert is_alive(opened, connect)
            with pytest.raises(EndpointError, match="in use"):
                sockets().open()
            assert is_alive(opened, connect), "the second one took nothing away"
        assert list(tmp_path.iterdir()) == []
    opened.close()


def test_the_subscriber_of_the_documentation_gets_every_event(tmp_path: Path):
    """A process that shares no code with posewire: the block in docs/protocol.md as it stands, but for the address."""
    text = (ROOT / "docs" / "protocol.md").read_text()
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    publisher = Publisher("n", replay=True)
    with PublisherSockets(publisher, events=ANY) as sockets:
        script = tmp_path / "plain.py"
        script.write_text(block[1].replace("tcp://127.0.0.1:5556", sockets.endpoints["events"]))
        with subprocess.Popen([sys.executable, "-I", str(script)], stdout=subprocess.PIPE, text=True) as plain:
            assert sockets.wait_for_subscriber(15)
            for number in range(500):
                sockets.send(publisher.publish_event(make_event(number)))
                sockets.send(publisher.publish_event(make_end(number)))
                sockets.serve(0)
            assert plain.stdout is not None
            lines = [plain.stdout.readline() for _ in range(1000)]
            plain.kill()
    told = [line.split()[1:4] for line in lines]
    assert told == [[phase, "3", f"{number}.0"] for number in range(500) for phase in ("start", "end")]
    assert lines[0] == "alarm/cam1/fall/ start 3 0.0 0.875 a person falls to the floor\n"


def test_nothing_leaves_before_it_is_committed(tmp_path: Path):
    publisher = Publisher("n", journal=DurableJournal(JournalStore(tmp_path / "journal.db")))
    with (
        PublisherSockets(publisher, events=ANY, query=ANY, heartbeat_s=60) as sockets,
        zmq.Context() as context,
        context.socket(zmq.SUB) as sub,
    ):
        sub.subscribe(b"alarm/")
        sub.connect(sockets.endpoints["events"])
        assert sockets.wait_for_subscriber(10)
        sent = [publisher.publish_event(make_event(number)) for number in range(3)]
        for message in sent:
            sockets.send(message)
        assert not sub.poll(100)
        sockets.serve()
        assert [sub.recv_multipart() for _ in sent if sub.poll(5_000)] == [message.frames() for message in sent]
    publisher.journal.close()


def test_replays_leave_time_for_live_messages():
    """However much is asked for, no more than the stated rate of bytes goes out."""
    publisher = Publisher("n")
    for number in range(1_000):
        publisher.publish_event(make_event(number))
    request = b'{"v": 1, "type": "after", "kind": "alarm", "seq": 0}'
    with (
        PublisherSockets(publisher, events=ANY, query=ANY, heartbeat_s=60) as sockets,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
    ):
        dealer.linger = 0
        dealer.connect(sockets.endpoints["query"])
        for _ in range(16):
            dealer.send(request)
        got = 0
        began = time.monotonic()
        while got < 16:
            assert time.monotonic() < began + 30
            sockets.serve(5)
            while dealer.poll(0):
                assert len(dealer.recv()) < 2 * PAGE_BYTES
                got += 1
        assert time.monotonic() - began > 14 * PAGE_BYTES / BYTES_S - BURST_S
