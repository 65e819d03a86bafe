"""What every kind of source must do: with real files and servers, and stand-ins for sensors and pose networks.

A kind that is added to the configuration must be added here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import fake_kinect
import numpy as np
import pytest
from camera_server import CameraServer, noise
from skeleton_files import DATA, SAMPLES

from stream.config_sources import (
    KINDS,
    AzureKinectSource,
    FileSource,
    KinectV2Source,
    SourceEntry,
    SyntheticSource,
    VideoSource,
)
from stream.errors import SourceError
from stream.layouts import layout
from stream.sources import freenect2
from stream.sources.base import EndOfSource, Source, SourceTimeout
from stream.sources.configured import configured_source
from stream.types import SkeletonFrame

PATIENCE_S = 15.0
"""For what a source does in its own time; only a hanging test waits so long."""


@dataclass(frozen=True)
class Case:
    """One way to have a source of a kind.

    Attributes:
        entry: a block that works.
        broken: a block that cannot be opened.
        spoil: called before `broken` is opened.
        dying: a block that breaks off after some frames; None where nothing can break.
        kill: called after the first frame of `dying`.
        silence: makes the live source of `entry` wait; None where nothing can.
    """

    entry: SourceEntry
    broken: SourceEntry | None
    spoil: Callable[[], None] = lambda: None
    dying: SourceEntry | None = None
    kill: Callable[[], None] = lambda: None
    silence: Callable[[], None] | None = None


@dataclass(frozen=True)
class Place:
    """What a case may use: a folder, something that patches, and what to call at the end."""

    folder: Path
    patch: pytest.MonkeyPatch
    end: Callable[[Callable[[], object]], None]


class PoseStandIn:
    """In the place of `PoseEstimator`: loads nothing."""

    def __init__(self, network: str) -> None:
        self.network = network

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release nothing."""


class CrowdStandIn:
    """In the place of `Crowd`: one person stands in the middle of every image."""

    def __init__(self, estimator: PoseStandIn, *, max_people: int, budget_s: float | None) -> None:
        self.settings = estimator.network, max_people, budget_s

    def reset(self) -> None:
        """Nobody is followed."""

    def update(self, t_ns: int, image_bgr: np.ndarray) -> list[Any]:
        if t_ns < 0 or image_bgr.dtype != np.uint8:
            raise ValueError("expected the time and the pixels of an image")
        height, width = image_bgr.shape[:2]
        world = np.random.default_rng(0).normal(0, 0.3, (33, 3)).astype(np.float32)
        image = world * height / 3 + np.array([width / 2, height / 2, 0], np.float32)
        pose = SimpleNamespace(image=image, world=world, visibility=np.full(33, 0.9, np.float32), score=0.9)
        return [SimpleNamespace(id=7, box=None, pose=pose)]


def file_case(at: Place) -> Case:
    whole = (DATA / "kinect_v2.csv").read_bytes()
    (at.folder / "broken.csv").write_bytes(b"".join(whole.splitlines(keepends=True)[:3]) + b"1,2,3\n")
    (at.folder / "none.csv").write_bytes(b"nothing\n")
    return Case(
        FileSource(kind="file", name="a", path=str(DATA / "kinect_v2.csv")),
        FileSource(kind="file", name="a", path=str(at.folder / "none.csv")),
        dying=FileSource(kind="file", name="a", path=str(at.folder / "broken.csv")),
    )


def film(path: Path) -> str:
    cv2 = images_module()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for number in range(12):
        writer.write(noise(number, (160, 120)))
    writer.release()
    return str(path)


def images_module() -> Any:
    try:
        import cv2
    except ImportError as error:
        pytest.skip(f"OpenCV cannot be imported: {error}")
    return cv2


def video_file_case(at: Place) -> Case:
    whole = film(at.folder / "a.avi")
    data = Path(whole).read_bytes()
    (at.folder / "cut.avi").write_bytes(data[: len(data) // 2])
    (at.folder / "none.avi").write_bytes(b"RIFF" + bytes(2000))
    return Case(
        VideoSource(kind="video", name="a", path=whole),
        VideoSource(kind="video", name="a", path=str(at.folder / "none.avi")),
        dying=VideoSource(kind="video", name="a", path=str(at.folder / "cut.avi")),
    )


def network_camera_case(at: Place) -> Case:
    images_module()
    camera, absent = CameraServer(), CameraServer()
    absent.start()
    absent.stop()
    camera.start()
    at.end(camera.stop)
    entry = VideoSource(kind="video", name="a", url=camera.url)

    def silence() -> None:
        camera.silent = True

    bad = VideoSource(kind="video", name="a", url=absent.url)
    return Case(entry, bad, dying=entry, kill=camera.stop, silence=silence)


def azure_case(at: Place) -> Case:
    calibration = SAMPLES / "azure_kinect" / "calibration.json"
    if not calibration.exists():
        pytest.skip("needs ../shared/data/samples/azure_kinect")
    from stream.sources.k4a_library import Libraries

    try:
        Libraries().record()
    except SourceError as error:
        pytest.skip(f"the k4a libraries cannot be loaded: {error}")
    images_module()
    from synthetic_mkv import Shot, record

    shots = [Shot(noise(i, (1280, 720)), np.full((576, 640), 2000 + i, np.uint16)) for i in range(8)]
    record(at.folder / "a.mkv", shots, calibration)
    (at.folder / "none.mkv").write_bytes(b"no recording")
    common = {"kind": "azure_kinect", "name": "a", "joints": "color"}
    return Case(
        AzureKinectSource(**common, path=str(at.folder / "a.mkv")),
        AzureKinectSource(**common, path=str(at.folder / "none.mkv")),
    )  # a recording that is cut short anywhere cannot be opened, so none breaks off


def azure_device_case(at: Place) -> Case:
    images_module()
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    options = ["-shared", "-fPIC", "-w", "-Wl,-Bsymbolic", "-o", str(at.folder / "libk4a.so")]
    subprocess.run([compiler, *options, str(DATA.parent / "fake_k4a.c")], check=True, timeout=60)

    def become(what: str) -> Callable[[], None]:
        return lambda: at.patch.setenv("FAKE_K4A", what)

    become("~")()
    entry = AzureKinectSource(kind="azure_kinect", name="a", joints="color", library=str(at.folder))
    return Case(entry, entry, become("-"), entry, kill=become("~x"), silence=become("~t"))


def sensor_case(library: fake_kinect.SdkStandIn | fake_kinect.Freenect2StandIn) -> Case:
    def spoil() -> None:
        library.missing = True

    def kill() -> None:
        library.unplugged = True

    def silence() -> None:
        library.silent = True

    entry = KinectV2Source(kind="kinect_v2", name="a")
    return Case(entry, entry, spoil, entry, kill, silence)


def kinect_sdk_case(at: Place) -> Case:
    library = fake_kinect.SdkStandIn(DATA / "kinect_v2.csv")
    at.patch.setitem(sys.modules, "kinect_next", library)
    at.patch.setattr(sys, "platform", "win32")
    return sensor_case(library)


def kinect_images_case(at: Place) -> Case:
    library = fake_kinect.Freenect2StandIn()
    at.patch.setitem(sys.modules, "freenect2", library)
    at.patch.setattr(sys, "platform", "linux")
    at.patch.setattr(freenect2, "LOST_S", 3.0)
    return sensor_case(library)


def synthetic_case(_: Place) -> Case:
    return Case(SyntheticSource(kind="synthetic", name="a", people=2), None)


CASES = {
    "file": file_case,
    "video, a file": video_file_case,
    "video, a network camera": network_camera_case,
    "azure_kinect, a recording": azure_case,
    "azure_kinect, a device": azure_device_case,
    "kinect_v2, SDK": kinect_sdk_case,
    "kinect_v2, images": kinect_images_case,
    "synthetic": synthetic_case,
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr("stream.vision.pose.PoseEstimator", PoseStandIn)
    monkeypatch.setattr("stream.vision.crowd.Crowd", CrowdStandIn)
    return CASES[request.param](Place(tmp_path, monkeypatch, request.addfinalizer))


def test_every_kind_has_a_case() -> None:
    assert {name.partition(",")[0] for name in CASES} == set(KINDS)


def next_frame(source: Source) -> SkeletonFrame:
    """The next frame of a source that may let one wait."""
    for _ in range(int(PATIENCE_S / 0.5)):
        try:
            return source.read(0.5)
        except SourceTimeout:
            continue
    raise AssertionError(f"no frame in {PATIENCE_S} s")


def check(frame: SkeletonFrame) -> None:
    bodies, joints = len(frame.track_ids), len(layout(frame.layout).joints)
    assert frame.source == "a"
    assert type(frame.t) is int
    assert frame.joints.shape == (bodies, joints, 3)
    assert frame.confidence.shape == (bodies, joints)
    assert (frame.joints.dtype, frame.confidence.dtype) == (np.float32, np.float32)
    assert frame.track_ids.dtype == np.int64
    assert np.isfinite(frame.joints).all()
    assert ((frame.confidence >= 0) & (frame.confidence <= 1)).all()


def test_frames_fit_their_layout_and_time_goes_on(case: Case) -> None:
    with configured_source(case.entry) as source:
        frames = [next_frame(source) for _ in range(5)]
    for frame in frames:
        check(frame)
    assert max(len(frame.joints) for frame in frames) >= 1
    assert all(a.t < b.t and a.seq < b.seq for a, b in pairwise(frames))
    if source.live:
        assert abs(frames[-1].t / 1e9 - time.time()) < 60
    else:
        assert [frame.seq for frame in frames] == list(range(5))


def test_a_read_waits_no_longer_than_it_may_and_no_frame_comes_twice(case: Case) -> None:
    with configured_source(case.entry) as source:
        next_frame(source)
        outcomes: list[int | None] = []
        for number in range(30):
            if number == 20 and case.silence is not None:
                case.silence()
            try:
                outcomes.append(source.read(0.01).seq)
            except SourceTimeout:
                outcomes.append(None)
            except EndOfSource:
                break
    numbers = [seq for seq in outcomes if seq is not None]
    assert numbers == sorted(set(numbers))
    assert source.live or None not in outcomes, "a file lets nobody wait"
    assert case.silence is None or outcomes[-1] is None


def test_who_reads_late_gets_the_newest_frame_of_a_sensor_and_every_frame_of_a_file(case: Case) -> None:
    with configured_source(case.entry) as source:
        first = next_frame(source)
        time.sleep(0.4)
        late = next_frame(source)
        after = next_frame(source)
    if source.live:
        assert late.t - first.t > 0.2e9, "an old frame was kept"
        assert after.t > late.t
    else:
        assert (late.seq, after.seq) == (1, 2)


def test_it_closes_twice_and_opens_anew(case: Case) -> None:
    source = configured_source(case.entry)
    source.close()
    lives = []
    for _ in range(2):
        source.open()
        lives.append([next_frame(source) for _ in range(3)])
        source.close()
        source.close()
    assert [frames[0].seq for frames in lives] == [0, 0]
    if source.live:
        assert lives[1][0].t > lives[0][-1].t
    else:
        assert [frame.t for frame in lives[0]] == [frame.t for frame in lives[1]]
        assert np.array_equal(lives[0][2].joints, lives[1][2].joints)


def test_reading_before_opening_and_after_closing_is_a_mistake(case: Case) -> None:
    source = configured_source(case.entry)
    with pytest.raises(RuntimeError, match="not open"):
        source.read(0.0)
    source.open()
    source.close()
    with pytest.raises(RuntimeError, match="not open"):
        source.read(0.0)


def test_what_cannot_be_opened_is_told_in_one_line(case: Case) -> None:
    if case.broken is None:
        pytest.skip("nothing can keep it from being opened")
    case.spoil()
    source = None
    with pytest.raises(SourceError, match="expected") as failure:  # noqa: PT012  # at the first of these that sees it
        source = configured_source(case.broken)
        source.open()
        source.read(1.0)
    assert "\n" not in str(failure.value)
    if source is not None:
        source.close()


def test_dying_in_the_middle_keeps_what_came_before_and_ends(case: Case) -> None:
    if case.dying is None:
        pytest.skip("nothing can break it")
    source = configured_source(case.dying)
    source.open()
    frames = [next_frame(source)]
    case.kill()
    with pytest.raises((SourceError, EndOfSource)) as failure:  # noqa: PT012  # after some frames
        while True:
            frames.append(next_frame(source))
    if isinstance(failure.value, SourceError):
        assert "\n" not in str(failure.value)
    for frame in frames:
        check(frame)
    source.close()
