"""An Azure Kinect: a real recording, drawn ones that the sensor's own library wrote, and a stand-in for a device."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from skeleton_files import SAMPLES
from synthetic_mkv import DEPTH_OFF, FRAME_US, Scene, Shot, record

from stream.config_sources import AzureKinectSource
from stream.errors import PosewireError, SourceError
from stream.sources import k4a_library
from stream.sources.azure_kinect import AzureKinect, AzureKinectRecording, azure_kinect_source
from stream.sources.base import EndOfSource, SourceTimeout
from stream.sources.k4a import Playback
from stream.sources.k4a_capture import calibration_of
from stream.sources.k4a_library import BGRA, MJPG, NV12, YUY2, Libraries
from stream.types import Space
from stream.vision.boxes import Box
from stream.vision.crowd import Person
from stream.vision.lift import AROUND, GUESSED, Calibration
from stream.vision.pose import Pose

pytest.importorskip("cv2", exc_type=ImportError)
pytest.importorskip("k4a_module", exc_type=ImportError)

REAL = SAMPLES / "azure_kinect" / "recording.mkv"
CALIBRATION = SAMPLES / "azure_kinect" / "calibration.json"
needs_samples = pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data/samples")
FRAMES = 12
WRIST = 16
"""The figure's right wrist, which hangs free of the body."""


def figure(number: int) -> np.ndarray:
    """The 33 joints of MediaPipe at a frame: somebody who walks and waves; metres in the colour camera's axes."""
    swing = 0.25 * np.sin(number / 3)
    face = [[0.08 * np.sin(i), -0.62 - 0.02 * (i % 3), -0.08] for i in range(11)]
    arms = [[0.2, -0.45, 0], [-0.2, -0.45, 0], [0.38, -0.25, -0.1], [-0.4, -0.25, 0.02]]
    wrists = [[0.45 + swing / 2, -0.5 + swing, -0.2], [-0.55, -0.02, 0.05]]
    hands = [[w[0] + 0.04 * s, w[1] + 0.07, w[2]] for s in (1, 0, -1) for w in wrists]
    legs = [[0.11, 0, 0], [-0.11, 0, 0], [0.13, 0.4, -swing / 2], [-0.13, 0.4, swing / 2]]
    feet = [[0.13, 0.78, -swing], [-0.13, 0.78, swing], [0.13, 0.82, 0.05 - swing], [-0.13, 0.82, 0.05 + swing]]
    toes = [[0.15, 0.82, -0.15 - swing], [-0.15, 0.82, -0.15 + swing]]
    joints = np.array([*face, *arms, *wrists, *hands, *legs, *feet, *toes])
    return joints + np.array([-0.2 + 0.03 * number, -0.1, 2.4 - 0.02 * number])


def balls(joints: np.ndarray) -> np.ndarray:
    """The figure as balls: 4 cm about each joint and along the limbs, more for the trunk."""
    made = [(*joint, 0.04) for joint in joints]
    made.append((*joints[:11].mean(0) + np.array([0, 0, 0.1]), 0.11))
    for a, b in ((11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28)):
        made += [(*(joints[a] + share * (joints[b] - joints[a])), 0.045) for share in np.linspace(0.05, 0.95, 12)]
    for share in np.linspace(0, 1, 8):
        left = joints[11] + share * (joints[23] - joints[11])
        right = joints[12] + share * (joints[24] - joints[12])
        made += [(*(left + other * (right - left)), 0.09) for other in np.linspace(0, 1, 6)]
    return np.array(made)


def calibration() -> Calibration:
    playback = Playback(Libraries(), REAL)
    try:
        return calibration_of("the sample", playback.calibration)
    finally:
        playback.close()


class Known:
    """Finds in each image the person who is known to be in it."""

    def __init__(self, calibration: Calibration, joints: Callable[[int], np.ndarray] = figure) -> None:
        self._calibration, self._joints = calibration, joints
        self.images: list[np.ndarray] = []
        self.resets = self.closed = 0

    def update(self, t_ns: int, image_bgr: np.ndarray) -> list[Person]:
        self.images.append(image_bgr)
        joints = self._joints(round(t_ns / 1000 / FRAME_US))
        pixels = np.zeros((33, 3), np.float32)
        pixels[:, :2] = self._calibration.color.project(joints)
        # What the pose network knows of depth is rough: 15 % too flat, and 3 cm off.
        world = (joints - joints[23:25].mean(0)) * np.array([1, 1, 0.85])
        world[:, 2] += np.random.default_rng(1).normal(0, 0.03, 33)
        pose = Pose(pixels, np.full(33, 0.9, np.float32), world.astype(np.float32), 0.9)
        return [Person(4, Box(0, 0, 10, 10), pose)]

    def reset(self) -> None:
        self.resets += 1

    @contextmanager
    def entered(self) -> Iterator[Known]:
        yield self
        self.closed += 1

    def __call__(self) -> AbstractContextManager[Known]:
        return self.entered()


class Nobody(Known):
    """Finds nobody."""

    def __init__(self) -> None:
        self.images, self.resets, self.closed = [], 0, 0

    def update(self, t_ns: int, image_bgr: np.ndarray) -> list[Person]:  # noqa: ARG002
        self.images.append(image_bgr)
        return []


def entry(path: Path | str | None, **settings: object) -> AzureKinectSource:
    settings = {"joints": "color"} | settings
    where = {} if path is None else {"path": str(path)}
    return AzureKinectSource.model_validate({"kind": "azure_kinect", "name": "sensor"} | where | settings)


def picture(number: int = 0) -> np.ndarray:
    image = np.full((720, 1280, 3), (30, 90, 160), np.uint8)
    image[:, :640] = (160, 60 + number, 40)
    return image


@pytest.fixture(scope="module")
def known_calibration() -> Calibration:
    if not REAL.exists():
        pytest.skip("needs ../shared/data/samples")
    return calibration()


@pytest.fixture(scope="module")
def scene(known_calibration: Calibration) -> Scene:
    return Scene(known_calibration)


@pytest.fixture(scope="module")
def walk(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("azure") / "walk.mkv"
    rng = np.random.default_rng(0)
    record(path, (Shot(picture(i), scene.depth(balls(figure(i)), rng)) for i in range(FRAMES)), CALIBRATION)
    return path


@needs_samples
def test_the_real_recording_shows_a_mug_and_nobody() -> None:
    nobody = Nobody()
    with azure_kinect_source(entry(REAL), nobody) as source:
        frames = list(source)
    (frame,) = frames
    assert frame.joints.shape == (0, 33, 3)
    assert (frame.t, frame.seq, frame.layout, frame.space) == (0, 0, "mediapipe", Space.CAMERA3D)
    assert nobody.images[0].shape == (720, 1280, 3)
    assert 40 < nobody.images[0].mean() < 220
    assert nobody.closed == 1


@needs_samples
def test_the_depth_of_the_mug_is_that_of_a_table_top() -> None:
    playback = Playback(Libraries(), REAL)
    capture = playback.next()
    assert capture is not None
    made = capture.depth()
    assert made is not None
    depth, at = made
    assert at > 0
    assert depth.shape == (576, 640)
    assert 0.5 < (depth > 0).mean() < 1
    assert 300 < np.median(depth[depth > 0]) < 3000
    capture.release()
    capture.release()
    assert playback.next() is None
    playback.close()
    playback.close()


@needs_samples
def test_our_lenses_are_the_sdks(known_calibration: Calibration) -> None:
    pyk4a = pytest.importorskip("pyk4a", exc_type=ImportError)
    playback = pyk4a.PyK4APlayback(REAL)
    playback.open()
    theirs, kinds = playback.calibration, pyk4a.CalibrationType
    rng = np.random.default_rng(0)
    points = rng.uniform((-0.5, -0.4, 1.0), (0.5, 0.4, 1.0), (60, 3)) * rng.uniform(0.5, 4.0, (60, 1))
    turned = points @ known_calibration.rotation.T + known_calibration.translation
    for lens, ours, kind in (
        (known_calibration.color, points, kinds.COLOR),
        (known_calibration.depth, turned, kinds.DEPTH),
    ):
        for mine, point in zip(lens.project(ours), points, strict=True):
            pixel = theirs.convert_3d_to_2d(tuple(float(c) * 1000 for c in point), kinds.COLOR, kind)
            assert mine == pytest.approx(pixel, abs=0.01)
            ray = theirs.convert_2d_to_3d(pixel, 1000.0, kind)
            assert lens.rays(np.array(pixel)) == pytest.approx(np.array(ray[:2]) / 1000, abs=1e-4)
    playback.close()


def test_joints_lie_within_two_centimetres_of_the_truth(
    walk: Path, scene: Scene, known_calibration: Calibration
) -> None:
    known = Known(known_calibration)
    with azure_kinect_source(entry(walk), known) as source:
        assert not source.live
        frames = list(source)
        assert source.resolution == (1280, 720)
        assert source.stages["pose"] > 0
    assert [frame.seq for frame in frames] == list(range(FRAMES))
    assert [frame.t for frame in frames] == [number * FRAME_US * 1000 for number in range(FRAMES)]
    errors = []
    for number, frame in enumerate(frames):
        joints = figure(number)
        truth = scene.seen(known_calibration.color.project(joints), balls(joints))
        sure = frame.confidence[0] > 0.89
        errors.append(np.linalg.norm(frame.joints[0] * (-1, -1, 1) - truth, axis=1)[sure])
        assert sure.mean() > 0.85
        assert frame.track_ids.tolist() == [4]
    assert max(error.max() for error in errors) < 0.02
    assert np.median(np.concatenate(errors)) < 0.005


def test_an_arm_behind_something_and_one_without_depth_are_less_sure(
    scene: Scene, known_calibration: Calibration, tmp_path: Path
) -> None:
    joints = figure(0)
    before = np.array([[*(joints[WRIST] * 0.6), 0.1]])
    hidden = scene.depth(np.concatenate((balls(joints), before)))
    hole = scene.depth(balls(figure(1)))
    at = known_calibration.rotation @ figure(1)[WRIST] + known_calibration.translation
    u, v = np.rint(known_calibration.depth.project(at)).astype(int)
    hole[v - 25 : v + 26, u - 25 : u + 26] = 0
    record(tmp_path / "a.mkv", [Shot(picture(), hidden), Shot(picture(), hole)], CALIBRATION)
    with azure_kinect_source(entry(tmp_path / "a.mkv"), Known(known_calibration)) as source:
        for number, frame in enumerate(source):
            confidence = frame.confidence[0]
            assert confidence[WRIST] == pytest.approx(0.9 * GUESSED)
            assert confidence[12] == pytest.approx(0.9)
            guess = frame.joints[0, WRIST] * (-1, -1, 1)
            assert np.linalg.norm(guess - figure(number)[WRIST]) < 0.15
            assert ((confidence >= 0.89) | (confidence <= 0.9 * AROUND + 1e-6)).all()


def test_looped_it_goes_on_with_the_same_people_network(walk: Path, known_calibration: Calibration) -> None:
    known = Known(known_calibration, lambda number: figure(number % FRAMES))
    with azure_kinect_source(entry(walk, loop=True), known) as source:
        frames = list(islice(source, 2 * FRAMES + 3))
    assert [frame.seq for frame in frames] == list(range(2 * FRAMES + 3))
    assert {frames[i + 1].t - frames[i].t for i in range(len(frames) - 1)} == {FRAME_US * 1000}
    assert known.resets == 3
    assert known.closed == 1


def test_it_opens_again_and_closes_twice(walk: Path, known_calibration: Calibration) -> None:
    known = Known(known_calibration)
    source = azure_kinect_source(entry(walk), known)
    assert isinstance(source, AzureKinectRecording)
    for _ in range(2):
        source.open()
        first = source.read(10.0)
        assert (first.seq, first.t) == (0, 0)
        assert 0 <= source.progress < 0.2
        source.close()
        source.close()
    assert known.closed == 2
    with pytest.raises(RuntimeError, match="not open"):
        source.read(10.0)


@needs_samples
@pytest.mark.parametrize("layout", [MJPG, NV12, YUY2, BGRA])
def test_every_colour_format_is_read(tmp_path: Path, layout: int) -> None:
    depth = np.full((576, 640), 2000, np.uint16)
    record(tmp_path / "a.mkv", [Shot(picture(), depth)], CALIBRATION, layout=layout)
    nobody = Nobody()
    with azure_kinect_source(entry(tmp_path / "a.mkv"), nobody) as source:
        assert len(list(source)) == 1
    shown = nobody.images[0]
    assert shown.shape == (720, 1280, 3)
    assert shown[300, 200] == pytest.approx(picture()[300, 200], abs=4)
    assert shown[300, 1000] == pytest.approx(picture()[300, 1000], abs=4)


@needs_samples
def test_captures_without_colour_or_depth_are_left_out_and_counted(tmp_path: Path) -> None:
    depth = np.full((576, 640), 2000, np.uint16)
    whole, blind, flat = Shot(picture(), depth), Shot(picture(), None), Shot(None, depth)
    record(tmp_path / "a.mkv", [whole, blind, flat, whole], CALIBRATION)
    with azure_kinect_source(entry(tmp_path / "a.mkv"), Nobody()) as source:
        assert isinstance(source, AzureKinectRecording)
        frames = list(source)
        assert source.skipped == 2
    assert [(frame.seq, frame.t) for frame in frames] == [(0, 0), (1, 3 * FRAME_US * 1000)]
    record(tmp_path / "b.mkv", [blind], CALIBRATION)
    with (
        azure_kinect_source(entry(tmp_path / "b.mkv"), Nobody()) as source,
        pytest.raises(SourceError, match="no capture"),
    ):
        source.read(10.0)


def broken(path: Path, walk: Path, how: str) -> Path:
    whole = walk.read_bytes()
    depth = np.full((576, 640), 2000, np.uint16)
    if how == "no depth":
        record(path, [Shot(picture(), None)], CALIBRATION, depth_mode=DEPTH_OFF)
    elif how == "no calibration":
        record(path, [Shot(picture(), depth)], None)
    elif how == "other calibration":
        text = CALIBRATION.read_text("utf-8-sig").replace("BrownConrady", "Kannala")
        (path.parent / "c.json").write_text(text)
        record(path, [Shot(picture(), depth)], path.parent / "c.json")
    else:
        path.write_bytes({"junk": b"junk" * 1000, "empty": b"", "head": whole[:4000]}[how])
    return path


@pytest.mark.parametrize("how", ["junk", "empty", "head", "no depth", "no calibration", "other calibration"])
def test_what_is_no_whole_recording_is_said_in_one_line(walk: Path, tmp_path: Path, how: str) -> None:
    path = broken(tmp_path / "a.mkv", walk, how)
    with azure_kinect_source(entry(path), Nobody()) as source, pytest.raises(SourceError, match="expected") as caught:
        list(source)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [1e-5, 0.3, 0.6, 0.99])
def test_a_recording_that_is_cut_short_is_refused(walk: Path, tmp_path: Path, share: float) -> None:
    whole = walk.read_bytes()
    (tmp_path / "a.mkv").write_bytes(whole[: int(len(whole) * share)])
    reading = azure_kinect_source(entry(tmp_path / "a.mkv"), Nobody())
    with reading as source, pytest.raises(SourceError, match="cut short"):
        source.read(10.0)


def test_a_recording_with_a_torn_middle_ends_in_one_line(walk: Path, tmp_path: Path) -> None:
    torn = bytearray(walk.read_bytes())
    torn[len(torn) // 3 : len(torn) // 2] = bytes(len(torn) // 2 - len(torn) // 3)
    (tmp_path / "a.mkv").write_bytes(torn)
    reading = azure_kinect_source(entry(tmp_path / "a.mkv"), Nobody())
    with reading as source, pytest.raises((SourceError, EndOfSource)):
        list(islice((source.read(10.0) for _ in range(2 * FRAMES)), 2 * FRAMES))


def test_a_missing_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        azure_kinect_source(entry(tmp_path / "no.mkv"))


@needs_samples
def test_a_folder_without_libraries_is_refused(tmp_path: Path) -> None:
    with azure_kinect_source(entry(REAL, library=str(tmp_path)), Nobody()) as source:
        with pytest.raises(SourceError, match="holds no libk4a"):
            source.read(10.0)
        (tmp_path / "libk4a.so").write_bytes(b"not a library")
        source.open()
        with pytest.raises(SourceError, match="cannot be loaded"):
            source.read(10.0)


@needs_samples
def test_the_libraries_of_a_folder_are_those_that_are_used(tmp_path: Path) -> None:
    own = Libraries().path
    (tmp_path / "libk4a.so.1.4").symlink_to(own)
    record_library = k4a_library.find(own.parent, "k4arecord")
    assert record_library is not None
    (tmp_path / "libk4arecord.so.1.4").symlink_to(record_library)
    assert Libraries(str(tmp_path)).path == tmp_path / "libk4a.so.1.4"
    with azure_kinect_source(entry(REAL, library=str(tmp_path)), Nobody()) as source:
        assert len(list(source)) == 1


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k4a_library, "find_spec", {}.get)
    with pytest.raises(PosewireError, match=r"\[azure\]"):
        azure_kinect_source(entry(None), Nobody()).open()


def test_no_sensor_is_said_in_one_line() -> None:
    with pytest.raises(SourceError, match="Azure Kinect 3: not found; 0 sensors"):
        azure_kinect_source(entry(None, device=3), Nobody()).open()


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("k4a")
    code = Path(__file__).parents[2] / "fake_k4a.c"
    # Its functions call each other, whatever else this process has loaded.
    options = ["-shared", "-fPIC", "-w", "-Wl,-Bsymbolic"]
    subprocess.run([compiler, *options, "-o", str(folder / "libk4a.so"), str(code)], check=True, timeout=60)
    return folder


def device(fake: Path, script: str) -> AzureKinect:
    libc = ctypes.CDLL(None)
    libc.setenv(b"FAKE_K4A", script.encode(), 1)
    source = azure_kinect_source(entry(None, library=str(fake)), Nobody())
    assert isinstance(source, AzureKinect)
    return source


def test_a_device_gives_frames_until_it_is_pulled_out(fake: Path) -> None:
    source = device(fake, ".b.b.d.c.b.t.b.x")
    library = Libraries(str(fake)).k4a
    assert source.live
    before = time.time_ns()
    with source:
        frames = [source.read(10.0) for _ in range(3)]
        with pytest.raises(SourceTimeout):
            source.read(0.01)
        frames.append(source.read(10.0))
        with pytest.raises(SourceError, match="plugged in"):
            source.read(10.0)
        assert source.skipped == source.dropped == 2
        assert library.fake_opened() == 1
    source.close()
    assert library.fake_opened() == 0
    assert library.fake_alive() == 0  # every image and capture was given back
    assert [frame.seq for frame in frames] == [0, 1, 2, 3]
    times = np.array([frame.t for frame in frames])
    assert before <= times[0] <= time.time_ns()
    assert (np.diff(times) > 0).all()
    with pytest.raises(RuntimeError, match="not open"):
        source.read(10.0)
    with source:  # and it comes back
        assert source.read(10.0).seq == 0


def test_of_captures_that_wait_the_newest_is_taken_and_the_others_are_counted(fake: Path) -> None:
    # Two came while the network was loaded, then one and three, the last but one without colour, one before the end.
    with device(fake, "bb.b.bbb.bd.bbx") as source:
        assert source.dropped == 2
        frames = [source.read(10.0), source.read(10.0)]
        assert source.dropped == 4
        frames.append(source.read(10.0))
        assert source.dropped == 4 + 2 + 1
        with pytest.raises(SourceError, match="plugged in"):
            source.read(10.0)
        assert set(source.stages) == {"capture", "pose"}
        assert source.stages["capture"] >= 0
    assert [frame.seq for frame in frames] == [0, 1, 2]
    assert source.dropped == 7
    assert Libraries(str(fake)).k4a.fake_alive() == 0


class SlowToLoad(Nobody):
    """Finds nobody, with a network that takes a while to load."""

    @contextmanager
    def entered(self) -> Iterator[Known]:
        time.sleep(0.5)
        yield self


def test_the_first_frame_is_none_of_those_that_came_while_the_network_was_loaded(fake: Path) -> None:
    ctypes.CDLL(None).setenv(b"FAKE_K4A", b"~", 1)
    with azure_kinect_source(entry(None, library=str(fake)), SlowToLoad()) as source:
        loaded = source.dropped
        frames = [source.read(10.0) for _ in range(5)]
    assert loaded >= 10
    assert source.dropped >= loaded
    assert (np.diff([frame.t for frame in frames]) > 0).all()


@pytest.mark.parametrize(("script", "message"), [("-", "not found; 0 sensors"), ("!", "does not start")])
def test_a_device_that_does_not_open(fake: Path, script: str, message: str) -> None:
    source = device(fake, script)
    with pytest.raises(SourceError, match=message):
        source.open()
    assert Libraries(str(fake)).k4a.fake_opened() == 0
    source.close()


def test_a_device_without_images_times_out(fake: Path) -> None:
    with device(fake, "") as source, pytest.raises(SourceTimeout):
        source.read(0.01)


def test_a_device_that_another_program_has(fake: Path) -> None:
    with device(fake, "b"), pytest.raises(SourceError, match="no other program"):
        device(fake, "b").open()


def test_a_recording_cannot_be_read_without_its_library(fake: Path, walk: Path) -> None:
    reading = azure_kinect_source(entry(walk, library=str(fake)), Nobody())
    with reading as source, pytest.raises(SourceError, match="holds no libk4arecord"):
        source.read(10.0)


def test_the_end_comes_once_more_when_asked_again(walk: Path, known_calibration: Calibration) -> None:
    with azure_kinect_source(entry(walk), Known(known_calibration)) as source:
        assert len(list(source)) == FRAMES
        with pytest.raises(EndOfSource):
            source.read(10.0)
