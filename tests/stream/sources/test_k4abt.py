"""Microsoft's body tracker behind the Azure Kinect source, with a library of ours in its place: never the true one."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from skeleton_files import SAMPLES
from synthetic_mkv import FRAME_US, Shot, record

from stream.config_sources import AzureKinectSource
from stream.errors import SourceError
from stream.layouts import layout
from stream.sources import k4abt
from stream.sources.azure_kinect import azure_kinect_source
from stream.sources.base import Source
from stream.sources.k4a import Playback
from stream.sources.k4a_capture import calibration_of
from stream.sources.k4a_library import Libraries, find
from stream.sources.k4abt import BodyTracker, NotInstalled

pytest.importorskip("cv2", exc_type=ImportError)
pytest.importorskip("k4a_module", exc_type=ImportError)

CALIBRATION = SAMPLES / "azure_kinect" / "calibration.json"
pytestmark = pytest.mark.skipif(not CALIBRATION.exists(), reason="needs ../shared/data/samples")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true libk4a and libk4arecord, and our libk4abt."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    made = tmp_path_factory.mktemp("sdk")
    own = Libraries().path
    (made / "libk4a.so.1.4").symlink_to(own)
    (made / "libk4arecord.so.1.4").symlink_to(find(own.parent, "k4arecord") or own)
    code = Path(__file__).parents[2] / "fake_k4abt.c"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-w", "-o", str(made / "libk4abt.so.1.1"), str(code)], check=True, timeout=60
    )
    return made


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mkv") / "a.mkv"
    color, depth = np.zeros((720, 1280, 3), np.uint8), np.full((576, 640), 1500, np.uint16)
    record(path, [Shot(color, depth), Shot(color, np.zeros_like(depth)), Shot(color, depth)], CALIBRATION)
    return path


def behave(how: str) -> None:
    """What the library does, told by its environment (not that of Python, which is a copy)."""
    ctypes.CDLL(None).setenv(b"FAKE_K4ABT", how.encode(), 1)


@pytest.fixture(autouse=True)
def _well() -> Iterator[None]:
    behave("")
    yield
    behave("")


class Nobody:
    """Finds nobody on a colour image."""

    looked = 0

    def __call__(self) -> Nobody:
        return self

    def __enter__(self) -> Nobody:
        return self

    def __exit__(self, *_: object) -> None:
        self.left = True

    def update(self, t_ns: int, image_bgr: np.ndarray) -> list[object]:  # noqa: ARG002
        self.looked += 1
        return []

    def reset(self) -> None:
        self.looked = 0


def source(recording: Path, folder: Path | str, joints: str, people: Nobody | None = None) -> Source:
    settings = {"kind": "azure_kinect", "name": "a", "path": str(recording), "library": str(folder), "joints": joints}
    return azure_kinect_source(AzureKinectSource.model_validate(settings), people or Nobody())


@pytest.mark.parametrize("joints", ["k4abt", "auto"])
def test_its_joints_come_in_metres_in_our_axes(recording: Path, folder: Path, joints: str) -> None:
    with source(recording, folder, joints) as opened:
        frames = list(opened)
    assert [len(frame.joints) for frame in frames] == [1, 0, 1]
    assert [frame.t for frame in frames] == [0, FRAME_US * 1000, 2 * FRAME_US * 1000]
    frame = frames[0]
    assert frame.layout == "azure_kinect"
    assert frame.joints.shape == (1, len(layout("azure_kinect").joints), 3)
    assert frame.track_ids.tolist() == [7]
    assert frame.confidence[0].tolist() == [pytest.approx((0.0, 0.3, 0.9, 1.0)[i % 4]) for i in range(32)]
    playback = Playback(Libraries(), recording)
    lenses = calibration_of("here", playback.calibration)
    playback.close()
    given = np.array([[0.01 * i, 0.02 * i, 1 + 0.001 * i] for i in range(32)])
    # Back from the colour camera's axes to the depth camera's.
    back = (frame.joints[0] * (-1, -1, 1)) @ lenses.rotation.T + lenses.translation
    assert np.abs(back - given).max() < 1e-6
    assert ctypes.CDLL(str(folder / "libk4abt.so.1.1")).fake_alive() == 0  # trackers and frames were given back


@pytest.mark.parametrize(
    ("how", "message"), [("nocreate", "does not start"), ("ghost", "sees 1 bodies where there are none")]
)
def test_a_tracker_that_fails_its_trial(
    recording: Path, folder: Path, how: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    behave(how)
    with source(recording, folder, "k4abt") as opened, pytest.raises(SourceError, match=message):
        opened.read(1.0)
    people = Nobody()
    with source(recording, folder, "auto", people) as opened:
        assert [frame.layout for frame in opened] == ["mediapipe"] * 3
    assert people.looked == 3
    assert message in caplog.text
    assert "colour image instead" in caplog.text
    assert ctypes.CDLL(str(folder / "libk4abt.so.1.1")).fake_alive() == 0


def test_a_tracker_that_never_answers(recording: Path, folder: Path) -> None:
    behave("silent")
    libraries = Libraries(str(folder))
    playback = Playback(libraries, recording)
    with pytest.raises(SourceError, match="took too long"):
        BodyTracker(libraries, playback.calibration, str(folder), start_timeout_ms=50)
    playback.close()


def test_a_tracker_that_fails_later(recording: Path, folder: Path) -> None:
    behave("fails")
    with source(recording, folder, "k4abt") as opened, pytest.raises(SourceError, match="failed at a capture"):
        opened.read(1.0)
    behave("crowd")
    with source(recording, folder, "k4abt") as opened, pytest.raises(SourceError, match="1000 bodies"):
        opened.read(1.0)


def test_where_it_is_not_installed(
    recording: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("libk4a.so.1.4", "libk4arecord.so.1.4"):
        (tmp_path / name).symlink_to(folder / name)
    with source(recording, tmp_path, "k4abt") as opened, pytest.raises(NotInstalled, match="holds no libk4abt"):
        opened.read(1.0)
    with source(recording, tmp_path, "auto") as opened:
        assert opened.read(1.0).layout == "mediapipe"
    monkeypatch.setattr(k4abt, "_NAMES", ("libno_such_tracker.so",))
    with source(recording, "", "k4abt") as opened, pytest.raises(NotInstalled, match="not installed"):
        opened.read(1.0)
    with source(recording, "", "auto") as opened:
        assert opened.read(1.0).layout == "mediapipe"
    assert not caplog.text
