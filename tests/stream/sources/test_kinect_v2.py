"""Kinect v2 without one: what becomes of the libraries' answers, and what is said when they are not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import fake_kinect
import numpy as np
import pytest
from skeleton_files import DATA

from stream.config_sources import KinectV2Source
from stream.errors import PosewireError, SourceError
from stream.layouts import HAND_LEFT, SPINE_BASE
from stream.sources import freenect2
from stream.sources.base import SourceTimeout
from stream.sources.freenect2 import Freenect2
from stream.sources.kinect_v2 import KinectV2, kinect_v2_source
from stream.sources.kinect_v2_csv import KinectV2Csv
from stream.sources.kinect_v2_images import ImageDriver
from stream.sources.kinect_v2_sdk import REMEMBERED, SdkDriver
from stream.sources.reconnecting import Reconnecting
from stream.sources.sensor_clock import SensorClock
from stream.types import Space

ENTRY = KinectV2Source(kind="kinect_v2", name="hall")
LONG_S = 10.0


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> fake_kinect.SdkStandIn:
    library = fake_kinect.SdkStandIn(DATA / "kinect_v2.csv", people=2)
    monkeypatch.setitem(sys.modules, "kinect_next", library)
    return library


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> fake_kinect.Freenect2StandIn:
    library = fake_kinect.Freenect2StandIn()
    monkeypatch.setitem(sys.modules, "freenect2", library)
    return library


def test_the_sdks_joints_are_those_of_the_recording(sdk: fake_kinect.SdkStandIn) -> None:
    recorded = list(KinectV2Csv(DATA / "kinect_v2.csv", "a").frames())
    with KinectV2("hall", SdkDriver("hall")) as source:
        frames = [source.read(LONG_S) for _ in range(3)]
    assert sdk.closed == 1
    for frame in frames:
        assert (frame.layout, frame.space) == ("kinect_v2", Space.CAMERA3D)
        assert len(set(frame.track_ids.tolist())) == 2
        alike = [one for one in recorded if np.allclose(one.joints[0], frame.joints[0], atol=1e-6)]
        assert len(alike) == 1
        # Tracking states count as in the recorded file: 1 tracked, 0.5 inferred.
        np.testing.assert_array_equal(frame.confidence[0], alike[0].confidence[0])
        np.testing.assert_allclose(frame.joints[1] - frame.joints[0], [[1, 0, 0]] * 25, atol=1e-6)


def test_tracking_states_become_confidence(sdk: fake_kinect.SdkStandIn) -> None:
    for row in sdk.joints:
        row[SPINE_BASE, 3], row[HAND_LEFT, 3] = 1, 0
    with KinectV2("hall", SdkDriver("hall")) as source:
        frame = source.read(LONG_S)
    assert frame.confidence[0, [SPINE_BASE, HAND_LEFT]].tolist() == [0.5, 0.0]


def test_bodies_are_numbered_from_one_in_each_life(sdk: fake_kinect.SdkStandIn) -> None:
    sdk.period_s = 1e-3
    driver = SdkDriver("hall")
    for _ in range(2):
        sdk.first_id = 2**63 + 7  # more than an int64 holds
        with KinectV2("hall", driver) as source:
            assert source.read(LONG_S).track_ids.tolist() == [1, 2]
            sdk.first_id += 1  # the first leaves, another one comes
            assert source.read(LONG_S).track_ids.tolist() == [2, 3]
            for sdk.first_id in range(100, 102 + 2 * REMEMBERED, 2):
                ids = source.read(LONG_S).track_ids.tolist()
            assert ids == [4 + 2 * REMEMBERED, 5 + 2 * REMEMBERED]
            assert len(driver._numbers) == REMEMBERED


def test_ids_stay_small_over_hundreds_of_reconnects(sdk: fake_kinect.SdkStandIn) -> None:
    sdk.first_id = 2**56
    sdk.period_s = 1e-4
    source = Reconnecting(KinectV2("hall", SdkDriver("hall")), stall_s=60, frozen_s=60, pause=lambda *_: False)
    with source:
        for life in range(200):
            sdk.unplugged = False
            assert source.read(LONG_S).track_ids.tolist() == [3 * life + 1, 3 * life + 2]
            sdk.unplugged = True
            with pytest.raises(SourceTimeout):
                source.read(0.0)


def test_nobody_in_view_is_a_frame_too(sdk: fake_kinect.SdkStandIn) -> None:
    sdk.people = 0
    with KinectV2("hall", SdkDriver("hall")) as source:
        frame = source.read(LONG_S)
    assert (frame.joints.shape, frame.confidence.shape, frame.track_ids.shape) == ((0, 25, 3), (0, 25), (0,))


def test_a_sensor_that_warms_up_is_waited_for_and_one_that_delivered_is_lost(sdk: fake_kinect.SdkStandIn) -> None:
    sdk.unplugged = True
    with KinectV2("hall", SdkDriver("hall")) as source:
        with pytest.raises(SourceTimeout):
            source.read(0.01)
        sdk.unplugged = False
        source.read(LONG_S)
        sdk.silent = True
        with pytest.raises(SourceTimeout):
            source.read(0.01)
        sdk.unplugged = True
        with pytest.raises(SourceError, match=r"the Kinect is lost \(not available any more\); expected it to stay"):
            source.read(0.01)


def test_an_error_of_the_sdk_is_told_by_its_first_line(sdk: fake_kinect.SdkStandIn) -> None:
    sdk.missing = True
    with pytest.raises(SourceError, match=r"Kinect20.dll.*expected it on a USB 3 port") as failure:
        KinectV2("hall", SdkDriver("hall")).open()
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("platform", "library", "message"),
    [
        ("win32", "kinect_next", "pip install kinect-next==3.0.0.*SDK 2.0"),
        ("linux", "freenect2", "libfreenect2.*pip install freenect2==0.2.3"),
    ],
)
def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, platform: str, library: str, message: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SourceError, match=message) as failure:
        kinect_v2_source(ENTRY).open()
    assert "\n" not in str(failure.value)


def test_only_the_first_sensor_can_be_read() -> None:
    with pytest.raises(SourceError, match="hall: device 1; expected 0"):
        kinect_v2_source(KinectV2Source(kind="kinect_v2", name="hall", device=1))


def test_images_are_turned_round_with_their_depth(images: fake_kinect.Freenect2StandIn) -> None:
    for pixel_format in (fake_kinect.FrameFormat.BGRX, fake_kinect.FrameFormat.RGBX):
        images.format = pixel_format
        camera = Freenect2("hall")
        camera.open()
        taken = camera.next(LONG_S)
        camera.close()
        assert taken is not None
        assert taken.colour.shape == (1080, 1920, 3)
        assert taken.depth.shape == (1080, 1920)
        # The board is on the left of the mirror image, so on the right of a true one.
        assert taken.colour[500, [100, 1800], 1].tolist() == [128, 20]
        assert taken.depth[500, [100, 1800]].tolist() == [4000, 2000]
        assert not np.isfinite(taken.depth[99]).any()  # row 100 of the image with blank rows about it
        blue_first = pixel_format is fake_kinect.FrameFormat.BGRX
        assert (taken.colour[0, 0, 0] != 128) == blue_first
        assert taken.lens.centre == (959.5, 539.5)
    assert (images.opened, images.closed) == (2, 2)


def test_no_images_for_long_is_a_lost_sensor(images: fake_kinect.Freenect2StandIn) -> None:
    now = [0]
    camera = Freenect2("hall", clock=lambda: now[0])
    images.silent = True
    camera.open()
    assert camera.next(0.01) is None
    now[0] += round((freenect2.LOST_S + 1) * 1e9)
    with pytest.raises(SourceError, match="no image of the Kinect for 6 s"):
        camera.next(0.01)
    camera.close()
    camera.close()


def test_no_sensor_is_told_in_one_line(images: fake_kinect.Freenect2StandIn) -> None:
    images.missing = True
    with pytest.raises(SourceError, match="hall: no Kinect v2 can be opened; expected"):
        Freenect2("hall").open()


class OnBoard:
    """Sees one person, flat on the board, all joints around the middle of the image's right half."""

    def update(self, t_ns: int, image_bgr: np.ndarray) -> list[SimpleNamespace]:
        if image_bgr.shape != (1080, 1920, 3) or t_ns <= 0:
            raise ValueError("expected an image of the colour camera")
        world = np.random.default_rng(1).uniform(-0.4, 0.4, (33, 3)).astype(np.float32)
        world[:, 2] = 0
        pixels = world.copy()
        pixels[:, :2] = world[:, :2] * 1081.4 / 2 + (1400, 540)
        return [SimpleNamespace(id=3, pose=SimpleNamespace(image=pixels, world=world, visibility=np.full(33, 0.8)))]


@contextmanager
def on_board() -> Iterator[OnBoard]:
    yield OnBoard()


@pytest.mark.usefixtures("images")
def test_the_time_is_told_before_the_poses_which_take_as_long_as_they_like() -> None:
    events: list[str] = []

    class Slow(OnBoard):
        def update(self, t_ns: int, image_bgr: np.ndarray) -> list[SimpleNamespace]:
            events.append("pose")
            return super().update(t_ns, image_bgr)

    class Told(SensorClock):
        def time(self, sensor_ns: int) -> int:
            events.append("time")
            return super().time(sensor_ns)

    with KinectV2("hall", ImageDriver(ENTRY, make_people=lambda: nullcontext(Slow())), Told) as source:
        source.read(LONG_S)
    assert events == ["time", "pose"]


@pytest.mark.usefixtures("images")
def test_joints_are_lifted_through_the_depth() -> None:
    with KinectV2("hall", ImageDriver(ENTRY, make_people=on_board)) as source:
        frame = source.read(LONG_S)
        stages, size = source.stages, source.resolution
        assert source.fingerprint is not None
    assert (frame.layout, frame.joints.shape, frame.track_ids.tolist()) == ("mediapipe", (1, 33, 3), [3])
    pixels = OnBoard().update(1, np.zeros((1080, 1920, 3), np.uint8))[0].pose.image
    np.testing.assert_allclose(frame.joints[0, :, 2], 2.0, atol=0.01)
    # x is to the subject's right: left in the image of somebody who faces the camera.
    np.testing.assert_allclose(frame.joints[0, :, 0], -(pixels[:, 0] - 959.5) / 1081.4 * 2, atol=0.01)
    np.testing.assert_allclose(frame.joints[0, :, 1], -(pixels[:, 1] - 539.5) / 1081.4 * 2, atol=0.01)
    assert (frame.confidence > 0.5).mean() > 0.9
    assert set(stages) == {"capture", "pose"}
    assert size == (1920, 1080)


def test_the_sensor_is_let_go_when_the_pose_network_is_not_there(
    images: fake_kinect.Freenect2StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(PosewireError, match="expected"):
        KinectV2("hall", ImageDriver(ENTRY)).open()
    assert (images.opened, images.closed) == (1, 1)
