"""Sources that are lost and come back: by a scripted source and clock, and by a real camera server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import numpy as np
import pytest
from camera_server import CameraServer, Nobody

from stream.errors import PosewireError, SourceError
from stream.secrets import hide
from stream.sources import reconnecting
from stream.sources.base import EndOfSource, Source, SourceHung, SourceTimeout
from stream.sources.reconnecting import STILL, Reconnecting
from stream.sources.still import CHANGES
from stream.types import NANOSECONDS, NO_TRACK, SkeletonFrame


class Clock:
    """Seconds that pass only when told to, by pauses too."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, cancelled: threading.Event, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now += seconds
        return cancelled.is_set()


class Scripted(Source):
    """A live source that does what it is told to at each `open` and `read`."""

    name = "cam"
    live = True

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.opened = self.closed = 0
        self.open_error: Exception | None = None
        self.read_error: Exception | None = None
        self.image: int | None = None
        self.wall = 5_000.0
        self.seq = 0

    @property
    def fingerprint(self) -> int | None:
        return self.image

    def open(self) -> None:
        self.opened += 1
        self.seq = 0
        if self.open_error is not None:
            raise self.open_error

    def close(self) -> None:
        self.closed += 1

    def read(self, timeout: float) -> SkeletonFrame:
        if self.read_error is not None:
            self.clock.now += timeout
            raise self.read_error
        self.clock.now += 0.1
        t = round((self.wall + self.clock.now) * NANOSECONDS)
        self.seq += 1
        ids = np.array([NO_TRACK, 3], np.int64)
        blank = np.zeros((2, 33, 3), np.float32)
        return SkeletonFrame("cam", self.seq - 1, t, "mediapipe", blank, blank[..., 0], ids)


@contextmanager
def scripted(
    chance: float = 0.0, open_error: Exception | None = None
) -> Iterator[tuple[Reconnecting, Scripted, Clock]]:
    clock = Clock()
    source = Scripted(clock)
    source.open_error = open_error
    again = Reconnecting(source, stall_s=5, frozen_s=10, clock=clock, chance=lambda: chance, pause=clock.pause)
    with again:
        yield again, source, clock


def until_frame(source: Reconnecting, reads: int = 2000, timeout: float = 0.25) -> SkeletonFrame:
    for _ in range(reads):
        try:
            return source.read(timeout)
        except SourceTimeout:
            continue
    raise AssertionError(f"no frame in {reads} reads: {source.state}, {source.detail}")


def until_lost(source: Reconnecting, reads: int = 2000, timeout: float = 0.25) -> None:
    for _ in range(reads):
        try:
            source.read(timeout)
        except SourceTimeout:
            if source.state == "lost":
                return
    raise AssertionError(f"not lost in {reads} reads")


def test_frames_of_a_source_that_works_go_through_as_they_are() -> None:
    with scripted() as (source, inner, _):
        assert (source.state, source.detail) == ("running", "opening")
        frames = [until_frame(source) for _ in range(5)]
        assert [frame.seq for frame in frames] == [0, 1, 2, 3, 4]
        assert frames[0].track_ids.tolist() == [NO_TRACK, 3]
        assert (source.state, source.detail) == ("running", "")
        assert inner.opened == 1
    assert inner.closed >= 1
    with pytest.raises(RuntimeError, match="not open"):
        source.read(0.0)
    source.close()


@pytest.mark.parametrize("error", [SourceError("cam", "the cable is gone"), EndOfSource(), SourceTimeout()])
def test_what_breaks_is_opened_again_and_goes_on(error: Exception) -> None:
    with scripted() as (source, inner, clock):
        before = [until_frame(source) for _ in range(3)]
        inner.read_error = error
        until_lost(source)
        expected = {"SourceError": "cam: the cable is gone", "EndOfSource": "the source ended"}
        assert source.detail == expected.get(type(error).__name__, "no image for 5.0 s")
        inner.read_error = None
        after = [until_frame(source) for _ in range(3)]
        assert source.state == "running"
        assert [frame.seq for frame in before + after] == [0, 1, 2, 3, 4, 5]
        times = [frame.t for frame in before + after]
        assert times == sorted(times)
        assert after[0].track_ids.tolist() == [NO_TRACK, 7]  # nobody is taken for somebody of before
        assert inner.opened == 2
        assert clock.pauses == [0.0, 0.5]


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_steady_time() -> None:
    with scripted(open_error=SourceError("cam", "cannot be opened")) as (source, inner, clock):
        for _ in range(200):
            with pytest.raises(SourceTimeout):
                source.read(0.25)
            if len(clock.pauses) == 10:
                break
        assert source.state == "lost"
        assert clock.pauses == [0.0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        inner.open_error = None
        until_frame(source)
        clock.pauses.clear()
        # It breaks again at once: the pause stays long.
        inner.read_error = SourceError("cam", "gone")
        until_lost(source)
        inner.read_error = None
        until_frame(source)
        assert clock.pauses == [30]
        for _ in range(200):
            source.read(0.25)  # 20 s
        inner.read_error = SourceError("cam", "gone")
        until_lost(source)
        inner.read_error = None
        until_frame(source)
        assert clock.pauses == [30, 0.5]


def test_chance_shortens_pauses_by_up_to_half() -> None:
    with scripted(chance=1.0) as (source, inner, clock):
        until_frame(source)
        inner.read_error = SourceError("cam", "gone")
        until_lost(source)
        inner.read_error = None
        until_frame(source)
        assert clock.pauses == [0.0, 0.25]


def until_detail(source: Reconnecting, detail: str) -> list[SkeletonFrame]:
    frames = []
    for _ in range(2000):
        frames.append(until_frame(source))
        if source.detail == detail:
            return frames
    raise AssertionError(f"not so in 2000 frames: {source.state}, {source.detail}")


def details_of(source: Reconnecting, clock: Clock, seconds: float) -> list[tuple[str, str]]:
    """Read for some seconds; every other state and detail."""
    told: list[tuple[str, str]] = []
    until = clock.now + seconds
    while clock.now < until:
        with suppress(SourceTimeout):
            source.read(0.25)
        if not told or told[-1] != (source.state, source.detail):
            told.append((source.state, source.detail))
    return told


def test_a_still_image_is_no_loss_but_said_and_tried_again_ever_more_seldom() -> None:
    with scripted() as (source, inner, clock):
        for inner.image in range(50):
            until_frame(source)
        inner.image = 7
        began = clock.now
        until_detail(source, STILL)
        assert 9.9 < clock.now - began < 11
        before = until_frame(source)
        # A whole night: one state and one detail, so one message, while frames go on.
        assert details_of(source, clock, 8 * 3600) == [("running", STILL)]
        after = until_frame(source)
        assert after.seq - before.seq > 8 * 3600 * 9
        assert 60 < inner.opened < 120
        assert set(clock.pauses[1:]) == {0.5}
        for inner.image in range(100, 100 + CHANGES):
            until_frame(source)
        assert (source.state, source.detail) == ("running", "")
        # It was well in between: the next time it is opened again at once.
        inner.opened = 0
        assert details_of(source, clock, 25) == [("running", ""), ("running", STILL)]
        assert inner.opened == 1


def test_an_encoder_that_hangs_is_cured_by_opening_it_again() -> None:
    with scripted() as (source, inner, _):
        inner.image = 7
        until_detail(source, STILL)
        assert inner.opened == 1
        until_frame(source)
        assert inner.opened == 2
        for inner.image in range(8, 8 + CHANGES):
            assert (source.state, source.detail) == ("running", STILL)
            until_frame(source)
        assert (source.state, source.detail) == ("running", "")
        assert inner.opened == 2


def test_a_clock_in_a_still_image_makes_no_news() -> None:
    with scripted() as (source, inner, clock):
        inner.image = 0
        details_of(source, clock, 20)
        for inner.image in range(1, 60):
            assert details_of(source, clock, 60) == [("running", STILL)]
        assert inner.opened < 20


def test_a_still_camera_that_does_not_open_again_is_lost() -> None:
    hang = threading.Event()
    with scripted() as (source, inner, clock):
        inner.image = 7
        details_of(source, clock, 9)
        inner.open = lambda: hang.wait(20) and None  # type: ignore[method-assign, assignment]
        until_detail(source, STILL)
        with pytest.raises(SourceTimeout):
            source.read(0.05)
        assert (source.state, source.detail) == ("running", STILL)
        clock.now += 6
        for _ in range(2):
            with pytest.raises(SourceTimeout):
                source.read(0.05)
            assert (source.state, source.detail) == ("lost", "does not answer as it is opened again")
        hang.set()
        until_frame(source)
        assert (source.state, source.detail) == ("running", STILL)
        inner.open_error = SourceError("cam", "refuses")
        del inner.open
        assert details_of(source, clock, 40)[-1] == ("lost", "cam: refuses")
        inner.open_error = None
        until_frame(source)
        assert (source.state, source.detail) == ("running", "")


def test_sources_without_images_do_not_freeze() -> None:
    with scripted() as (source, _, _clock):
        for _ in range(300):
            until_frame(source)
        assert source.state == "running"


def test_times_go_on_when_the_wall_clock_was_set_back() -> None:
    with scripted() as (source, inner, _):
        before = until_frame(source)
        inner.read_error = SourceError("cam", "gone")
        until_lost(source)
        inner.read_error, inner.wall = None, inner.wall - 3600
        after = [until_frame(source) for _ in range(3)]
        assert after[0].t > before.t
        assert (after[0].t - before.t) / NANOSECONDS == pytest.approx(0.5 + 0.1 + 0.25, abs=0.3)
        assert after[1].t - after[0].t == pytest.approx(0.1 * NANOSECONDS, rel=0.01)


def test_secrets_stay_out_of_the_detail() -> None:
    hide("hunter2-detail")
    with scripted(open_error=SourceError("cam", "rtsp://me:hunter2-detail@cam refuses")) as (source, _, _clock):
        until_lost(source)
        assert source.detail == "cam: rtsp://me:***@cam refuses"


def test_what_no_retry_helps_is_raised() -> None:
    with scripted() as (source, inner, _):
        until_frame(source)
        inner.read_error, inner.open_error = SourceError("cam", "gone"), PosewireError("MediaPipe is not installed")
        until_lost(source)
        with pytest.raises(PosewireError, match="MediaPipe is not installed"):
            until_frame(source)


def test_a_driver_that_hangs_blocks_no_read_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()

    class Hanging(Scripted):
        def open(self) -> None:
            hang.wait(20)

    clock = Clock()
    source = Reconnecting(Hanging(clock), stall_s=5, frozen_s=10, clock=clock, pause=clock.pause)
    source.open()
    with pytest.raises(SourceTimeout):
        source.read(0.05)
    clock.now += reconnecting.HUNG_S + 1
    with pytest.raises(SourceHung, match="expected a new process"):
        source.read(0.05)
    monkeypatch.setattr(reconnecting, "CLOSE_S", 0.1)
    source.close()
    with pytest.raises(SourceHung):
        source.open()
    hang.set()


def test_a_camera_that_is_switched_off_freezes_and_stalls_comes_back_each_time() -> None:
    pytest.importorskip("cv2", reason="OpenCV cannot be imported", exc_type=ImportError)

    from stream.sources.live_images import LiveImages
    from stream.sources.video import LiveVideo, Observer

    with CameraServer(fps=25) as camera:
        images = LiveImages("cam", lambda: camera.url)
        video = LiveVideo("cam", images, Observer("cam", lambda: nullcontext(Nobody()), None))
        source = Reconnecting(video, stall_s=2.0, frozen_s=1.0)
        with source:
            frames = [until_frame(source) for _ in range(5)]
            assert source.resolution == (320, 240)

            camera.stop()
            until_lost(source)
            camera.start()
            frames += [until_frame(source) for _ in range(5)]
            assert source.state == "running"

            camera.still = True
            frames += until_detail(source, STILL)
            camera.still = False
            frames += until_detail(source, "")
            assert source.state == "running"

            camera.silent = True
            until_lost(source)
            assert source.detail.startswith("no image for")
            camera.silent = False
            frames += [until_frame(source) for _ in range(5)]
            assert source.state == "running"
        numbers, times = [frame.seq for frame in frames], [frame.t for frame in frames]
        assert numbers == sorted(set(numbers))
        assert times == sorted(set(times))
