"""Frames of joints from images: of real files and a real camera server, with people that are placed by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from camera_server import CameraServer, Nobody, noise, read_on, read_until_timeout
from numpy.typing import NDArray

from stream.config_sources import VideoSource
from stream.errors import PosewireError, SourceError
from stream.layouts import layout
from stream.sources.base import Source, SourceTimeout
from stream.sources.configured import Looped
from stream.types import SkeletonFrame

try:
    import cv2

    from stream.sources.images import FileImages
    from stream.sources.live_images import LiveImages
    from stream.sources.video import LiveVideo, Observer, VideoFile, video_source
    from stream.vision.placement import focal_of, project
    from stream.vision.pose import Pose
except ImportError as error:
    pytest.skip(f"OpenCV or a part of it cannot be imported: {error}", allow_module_level=True)

SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "samples"


@dataclass
class Someone:
    id: int
    pose: Pose


def standing() -> Pose:
    """A pose like a plank: world landmarks from head to foot, and their image under a camera 3 m away."""
    world = np.zeros((33, 3), np.float32)
    world[:, 1] = np.linspace(-0.8, 0.9, 33)
    world[::2, 0], world[1::2, 0] = 0.2, -0.2
    world[:, 2] = np.linspace(-0.1, 0.1, 33)
    scale = focal_of(160, 60) / (3.0 + world[:, 2])
    image = np.column_stack((80 + world[:, 0] * scale, 60 + world[:, 1] * scale, world[:, 2] * scale))
    visibility = np.linspace(0.5, 1.2, 33, dtype=np.float32)
    return Pose(image.astype(np.float32), visibility, world, 0.9)


class Pair:
    """Sees the same two people in every image."""

    def update(self, t_ns: int, image_bgr: NDArray[np.uint8]) -> list[Someone]:  # noqa: ARG002
        return [Someone(4, standing()), Someone(9, standing())]

    def reset(self) -> None:
        """Nobody is remembered."""


def film(path: Path, images: int = 12) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for number in range(images):
        writer.write(noise(number, (160, 120)))
    writer.release()
    return path


def read_all(source: Source) -> list[SkeletonFrame]:
    with source:
        return list(source)


def test_joints_in_metres_lie_before_the_camera_on_the_rays_of_their_pixels(tmp_path: Path) -> None:
    observer = Observer("film", lambda: nullcontext(Pair()), 60.0)
    source = VideoFile("film", FileImages(film(tmp_path / "film.avi")), observer)
    frames = read_all(source)
    assert [frame.seq for frame in frames] == list(range(12))
    assert [frame.t for frame in frames] == [round(number * 1e8) for number in range(12)]
    frame = frames[0]
    assert (frame.layout, frame.space, frame.source) == ("mediapipe", "camera3d", "film")
    assert frame.joints.shape == (2, 33, 3)
    assert frame.track_ids.tolist() == [4, 9]
    assert frame.confidence.max() == 1
    assert frame.confidence.min() == pytest.approx(0.5)
    assert frame.joints[0, :, 2] == pytest.approx(3.0 + standing().world[:, 2], abs=0.05)
    pixels = project(frame.joints[0], focal_of(160, 60), (80.0, 60.0))
    assert np.abs(pixels - standing().image[:, :2]).max() < 0.01
    assert layout("mediapipe").to_canonical(frame.joints, frame.confidence)[0].shape == (2, 25, 3)
    assert source.stages["pose"] > 0
    assert not source.live


def test_joints_in_pixels_are_those_of_the_image(tmp_path: Path) -> None:
    observer = Observer("film", lambda: nullcontext(Pair()), None)
    frame = read_all(VideoFile("film", FileImages(film(tmp_path / "film.avi")), observer))[0]
    assert frame.space == "image2d"
    assert np.array_equal(frame.joints[0, :, :2], standing().image[:, :2])
    assert not frame.joints[..., 2].any()


def test_a_file_loops_with_times_that_go_on_and_may_be_opened_again(tmp_path: Path) -> None:
    lives: list[Nobody] = []

    def people() -> AbstractContextManager[Nobody]:
        lives.append(Nobody())
        return nullcontext(lives[-1])

    source = VideoFile("film", FileImages(film(tmp_path / "film.avi")), Observer("film", people, 60.0))
    assert len(read_all(source)) == len(read_all(source)) == 12
    with Looped(source) as looped:
        frames = [looped.read(0.0) for _ in range(30)]
    assert [frame.t for frame in frames] == [round(number * 1e8) for number in range(30)]
    assert len(lives) == 3, "the networks are loaded once for all rounds"
    assert frames[0].joints.shape == (0, 33, 3)
    source.close()
    source.close()


def test_a_file_that_is_no_video_ends_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("no film")
    source = video_source(VideoSource(name="film", kind="video", path=str(path)))
    with source, pytest.raises(SourceError, match=r"film.mp4: holds no image that OpenCV can read"):
        source.read(0.0)


def test_the_configuration_loops_a_file(tmp_path: Path) -> None:
    path = str(film(tmp_path / "film.avi"))
    assert isinstance(video_source(VideoSource(name="film", kind="video", path=path, loop=True)), Looped)
    assert isinstance(video_source(VideoSource(name="film", kind="video", path=path)), VideoFile)


def test_without_opencv_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(PosewireError, match=r"^cv2: cannot be loaded .*; expected it to be installed: pip install"):
        video_source(VideoSource(name="door", kind="video", camera=0))


def test_a_camera_gives_frames_with_what_they_took() -> None:
    released: list[bool] = []

    @contextmanager
    def people() -> Iterator[Nobody]:
        yield Nobody()
        released.append(True)

    with CameraServer(fps=20) as camera:
        source = LiveVideo("cam", LiveImages("cam", lambda: camera.url), Observer("cam", people, 60.0))
        assert source.fingerprint is None
        with source:
            seen = []
            for number in range(10):
                frame = source.read(timeout=10.0)
                assert (frame.seq, frame.joints.shape, frame.source) == (number, (0, 33, 3), "cam")
                seen.append(source.fingerprint)
            assert len(set(seen)) == 10
            assert source.resolution == (320, 240)
            assert set(source.stages) == {"capture", "pose"}
            camera.still = True
            for _ in range(200):
                source.read(timeout=10.0)
                seen.append(source.fingerprint)
                if seen[-1] == seen[-2]:
                    break
            assert seen[-1] == seen[-2]
            camera.silent = True
            with pytest.raises(SourceTimeout):
                read_until_timeout(source.read)
            camera.stop()
            with pytest.raises(SourceError, match=r"^cam: the stream ended"):
                read_on(source.read)
        assert released
        source.close()
        with pytest.raises(RuntimeError, match="not open"):
            source.read(0.0)
        with pytest.raises(
            SourceError, match=r"^cam: cannot be opened: 127.0.0.1:\d+ refuses the connection; expected"
        ):
            source.open()


def test_the_configuration_names_the_camera() -> None:
    source = video_source(VideoSource(name="door", kind="video", camera=97))
    assert source.live
    with pytest.raises(SourceError, match=r"^camera 97: cannot be opened"):
        source.open()
    with pytest.raises(SourceError, match="environment variable POSEWIRE_TEST_ABSENT is not set"):
        video_source(
            VideoSource(name="door", kind="video", url="rtsp://cam/1", user="me", password_env="POSEWIRE_TEST_ABSENT")
        )


@pytest.mark.skipif(not SAMPLES.exists(), reason="needs ../shared/data/samples")
def test_mediapipe_sees_a_person_in_a_real_video() -> None:
    pytest.importorskip("mediapipe", reason="MediaPipe cannot be imported", exc_type=ImportError)
    path = SAMPLES / "video" / "person_close_up.mkv"
    source = video_source(VideoSource(name="close", kind="video", path=str(path), pose="full"))
    with source:
        frames = [source.read(0.0) for _ in range(10)]
    assert any(len(frame.track_ids) for frame in frames)
