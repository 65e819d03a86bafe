"""Images of files and cameras, from real files and a real server."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

try:
    import cv2
except ImportError as error:
    pytest.skip(f"OpenCV cannot be imported: {error}", allow_module_level=True)

from camera_server import CameraServer, noise, read_on, read_until_timeout

from stream.errors import SourceError
from stream.sources import live_images
from stream.sources.base import EndOfSource, SourceHung, SourceTimeout
from stream.sources.images import FileImages, Image
from stream.sources.live_images import LiveImages

SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "samples"


def live(address: int | str, where: str = "camera") -> LiveImages:
    return LiveImages(where, lambda: address)


def next_image(feed: LiveImages, seconds: float = 10.0) -> Image:
    return feed.read(timeout=seconds)


def write_video(path: Path, images: int, fps: float = 10.0, codec: str = "MJPG") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (160, 120))
    for number in range(images):
        writer.write(noise(number, (160, 120)))
    writer.release()
    return path


def read_all(feed: FileImages) -> list[Image]:
    images = []
    feed.open()
    while True:
        try:
            images.append(feed.read(timeout=0.0))
        except EndOfSource:
            feed.close()
            return images


def test_a_file_gives_every_image_at_its_time(tmp_path: Path) -> None:
    feed = FileImages(write_video(tmp_path / "film.avi", 30))
    images = read_all(feed)
    assert [round(image.t / 1e6) for image in images] == [100 * number for number in range(30)]
    assert images[0].pixels.shape == (120, 160, 3)
    assert images[0].pixels.dtype == np.uint8
    assert len(read_all(feed)) == 30  # opened again it starts anew


@pytest.mark.skipif(not SAMPLES.exists(), reason="needs ../shared/data/samples")
def test_times_of_an_uneven_recording_are_those_of_the_container() -> None:
    times = [image.t / 1e9 for image in read_all(FileImages(SAMPLES / "video" / "person_close_up.mkv"))]
    assert len(times) == 60
    assert all(late > early for early, late in pairwise(times))
    assert times[2] == pytest.approx(0.25, abs=0.001)  # it claims 59.94 images a second
    assert times[-1] == pytest.approx(5.907, abs=0.001)


def test_the_images_before_the_place_where_a_file_breaks_off_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write_video(tmp_path / "film.avi", 60).read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    images = read_all(FileImages(cut))
    assert 20 <= len(images) < 60
    assert f"ends after {len(images)} of the 60 images that it claims" in caplog.text


@pytest.mark.parametrize("content", [b"", b"no video at all " * 100])
def test_a_file_that_is_no_video_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    feed = FileImages(path)
    with pytest.raises(SourceError, match=r"film.mp4: holds no image that OpenCV can read; expected a video file$"):
        feed.open()
    with pytest.raises(SourceError, match="no such file"):
        FileImages(tmp_path / "absent.mp4").open()
    feed.close()
    feed.close()


def test_a_webcam_that_is_not_there_is_said_in_one_line() -> None:
    feed = live(97, "camera 97")
    with pytest.raises(
        SourceError, match=r"^camera 97: cannot be opened(: there is no /dev/video97)?; expected a camera that "
    ):
        feed.open()
    feed.close()


def test_a_camera_gives_images_as_they_come_whatever_it_claims() -> None:
    with CameraServer(fps=10) as camera:
        feed = live(camera.url)
        feed.open()
        before = time.time_ns()
        images = [next_image(feed) for _ in range(21)]
        feed.close()
        times = np.array([image.t for image in images]) / 1e9
        assert np.all(np.diff(times) > 0)
        # It claims 25 a second; the server's sleep makes it 10 at most, and a busy machine fewer.
        assert 20 / (times[-1] - times[0]) < 15
        assert before - 2e9 < images[0].t < before + 10e9
        assert images[0].pixels.shape == (240, 320, 3)


def test_only_the_newest_image_is_kept_and_the_others_are_counted() -> None:
    with CameraServer(fps=50) as camera:
        feed = live(camera.url)
        feed.open()
        next_image(feed)
        while feed.dropped < 10:
            time.sleep(0.05)
        tenth = time.time_ns()
        while feed.dropped < 20:
            time.sleep(0.05)
        assert next_image(feed).t > tenth
        assert feed.dropped >= 20
        dropped = feed.dropped
        feed.close()
        feed.open()
        assert feed.dropped >= dropped  # over all its lives
        feed.close()


def test_images_may_change_their_size() -> None:
    with CameraServer() as camera:
        feed = live(camera.url)
        feed.open()
        assert next_image(feed).pixels.shape == (240, 320, 3)
        for size in ((640, 480), (160, 120)):
            camera.size = size
            shapes = [next_image(feed).pixels.shape]
            while shapes[-1] != (size[1], size[0], 3) and len(shapes) < 200:
                shapes.append(next_image(feed).pixels.shape)
            assert len(set(shapes)) <= 2
            assert shapes[-1] == (size[1], size[0], 3)
        feed.close()


def test_streams_of_other_codecs_are_decoded(tmp_path: Path) -> None:
    with CameraServer() as camera:
        camera.film = write_video(tmp_path / "film.avi", 50, codec="XVID").read_bytes()
        feed = live(camera.url)
        feed.open()
        image = next_image(feed)
        assert image.pixels.shape == (120, 160, 3)
        assert image.pixels.std() > 10
        with pytest.raises(SourceError, match="ended"):
            read_on(feed.read)
        feed.close()


def test_damaged_images_are_left_out() -> None:
    with CameraServer() as camera:
        feed = live(camera.url)
        feed.open()
        next_image(feed)
        camera.damaged = True
        with pytest.raises(SourceTimeout):
            read_until_timeout(feed.read)
        assert feed.dropped > 0
        camera.damaged = False
        next_image(feed)
        feed.close()


def test_a_silent_camera_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_images, "READ_S", 1.0)
    with CameraServer() as camera:
        feed = live(camera.url, "cam")
        feed.open()
        next_image(feed)
        camera.silent = True
        with pytest.raises(SourceTimeout):
            read_until_timeout(feed.read)
        # FFmpeg gives up in the end.
        with pytest.raises(SourceError, match=r"^cam: the stream ended or stopped; expected a stream of images$"):
            read_on(feed.read)
        feed.close()


def test_a_camera_that_takes_the_call_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_images, "OPEN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for scheme in ("http", "rtsp"):
            feed = live(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/", scheme)
            with pytest.raises(SourceError, match=f"^{scheme}: "):
                feed.open()
            feed.close()


def test_the_end_of_a_stream_comes_after_its_last_image() -> None:
    with CameraServer(fps=100) as camera:
        camera.limit = 10
        feed = live(camera.url)
        feed.open()
        with pytest.raises(SourceError, match="ended"):
            read_on(feed.read)
        feed.close()
        with pytest.raises(RuntimeError, match="not open"):
            feed.read(0.0)


def test_a_driver_that_hangs_is_left_behind_and_not_joined_by_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_images, "HUNG_S", 0.1)
    hang = threading.Event()

    class Capture:  # OpenCV's own (whose class cannot be inherited from: it crashes), with a driver that hangs
        def __init__(self, *args: Any) -> None:
            self._own = capture(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._own, name)

        def grab(self) -> bool:
            hang.wait(20)
            return False

    capture = cv2.VideoCapture

    with CameraServer() as camera:
        monkeypatch.setattr(cv2, "VideoCapture", Capture)
        feed = live(camera.url)
        feed.open()
        with pytest.raises(SourceTimeout):
            feed.read(timeout=0.1)
        feed.close()
        with pytest.raises(SourceHung, match="expected a new process"):
            feed.open()
        hang.set()
        monkeypatch.setattr(live_images, "HUNG_S", 10.0)
        monkeypatch.setattr(cv2, "VideoCapture", capture)
        feed.open()
        next_image(feed)
        feed.close()
