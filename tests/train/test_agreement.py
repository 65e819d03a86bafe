"""Comparing two cameras: on pairs whose differences are known, and on the real pair where it is at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.errors import PosewireError, SourceError
from stream.layouts import CANONICAL, HAND_RIGHT, WRIST_LEFT
from stream.sources.ntu import NtuBody
from stream.sources.synthetic import SyntheticSource
from train.__main__ import main
from train.agreement import aligned, joint_errors, likeness, recognise
from train.rgbd_pair import Recording, fit_camera, read_depth

SAMPLES = Path(__file__).parents[2].parent / "shared" / "data" / "samples" / "ntu_local_only"
CLIP = SAMPLES / "S001C001P001R001A001.skeleton"
FRAMES = 75


@pytest.fixture(scope="module")
def walker() -> Recording:
    """Somebody who walks on the spot for 2.5 s."""
    with SyntheticSource("made", frames=FRAMES) as source:
        frames = list(source)
    joints = np.concatenate([frame.joints for frame in frames])
    return Recording(
        np.array([frame.t for frame in frames]), joints, np.ones(joints.shape[:2], np.float32), "kinect_v2"
    )


def turned(points: np.ndarray) -> np.ndarray:
    """Points as another camera might give them: turned by 40 degrees, 1.3 times as large, elsewhere."""
    c, s = np.cos(0.7), np.sin(0.7)
    return (1.3 * points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T + (0.4, -0.2, 1.5)).astype(np.float32)


def test_a_similarity_is_found_and_a_mirror_image_is_not() -> None:
    points = np.random.default_rng(0).normal(0, 0.4, (25, 3))
    weight = np.ones(25)
    np.testing.assert_allclose(aligned(turned(points).astype(float), points, weight), points, atol=1e-6)
    mirrored = aligned(points * (-1, 1, 1), points, weight)
    assert np.linalg.norm(mirrored - points, axis=1).mean() > 0.1


def test_what_has_no_weight_does_not_count() -> None:
    points = np.random.default_rng(0).normal(0, 0.4, (25, 3))
    weight = np.ones(25)
    weight[HAND_RIGHT] = 0
    moved = turned(points).astype(float)
    moved[HAND_RIGHT] += 5
    found = aligned(moved, points, weight)
    np.testing.assert_allclose(np.delete(found, HAND_RIGHT, 0), np.delete(points, HAND_RIGHT, 0), atol=1e-6)


def test_errors_are_those_of_the_joints_that_differ(walker: Recording) -> None:
    joints = walker.joints.copy()
    joints[:, HAND_RIGHT, 1] += 0.1
    errors = joint_errors(walker, replace(walker, joints=turned(joints)))
    assert errors.lag == 0
    rows = {name: (share, cm) for name, share, cm, _ in errors.rows()}
    assert set(rows) == set(CANONICAL)
    assert rows["HandRight"][1] == pytest.approx(10, abs=2)
    assert rows["Head"][1] < 1
    assert errors.median < 1


def test_a_limb_beyond_an_inferred_joint_counts_as_inferred(walker: Recording) -> None:
    confidence = walker.confidence.copy()
    confidence[:, WRIST_LEFT] = 0.5
    errors = joint_errors(replace(walker, confidence=confidence), walker)
    shares = {name: share for name, share, _, _ in errors.rows()}
    assert [shares[f"{part}Left"] for part in ("Elbow", "Wrist", "Hand", "HandTip", "Thumb")] == [1, 0, 0, 0, 0]


def test_other_rates_and_a_shift_are_aligned_in_time(walker: Recording) -> None:
    late = Recording(walker.t[:-4], walker.joints[4:], walker.confidence[4:], walker.layout)
    errors = joint_errors(walker, late)
    assert errors.lag == 4
    assert errors.median < 0.1
    half = Recording(walker.t[::2], walker.joints[::2], walker.confidence[::2], walker.layout)
    assert joint_errors(walker, half).median < 0.1
    with pytest.raises(SourceError, match="in no frame together"):
        joint_errors(walker, replace(walker, confidence=np.zeros_like(walker.confidence)))


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_camera_is_told_by_joints_in_metres_and_pixels(walker: Recording, mirrored: bool) -> None:
    nothing = np.zeros((25, 4))
    bodies = []
    for joints in walker.joints[:5].astype(float):
        u = 940 - 1000 * joints[:, 0] / joints[:, 2]
        v = 560 - 1000 * joints[:, 1] / joints[:, 2]
        pixels = np.column_stack((1919 - u if mirrored else u, v))
        flags = (7, 0, 0, 0, 0, 0, 0, (0.0, 0.0), 2)
        bodies.append(NtuBody(*flags, joints, pixels, pixels, nothing, np.ones(25, np.float32)))
    camera = fit_camera(bodies, 1920)
    assert camera.mirrored == mirrored
    assert camera.focal == pytest.approx(1000, rel=1e-3)
    assert camera.centre == pytest.approx((940, 560), abs=0.5)
    assert camera.fov_deg == pytest.approx(87.66, abs=0.1)
    with pytest.raises(SourceError, match="0 joints are placed"):
        fit_camera([replace(body, colour=np.full((25, 2), np.nan)) for body in bodies], 1920)


def test_recognition_of_one_recording_is_like_itself(walker: Recording) -> None:
    from stream.config import Config
    from stream.service import load_service

    service = load_service(Config())
    seen = recognise(walker, "a", service)
    np.testing.assert_allclose(likeness(seen, seen), 1, atol=1e-5)
    assert len(seen.t) >= 3
    assert set(seen.prompts) == {prompt.name for prompt in service.prompts.prompts}
    assert len(seen.top(range(len(service.recogniser.bank)))) == 5
    with pytest.raises(SourceError, match="no window"):
        recognise(walker.since(int(walker.t[-2])), "a", service)


def test_nobody_and_a_wrong_angle_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.skeleton").write_text("2\n0\n0\n")
    with pytest.raises(SourceError, match="nobody is in any frame"):
        read_depth(tmp_path / "a.skeleton")
    common = ["agreement", "--video", str(tmp_path / "a.avi"), "--skeleton", str(tmp_path / "a.skeleton")]
    for options in ([], ["--fov", "5"]):
        assert main([*common, *options]) == 2
        said = capsys.readouterr().err
        assert "expected" in said
        assert said.count("\n") == 1


@pytest.mark.slow
def test_the_real_pair_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    if not CLIP.exists():
        pytest.skip("needs ../shared/data/samples/ntu_local_only")
    try:
        from stream.vision import library
        from stream.vision.pose_model import task_path

        for name in ("cv2", "mediapipe"):
            library(name, "rgb")
        task_path("full")
    except PosewireError as error:
        pytest.skip(str(error))
    video = CLIP.with_name(CLIP.stem + "_rgb.avi")
    assert main(["agreement", "--video", str(video), "--skeleton", str(CLIP)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "mirrored" in lines[0]
    assert float(lines[1].split(" cm")[0].split()[-1]) < 5
    trunk = next(line for line in lines if line.startswith("SpineMid"))
    assert float(trunk.split()[2]) < 4
