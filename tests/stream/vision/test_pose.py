from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.errors import PosewireError
from stream.vision.boxes import Box
from stream.vision.pose import PoseEstimator
from stream.vision.pose_model import PoseModelError, task_path

try:
    import cv2
    import mediapipe  # noqa: F401
except ImportError as error:
    pytest.skip(f"the extra rgb cannot be imported: {error}", allow_module_level=True)
try:
    task_path("full")
except PoseModelError as error:
    pytest.skip(str(error), allow_module_level=True)

ROOT = Path(__file__).parents[3]
VIDEO = ROOT.parent / "shared" / "data" / "samples" / "video" / "person_close_up.mkv"
NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 0, 11, 12, 23, 24

LOOK = f"""
import os, sys, cv2, numpy as np
from stream.vision.pose import PoseEstimator
capture = cv2.VideoCapture({str(VIDEO)!r})
images = [capture.read()[1] for _ in range(12)]
with PoseEstimator("full") as estimator:
    found = [estimator.estimate(np.zeros((50, 60, 3), np.uint8))]
    os.write(2, b"something of ours\\n")
    found += [estimator.estimate(image) for image in images[::4]]
    os.write(2, b"and more of it\\n")
print([one is not None for one in found])
"""


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    if not VIDEO.exists():
        pytest.skip("needs ../shared/data/samples/video")
    capture, found = cv2.VideoCapture(str(VIDEO)), []
    while (read := capture.read())[0]:
        found.append(np.asarray(read[1], np.uint8))
    capture.release()
    return found


@pytest.fixture(scope="module")
def estimator() -> Iterator[PoseEstimator]:
    with PoseEstimator("full") as opened:
        yield opened


def test_person_is_found_upright_in_the_image(estimator: PoseEstimator, images: list[NDArray[np.uint8]]) -> None:
    poses = [estimator.estimate(image) for image in images[:30:5]]
    assert sum(pose is not None for pose in poses) >= 5
    for pose in poses:
        if pose is None:
            continue
        assert (pose.image.shape, pose.world.shape, pose.visibility.shape) == ((33, 3), (33, 3), (33,))
        assert {pose.image.dtype, pose.world.dtype, pose.visibility.dtype} == {np.dtype(np.float32)}
        assert 0 < pose.score <= 1
        assert 0 <= pose.visibility.min() <= pose.visibility.max() <= 1
        assert pose.image[NOSE, 1] < pose.image[[LEFT_SHOULDER, RIGHT_SHOULDER], 1].mean()
        assert pose.image[RIGHT_SHOULDER, 0] < pose.image[LEFT_SHOULDER, 0]  # he faces the camera
        assert np.abs(pose.world[[LEFT_HIP, RIGHT_HIP]].mean(axis=0)).max() < 0.05
        assert 0.2 < np.linalg.norm(pose.world[LEFT_SHOULDER] - pose.world[RIGHT_SHOULDER]) < 0.6


def test_landmarks_of_a_crop_are_in_pixels_of_the_whole_image(
    estimator: PoseEstimator, images: list[NDArray[np.uint8]]
) -> None:
    image = images[10]
    whole = estimator.estimate(image)
    assert whole is not None
    seen = whole.image[whole.visibility > 0.9]
    box = Box(*seen[:, :2].min(axis=0).tolist(), *seen[:, :2].max(axis=0).tolist())
    cropped = estimator.estimate(image, box)
    assert cropped is not None
    apart = np.linalg.norm(cropped.image[:13, :2] - whole.image[:13, :2], axis=1)
    assert apart.max() < 0.15 * box.height


def test_small_person_somewhere_in_a_large_image_is_found_by_a_box(
    estimator: PoseEstimator, images: list[NDArray[np.uint8]]
) -> None:
    reference = estimator.estimate(images[10])
    assert reference is not None
    small = cv2.resize(images[10], (160, 90), interpolation=cv2.INTER_AREA)
    large = np.full((1080, 1920, 3), 90, np.uint8)
    large[800:890, 1500:1660] = small
    pose = estimator.estimate(large, Box(1540, 800, 1620, 890))
    assert pose is not None
    expected = reference.image[:13, :2] / 8 + (1500, 800)
    assert np.linalg.norm(pose.image[:13, :2] - expected, axis=1).mean() < 6
    at_the_edge = estimator.estimate(np.ascontiguousarray(large[:890, :1660]), Box(1540, 800, 1700, 950))
    assert at_the_edge is not None


def test_nobody_is_none(estimator: PoseEstimator) -> None:
    empty = np.full((240, 320, 3), 127, np.uint8)
    assert estimator.estimate(empty) is None
    for box in (Box(10, 10, 90, 200), Box(400, 10, 500, 200), Box(50, 50, 50, 50), Box(-900, -900, -800, -700)):
        assert estimator.estimate(empty, box) is None


def test_images_of_another_kind_are_refused(estimator: PoseEstimator) -> None:
    for image in (np.zeros((10, 10), np.uint8), np.zeros((10, 10, 4), np.uint8), np.zeros((10, 10, 3), np.float32)):
        with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
            estimator.estimate(image)


def test_closed_estimator_can_be_opened_again() -> None:
    estimator = PoseEstimator("full")
    with pytest.raises(RuntimeError, match="not open"):
        estimator.estimate(np.zeros((9, 9, 3), np.uint8))
    for _ in range(2):
        with estimator:
            assert estimator.estimate(np.zeros((99, 99, 3), np.uint8)) is None
    estimator.close()


def test_broken_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.commands.models import pull_models
    from stream.vision.task_file import packed

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    broken = tmp_path / "pose_landmarker_lite.task"
    broken.write_bytes(packed({"pose_detector.tflite": b"x" * 99, "pose_landmarks_detector.tflite": b"y" * 99}))
    pull_models([], broken)
    with pytest.raises(PoseModelError, match=r"cannot be loaded \(.*\); expected a pose network") as told:
        PoseEstimator("lite").open()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["mediapipe", "cv2"])
def test_missing_library_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PosewireError, match=rf"^{name}: cannot be loaded .*pip install .*'\.\[rgb\]'$"):
        PoseEstimator("full").open()


def test_nothing_but_our_own_lines_comes_on_standard_error(images: list[NDArray[np.uint8]]) -> None:
    assert images
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("[False, True")
    assert done.stderr == "something of ours\nand more of it\n"


def test_no_connection_is_opened(images: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    assert images
    strace, calls = shutil.which("strace"), tmp_path / "calls"
    if strace is None:
        pytest.skip("strace is not installed")
    if subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("strace may not trace here")
    command = [strace, "-f", "-e", "trace=%network", "-o", str(calls), sys.executable, "-c", LOOK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.startswith("[False, True")
    assert [line for line in calls.read_text().splitlines() if "AF_INET" in line or "connect(" in line] == []
