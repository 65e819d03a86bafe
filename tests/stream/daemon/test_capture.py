"""The capture process around sources that stall, fail, hang and come back; its loop runs here, in a thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from poses import frame, person

from stream.config import Capture, Config
from stream.config_sources import AzureKinectSource, FileSource, SyntheticSource, VideoSource
from stream.daemon import capture
from stream.daemon.child import REFUSED, Child, Orders
from stream.daemon.frame_part import stamp_of
from stream.daemon.links import Status, decode
from stream.errors import PosewireError, SourceError
from stream.secrets import hide
from stream.sources import configured
from stream.sources.base import EndOfSource, Source, SourceHung, SourceTimeout
from stream.sources.reconnecting import Reconnecting
from stream.types import NANOSECONDS, SkeletonFrame

Step = Exception | str | None


class Camera(Source):
    """A source whose `read` follows a script: "frame", None for silence, or what it raises; then it is silent."""

    def __init__(self, steps: list[Step], live: bool = True, opens: list[Step] | None = None) -> None:
        self.name, self.live = "cam", live
        self._steps, self._opens = steps, opens or []
        self._count = 0

    @property
    def dropped(self) -> int:
        return 2 * self._count

    @property
    def stages(self) -> dict[str, float]:
        return {"capture": 0.001, "pose": 0.02}

    def open(self) -> None:
        if self._opens and isinstance(step := self._opens.pop(0), Exception):
            raise step

    def read(self, timeout: float) -> SkeletonFrame:
        step = self._steps.pop(0) if self._steps else None
        if isinstance(step, Exception):
            raise step
        if step is None:
            time.sleep(min(timeout, 0.02))
            raise SourceTimeout
        self._count += 1
        t = time.monotonic_ns()
        return frame(t, person(), seq=self._count)

    def close(self) -> None:
        self.closed = True


class Running:
    """`capture.main` in a thread, and what it sends."""

    def __init__(self, folder: Path, stall_s: float, live: bool, recording: str) -> None:
        endpoint = f"ipc://{folder}/frames"
        block = {"kind": "synthetic", "name": "cam"} if live else {"kind": "file", "name": "cam", "path": "cam.csv"}
        config = {"sources": [block], "capture": {"stall_s": stall_s}}
        self.child = Child(
            Orders(name="capture:cam", parent=0, control="", frames=endpoint, outputs="", config_path="x.toml",
                   config=config, source=0, recording=recording)
        )  # fmt: skip
        self.context = zmq.Context()
        self.pull = self.context.socket(zmq.PULL)
        self.pull.bind(endpoint)
        self.seen: list[Any] = []
        self.parts: list[list[bytes]] = []
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.code = capture.main(self.child)

    def until(self, wanted: Callable[[list[Any]], bool]) -> list[Any]:
        deadline = time.monotonic() + 30
        while not wanted(self.seen):
            assert time.monotonic() < deadline, self.states()
            if self.pull.poll(50):
                self.parts.append(self.pull.recv_multipart())
                self.seen.append(decode(self.parts[-1]))
        return self.seen

    def states(self) -> list[tuple[str, str]]:
        """States told so far; one that is told again, as it is every second, is left out."""
        told = [(m.state, m.detail) for m in self.seen if isinstance(m, Status)]
        return [state for n, state in enumerate(told) if n == 0 or state != told[n - 1]]

    def close(self) -> None:
        self.child.stopping, self.child.deadline, self.child.released = True, 0.0, True
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.child.context.destroy(linger=0)
        self.context.destroy(linger=0)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a capture of a source that is given, after errors of those that cannot be made."""
    started: list[Running] = []
    monkeypatch.setattr(capture, "guard_outputs", lambda: None)  # of this process, which runs other tests too

    monkeypatch.setattr(capture, "RETRY_S", 0.1)

    def begin(*made: Source | Exception, stall_s: float = 60.0, live: bool = True, recording: str = "") -> Running:
        waiting = list(made)

        def make(_entry: object) -> Source:
            source = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if isinstance(source, Exception):
                raise source
            return source

        monkeypatch.setattr(capture, "configured_source", make)
        started.append(Running(tmp_path_factory.mktemp("c"), stall_s, live, recording))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def frames_of(seen: list[Any]) -> list[SkeletonFrame]:
    return [message for message in seen if isinstance(message, SkeletonFrame)]


def has_state(state: str, times: int = 1) -> Callable[[list[Any]], bool]:
    return lambda seen: sum(isinstance(m, Status) and m.state == state for m in seen) >= times


def test_a_camera_that_fails_is_lost_and_comes_back(start: Start) -> None:
    running = start(Camera(["frame"] * 5 + [SourceError("cam", "unplugged")] + ["frame"] * 5))
    running.until(lambda seen: len(frames_of(seen)) == 10)
    running.until(has_state("running", 3))
    (first, _), (second, detail), (third, _) = running.states()
    assert (first, second, third) == ("running", "lost", "running")
    assert "unplugged" in detail
    kinds = [m.state if isinstance(m, Status) else "frame" for m in running.seen]
    lost = kinds.index("lost")
    assert kinds[:lost].count("frame") == 5  # what came before the loss goes first
    times = [f.t for f in frames_of(running.seen)]
    assert times == sorted(set(times))
    last = running.seen[-1] if isinstance(running.seen[-1], Status) else None
    assert last is not None
    assert (last.frames, last.dropped, last.missed) == (10, 0, 20)


def test_a_camera_that_says_nothing_is_lost(start: Start) -> None:
    running = start(Camera(["frame"] * 3), stall_s=0.5)
    running.until(has_state("lost"))
    lost = next(m for m in running.seen if isinstance(m, Status) and m.state == "lost")
    assert "no image for" in lost.detail
    assert lost.rate_hz == 0.0


def test_a_camera_that_never_gave_a_frame_never_runs(start: Start) -> None:
    running = start(Camera([], opens=[SourceError("cam", "refused")] * 50))
    running.until(has_state("lost", 2))
    assert {state for state, _ in running.states()} == {"lost"}


def test_frames_carry_when_they_were_captured(start: Start) -> None:
    running = start(Camera(["frame"] * 10))
    running.until(lambda seen: len(frames_of(seen)) == 10)
    stamps = [stamp for parts in running.parts if (stamp := stamp_of(parts[0])) is not None]
    assert [stamp.number for stamp in stamps] == list(range(1, 11))
    assert all(stamp.handed - stamp.captured == 21_000_000 and stamp.pose == 20_000_000 for stamp in stamps)


def test_a_recorded_source_ends_and_its_latency_counts_from_where_it_was_due(start: Start) -> None:
    running = start(Camera(["frame"] * 3 + [EndOfSource()], live=False), live=False)
    running.until(has_state("ended"))
    stamps = [stamp for parts in running.parts if (stamp := stamp_of(parts[0])) is not None]
    assert [0 < stamp.captured <= stamp.handed for stamp in stamps] == [True] * 3
    due = [stamp.captured - stamps[0].captured for stamp in stamps]
    times = [frame.t for frame in frames_of(running.seen)]
    assert due == pytest.approx([t - times[0] for t in times], abs=1000), "as the recording has it, however late"
    assert [state for state, _ in running.states()] == ["running", "ended"]
    running.child.released = True
    running.thread.join(20)
    assert running.code == 0


@pytest.mark.parametrize(
    "error", [SourceError("cam", "no such device"), PosewireError("needs mediapipe; expected pip install")]
)
@pytest.mark.parametrize("place", [{"live": False}, {"recording": "out.pwr"}])
def test_what_is_recorded_and_cannot_be_made_is_an_error(
    start: Start, error: Exception, place: dict[str, object]
) -> None:
    running = start(error, **place)
    running.until(has_state("error"))
    assert running.states() == [("error", str(error))]
    running.child.released = True
    running.thread.join(20)
    assert running.code == REFUSED


def test_a_camera_that_lacks_something_is_lost_until_it_has_it(start: Start) -> None:
    missing = PosewireError("pose_landmarker_full.task: the pose network is not there")
    password = SourceError("rtsp://cam", "password file is not there")
    camera = Camera(["frame"] * 3 + [missing] + ["frame"] * 3, opens=[None, missing])
    running = start(password, password, camera)
    running.until(lambda seen: any(isinstance(m, Status) and (m.state, m.frames) == ("running", 6) for m in seen))
    assert [state for state, _ in running.states()] == ["lost", "running", "lost", "running"]
    details = [detail for state, detail in running.states() if state == "lost"]
    assert "password file is not there" in details[0]
    assert "the pose network is not there" in details[1]
    assert len(frames_of(running.seen)) == 6
    assert running.code is None


def test_a_camera_that_waits_for_what_it_lacks_can_be_stopped(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "RETRY_S", 600.0)
    running = start(SourceError("cam", "password file is not there"))
    running.until(has_state("lost", 2))  # said again, as a worker or publisher may be new
    running.child.stopping = running.child.released = True
    running.thread.join(20)
    assert running.code == 0


def test_a_driver_that_hangs_needs_another_process(start: Start) -> None:
    running = start(Camera(["frame", SourceHung("cam", "the driver does not return")]))
    running.thread.join(20)
    assert running.code == capture.HUNG not in (0, REFUSED)


def test_secrets_are_not_told(start: Start) -> None:
    hide("hunter2-flow")
    running = start(Camera(["frame", SourceError("cam", "rtsp://u:hunter2-flow@host refused")]))
    running.until(has_state("lost"))
    assert not any(b"hunter2" in part for parts in running.parts for part in parts)


def test_only_live_sources_are_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(capture=Capture(stall_s=1.0, frozen_s=2.0))
    entry = SyntheticSource(kind="synthetic", name="cam")
    for live in (True, False):
        monkeypatch.setattr(capture, "configured_source", lambda _entry, live=live: Camera([], live=live))
        assert isinstance(capture.open_for_capture(entry, config), Reconnecting) is live


def test_recordings_of_every_kind_have_a_speed(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    assert capture.speed(FileSource(kind="file", name="a", path=path, speed=2.0)) == 2.0
    assert capture.speed(VideoSource(kind="video", name="a", path=path, speed=3.0)) == 3.0
    assert capture.speed(AzureKinectSource(kind="azure_kinect", name="a", path=path, speed=4.0)) == 4.0
    assert capture.speed(SyntheticSource(kind="synthetic", name="a")) is None


def test_times_go_on_while_the_clock_of_the_machine_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    shift = [0.0]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    entry = SyntheticSource(kind="synthetic", name="cam", fps=100.0)
    source = configured.configured_source(entry)
    times = []
    with source:
        for step in (0.0, -3600.0, 7200.0):
            shift[0] = step
            times += [source.read(1.0).t for _ in range(5)]
    assert all(0 < later - before < NANOSECONDS * 5 for before, later in itertools.pairwise(times))
