"""How frames flow from captures through the worker to the publisher: what is measured, lost, and held up.

Captures are real processes and the sockets real ones; the worker and the publisher's outlet run in this process.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from poses import frame, person

from stream.config import Config
from stream.config_file import parse_config
from stream.daemon import publish, recorder
from stream.daemon.child import Child, Orders, SourceNote, is_live
from stream.daemon.flow import Flow
from stream.daemon.frame_part import Stamp, stamp_of, stamped
from stream.daemon.links import (
    Measured,
    Message,
    Status,
    Taken,
    Turn,
    WorkerState,
    decode,
    encode,
    encode_taken,
)
from stream.daemon.outlet import Outlet as CaptureOutlet
from stream.daemon.publish import Outlet as PublisherOutlet
from stream.daemon.worker import Worker
from stream.faults import FaultWatch
from stream.latency import Histogram
from stream.messages import decode_body
from stream.publisher import Publisher
from stream.service import load_service
from stream.sockets import PublisherSockets
from stream.structs import EventData, HeartbeatData
from stream.topics import Kind
from stream.types import NANOSECONDS, EndReason, Event

ROOT = Path(__file__).parents[3]
CAPTURE = """
import sys, time
import zmq
from stream.daemon.outlet import Outlet
from stream.sources.synthetic import SyntheticSource

endpoint, name, interval = sys.argv[1], sys.argv[2], float(sys.argv[3])
socket = zmq.Context().socket(zmq.PUSH)
socket.setsockopt(zmq.SNDHWM, 4)
socket.connect(endpoint)
outlet = Outlet(socket, live=True)
source = SyntheticSource(name, people=1, fps=30.0)
source.open()
for frame in source:
    outlet.put(frame)
    outlet.report(name, "running")
    time.sleep(interval)
"""
CONFIG = """
[events]
enter = 0.0
exit = 0.0
margin = -2.0
needed = 1
of = 1
[background]
bank = false
[[prompts]]
name = "kick"
text = "a person kicks"
"""


def make_child(name: str, ended: tuple[str, ...] = ()) -> Child:
    """A child whose supervisor does not listen."""
    orders = Orders(
        name=name, parent=0, control="", frames="", outputs="", config_path="", config={}, source=0, salt="salt",
        ended=ended,
    )  # fmt: skip
    return Child(orders)


@pytest.fixture
def child() -> Iterator[Child]:
    child = make_child("publisher")
    yield child
    child.context.destroy(linger=0)


def capture(endpoint: str, name: str, interval: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CAPTURE, endpoint, name, str(interval)], cwd=ROOT)


class Bench:
    """A worker in a thread, fed through a real socket; what it sends is collected."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.frames = f"ipc://{folder}/frames"
        self.child = make_child("worker")
        self.seen: list[Message] = []
        self._outputs = f"inproc://{folder}"
        inlet, outlet = self.child.context.socket(zmq.PULL), self.child.context.socket(zmq.DEALER)
        self._publisher = self.child.context.socket(zmq.DEALER)
        self._publisher.setsockopt(zmq.RCVHWM, 100_000)
        self._publisher.bind(self._outputs)
        outlet.connect(self._outputs)
        inlet.setsockopt(zmq.RCVHWM, 16)
        inlet.bind(self.frames)
        self.worker = Worker(self.child, config, load_service(config), inlet, outlet)
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def read(self, timeout_ms: int = 20) -> None:
        while self._publisher.poll(timeout_ms):
            self.seen.append(decode(self._publisher.recv_multipart()))
            timeout_ms = 0

    def turns(self, name: str) -> list[tuple[int, int]]:
        """First and last number of this source's frames in each turn."""
        return [m.taken[name][:2] for m in self.seen if isinstance(m, Turn) and name in m.taken]

    def close(self) -> None:
        self.child.stopping, self.child.deadline = True, 0.0
        self._publisher.send(encode_taken(Taken(1 << 40, 1 << 40, again=False)))
        self.thread.join(30)
        self.child.context.destroy(linger=0)


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("b")
    monkeypatch.chdir(ROOT)
    bench = Bench(folder, parse_config(tomllib.loads(CONFIG), folder / "test.toml"))
    yield bench
    bench.close()


def test_a_source_that_floods_and_one_that_dies_take_no_frame_from_another(bench: Bench) -> None:
    processes = [capture(bench.frames, "flood", 0.0), capture(bench.frames, "dying", 0.01)]
    try:
        deadline = time.monotonic() + 60
        while not (bench.turns("flood") and bench.turns("dying")):
            assert time.monotonic() < deadline
            bench.read()
        socket = bench.child.context.socket(zmq.PUSH)
        socket.setsockopt(zmq.SNDHWM, 4)
        socket.connect(bench.frames)
        outlet = CaptureOutlet(socket, live=True)
        for number in range(90):
            if number == 30:
                processes[1].kill()
            elif number == 60:
                processes.append(capture(bench.frames, "dying", 0.01))
            outlet.put(frame(number * NANOSECONDS // 30, person(), seq=number, source="steady"))
            bench.read(0)
            time.sleep(1 / 30)
        while not (
            outlet.flush()
            and bench.turns("steady")
            and bench.turns("steady")[-1][1] == 90
            and bench.turns("flood")[-1][1] > 200  # it did flood
        ):
            assert time.monotonic() < deadline + 60
            bench.read()
        socket.close(0)
        assert (outlet.frames, outlet.dropped) == (90, 0)
        numbers = bench.turns("steady")
        assert numbers[0][0] == 1
        assert all(later[0] == before[1] + 1 for before, later in itertools.pairwise(numbers))
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measured(bench: Bench) -> dict[str, Histogram]:
    """What the worker told of its stages so far, added up."""
    stages: dict[str, Histogram] = {}
    for message in bench.seen:
        if isinstance(message, Measured):
            for stage, counts in message.stages.items():
                stages.setdefault(stage, Histogram()).merge(counts)
    return stages


def test_a_worker_measures_its_stages_and_says_what_it_took(bench: Bench) -> None:
    with bench.child.context.socket(zmq.PUSH) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(bench.frames)
        outlet = CaptureOutlet(socket, live=True)
        began = time.monotonic_ns()
        for number in range(100):
            pose = {"capture": 0.002, "pose": 0.03}
            outlet.put(frame(number * NANOSECONDS // 30, person(), person(2.0), seq=number), pose)
            while not outlet.flush():
                time.sleep(0.001)
        deadline = time.monotonic() + 60
        while (
            sum(last - first + 1 for first, last in bench.turns("cam")) < 100
            or measured(bench).get("queue", Histogram()).count < 100
            or not {"encode", "window"} <= set(measured(bench))
        ):
            assert time.monotonic() < deadline
            bench.read()
    turns = [message for message in bench.seen if isinstance(message, Turn)]
    assert turns[-1].taken["cam"] == (turns[-1].taken["cam"][0], 100, 2)
    scored = [turn for turn in turns if turn.captured]
    assert scored
    assert all(began - 40_000_000 < turn.captured < turn.decided for turn in scored)
    stages = measured(bench)
    assert {stage: h.count for stage, h in stages.items() if stage in ("capture", "pose", "queue")} == {
        "capture": 100, "pose": 100, "queue": 100,
    }  # fmt: skip
    assert stages["pose"].quantile(0.5) == pytest.approx(0.03, rel=0.1)
    assert stages["capture"].quantile(0.5) == pytest.approx(0.002, rel=0.1)
    assert all(0 < stages[stage].quantile(0.99) < 60 for stage in ("queue", "window", "encode"))


def test_a_lost_source_ends_its_events_and_may_come_back(bench: Bench) -> None:
    deadline = time.monotonic() + 60
    with bench.child.context.socket(zmq.PUSH) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(bench.frames)
        outlet = CaptureOutlet(socket, live=False)
        for number in range(60):
            outlet.put(frame(number * NANOSECONDS // 30, person(), seq=number))
        for state in ("running", "lost", "lost", "running", "ended"):
            while not (outlet.flush() and outlet.report("cam", state, "why" if state == "lost" else "")):
                assert time.monotonic() < deadline
        while not any(isinstance(m, Status) and m.state == "ended" for m in bench.seen):
            assert time.monotonic() < deadline
            bench.read()
    told = [m.state if isinstance(m, Status) else m.phase for m in bench.seen if isinstance(m, Status | Event)]
    assert [each for each in told if each != "update"] == [
        "start",
        "running",
        "end",
        "lost",
        "lost",
        "running",
        "ended",
    ]
    (end,) = (m for m in bench.seen if isinstance(m, Event) and m.phase == "end")
    assert end.reason is EndReason.GAP


def test_a_recorder_goes_on_while_a_camera_is_away(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(child, "tell", lambda kind, **data: told.append((kind, data.get("state", ""))))
    running, states = {"cam"}, dict[str, str]()
    for state in ("running", "lost", "lost", "running"):
        recorder._status(child, Status("cam", state), running, states)
        assert running == {"cam"}
    assert told == [("status", "lost"), ("status", "running")]
    recorder._status(child, Status("cam", "ended"), running, states)
    assert told[2:] == [("source_ended", ""), ("status", "ended")]
    assert not running


def test_stamps_ride_beside_the_frame() -> None:
    sent = frame(5, person())
    parts = encode(sent)
    assert stamp_of(parts[0]) is None
    stamp = Stamp(7, 2**62, 30_000_000, 2**62 + 1)
    sent_parts = [stamped(parts[0], *stamp)]
    assert stamp_of(sent_parts[0]) == stamp
    arrived = decode(sent_parts)
    assert (arrived.source, arrived.t) == (sent.source, sent.t)


@pytest.mark.parametrize(
    "message", [Turn({"cam": (1, 4, 2)}, 5, 6), Turn({}, 0, 6), Measured({"queue": {3: 2}}, 1), Measured({}, 0)]
)
def test_what_is_measured_arrives_as_it_was(message: Message) -> None:
    assert decode(encode(message)) == message


def test_losses_add_up_over_restarts_of_everything() -> None:
    flow = Flow()
    flow.status(Status("cam", "running", "", ("cam",), 100, 5, 30.0, 40))
    flow.status(Status("cam", "running", "", ("cam",), 200, 7, 30.0, 41))
    flow.status(Status("cam", "running", "", ("cam",), 10, 1, 30.0, 2))  # another process
    flow.turn(Turn({"cam": (1, 10, 1)}, 0, 0), 0)
    flow.turn(Turn({"cam": (11, 20, 1), "other": (5, 5, 0)}, 0, 0), 0)
    flow.turn(Turn({"cam": (24, 30, 1)}, 0, 0), 0)  # a worker died with three frames
    flow.turn(Turn({"cam": (1, 2, 1)}, 0, 0), 0)  # the capture started again
    flow.measured(Measured({}, 4), 0)
    flow.measured(Measured({}, 2), 0)
    assert flow.dropped == {"capture": 43, "queue": 8, "worker": 3, "publish": 6}


def test_many_names_do_not_make_it_grow() -> None:
    flow = Flow()
    for number in range(3_000):
        flow.turn(Turn({f"file{number}": (1, 1, 3)}, 0, 0), 0)
    assert len(flow.people) <= 1024
    assert "file2999" in flow.people


class Public:
    """The publisher's outlet with real sockets, and all that it sent."""

    def __init__(self, child: Child, folder: Path, fault_after_s: float) -> None:
        self.publisher = Publisher("node")
        self.sockets = PublisherSockets(self.publisher, events=f"ipc://{folder}/e", query=f"ipc://{folder}/q")
        self.child = child
        self.outlet = PublisherOutlet(child, self.publisher, self.sockets, [], FaultWatch(["cam"], fault_after_s))

    def events(self) -> list[EventData]:
        page = self.publisher.journal.after(Kind.ALARM, 0, 100, 1 << 20)
        return [decode_body(body).data for body in page.messages]  # type: ignore[union-attr,misc]


@pytest.fixture
def public(child: Child, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Public]:
    public = Public(child, tmp_path_factory.mktemp("p"), 0.0)
    with public.sockets:
        yield public


def test_heartbeats_tell_latencies_and_losses(public: Public) -> None:
    now = time.monotonic_ns()
    histogram = Histogram()
    histogram.add(0.03)
    public.outlet.put(Measured({"pose": histogram.take()}, 2))
    public.outlet.put(Turn({"cam": (1, 3, 2)}, now - NANOSECONDS, now))
    data = public.publisher.heartbeat().envelope.data
    assert isinstance(data, HeartbeatData)
    assert set(data.latency_ms) == {"pose", "publish", "total"}
    assert data.latency_ms["pose"].p99 == pytest.approx(30, rel=0.1)
    assert 900 < data.latency_ms["total"].p50 < 60_000
    assert data.dropped == {"capture": 0, "queue": 0, "worker": 0, "publish": 2}
    summary = public.outlet.summary()
    assert summary["people"] == {"cam": 2}
    assert summary["latency_ms"]["pose"] == {"p50": data.latency_ms["pose"].p50, "p99": data.latency_ms["pose"].p99}


def test_a_fault_outlives_a_worker_and_ends_with_the_daemon(public: Public) -> None:
    public.outlet.put(Status("cam", "running", "", ("cam",), 5))
    public.outlet.put(Status("cam", "lost", "no image for 5.0 s", ("cam",), 5))
    public.outlet.put(WorkerState("started", "digest"))
    (start,) = public.events()
    assert (start.kind, start.name, start.phase) == ("fault", "camera-lost", "start")
    assert public.publisher.journal.open_events()
    public.outlet.close(EndReason.SHUTDOWN)
    end = public.events()[-1]
    assert (end.id, end.phase, end.reason) == (start.id, "end", "shutdown")


def test_a_camera_that_returns_ends_its_fault(public: Public) -> None:
    public.outlet.put(Status("cam", "lost", "gone", ("cam",), 5))
    public.outlet.put(Status("cam", "running", "", ("cam",), 6))
    assert [(event.phase, event.reason) for event in public.events()] == [("start", None), ("end", "recovered")]


def test_what_the_supervisor_notes_is_published_once_and_stays(public: Public) -> None:
    public.outlet.put(Status("cam", "running", "", ("cam",), 5, 1, 30.0))
    public.child.statuses += [SourceNote("cam", "faulted", "died 5 times")] * 2
    public.outlet.look()
    assert not public.child.statuses
    seq = public.publisher.seqs()["status"]
    public.child.statuses.append(SourceNote("cam", "faulted", "died 5 times"))
    public.outlet.look()
    public.outlet.put(Status("cam", "lost", "its capture process died", ("cam",), 5))
    assert public.publisher.seqs()["status"] == seq == 2
    state = public.publisher.states()["cam"]
    assert (state.state, state.detail, state.frames, state.dropped) == ("faulted", "died 5 times", 5, 1)
    assert [event.phase for event in public.events()] == ["start"]
    public.outlet.put(Status("cam", "running", "", ("cam",), 1))
    assert public.publisher.states()["cam"].state == "running"
    assert [event.phase for event in public.events()] == ["start", "end"]


def test_a_process_that_is_well_again_may_say_that_its_camera_is_away(
    public: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    public.outlet.put(Status("cam", "running", "", ("cam",), 5, 1, 30.0))
    public.child.statuses.append(SourceNote("cam", "faulted", "died 5 times"))
    public.outlet.look()
    public.outlet.put(Status("cam", "lost", "no image for 5.0 s", ("cam",), 5))
    assert public.publisher.states()["cam"].state == "faulted"
    monkeypatch.setattr(publish, "NOTE_S", 0.0)  # as if the supervisor had said no more for a while
    public.outlet.put(Status("cam", "lost", "no image for 6.0 s", ("cam",), 5))
    state = public.publisher.states()["cam"]
    assert (state.state, state.detail) == ("lost", "no image for 6.0 s")
    assert [event.phase for event in public.events()] == ["start"]  # one fault all the while


def test_long_details_and_wild_rates_are_published_once(public: Public) -> None:
    for _ in range(3):
        public.outlet.put(Status("file", "error", "x" * 9000, ("file",), 5, 0, 1e9))
    assert public.publisher.seqs()["status"] == 1
    public.publisher.heartbeat()


def test_cameras_are_live_and_recordings_are_not() -> None:
    blocks = [
        {"kind": "video", "name": "a", "camera": 0},
        {"kind": "kinect_v2", "name": "b"},
        {"kind": "synthetic", "name": "c"},
        {"kind": "azure_kinect", "name": "d", "path": "x.mkv"},
        {"kind": "video", "name": "e", "path": "x.mp4"},
        {"kind": "file", "name": "f", "path": "x.csv"},
    ]
    config = parse_config({"sources": blocks}, Path("test.toml"))
    assert [entry.name for entry in config.sources if is_live(entry)] == ["a", "b", "c"]
