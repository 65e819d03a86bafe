"""Archives of one person or two, 3-D or 2-D, as scenes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.layouts import CANONICAL, HEAD, WRIST_LEFT
from stream.types import Space
from train.anomaly.scenes import read_scenes, read_whole
from train.datasets.archive import DataError

FIFTEEN = (
    "head", "neck", "torso", "left_shoulder", "left_elbow", "left_hand", "right_shoulder", "right_elbow", "right_hand",
    "left_hip", "left_knee", "left_foot", "right_hip", "right_knee", "right_foot",
)  # fmt: skip
THIRTEEN = tuple(name for name in FIFTEEN if name not in ("neck", "torso"))


def write(path: Path, joints: np.ndarray, names: tuple[str, ...], meta: dict[str, Any], **more: Any) -> Path:
    offsets = np.array([0, len(joints) // 2, len(joints)])
    arrays = {"label": np.array(["hit", "hug"]), "subject": np.array(["a", "b"])} | more
    np.savez(path, joints=joints, offsets=offsets, joint_names=np.array(names), meta=json.dumps(meta), **arrays)
    return path


def body(frames: int, names: tuple[str, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.2, 1.8, (1, len(names), 3)) + rng.normal(0, 0.01, (frames, len(names), 3))) * 1000


def test_two_people_in_millimetres_keep_their_slots(tmp_path: Path) -> None:
    names = tuple(f"{who}_{name}" for who in "AB" for name in FIFTEEN)
    joints = np.concatenate((body(20, FIFTEEN), body(20, FIFTEEN, 1)), axis=1).astype(np.int16)
    joints[:3] = 0  # nobody yet
    joints[5, :15] = 0  # A is lost, B is not
    first, second = read_scenes(write(tmp_path / "a.npz", joints, names, {"fps": 15, "units": "mm"}))
    assert (first.frames, first.people, first.start, first.rate_hz) == (7, 2, 3, 15.0)
    assert (first.label, first.subject, second.label) == ("hit", "a", "hug")
    assert first.space is Space.CAMERA3D
    assert not first.confidence[2, 0].any()
    assert first.confidence[2, 1].any()
    elbow = CANONICAL.index("ElbowLeft")
    np.testing.assert_allclose(first.joints[0, 1, elbow], joints[3, 15 + 4] / 1000, atol=1e-6)


@pytest.mark.parametrize("meta", [{"units": "px", "fps": 0}, {"frame": "image"}, {}])
def test_visibility_is_the_confidence_of_image_joints(tmp_path: Path, meta: dict[str, Any]) -> None:
    joints = body(10, THIRTEEN)
    joints[..., 2] = 0.75
    joints[2, THIRTEEN.index("left_hand"), 2] = 0.0
    scene = read_scenes(write(tmp_path / "a.npz", joints.astype(np.float32), THIRTEEN, meta))[0]
    assert (scene.space, scene.rate_hz) == (Space.IMAGE2D, 30.0)
    assert not scene.joints[..., 2].any()
    assert scene.confidence[2, 0, WRIST_LEFT] == 0
    assert scene.confidence[1, 0, WRIST_LEFT] == pytest.approx(0.75)


def test_two_numbers_a_joint_are_of_an_image(tmp_path: Path) -> None:
    joints = (body(10, THIRTEEN)[..., :2] / 2000).astype(np.float16)
    joints[1, 0] = 0
    scene = read_scenes(write(tmp_path / "a.npz", joints, THIRTEEN, {"units": "normalised"}))[0]
    assert scene.space is Space.IMAGE2D
    assert scene.confidence[1, 0, HEAD] == 0
    assert scene.confidence[0, 0, HEAD] == 1


def test_units_that_nobody_knows_are_told_from_the_bodies(tmp_path: Path) -> None:
    joints = body(10, FIFTEEN) / 1000
    known = read_scenes(write(tmp_path / "a.npz", joints, FIFTEEN, {"units": "m"}))[0]
    told = read_scenes(write(tmp_path / "b.npz", joints, FIFTEEN, {"units": "of the sensor"}))[0]
    np.testing.assert_allclose(known.joints, told.joints)


def test_recordings_are_read_whole_and_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(
        path, joints=body(60, FIFTEEN).astype(np.int16), offsets=np.array([0, 60]), joint_names=np.array(FIFTEEN),
        meta="{}", frame_label=np.repeat([0, 1, 0], 20), label_names=np.array(["none", "hit"]),
    )  # fmt: skip
    assert [(scene.label, scene.start, scene.frames) for scene in read_scenes(path)] == [
        ("none", 0, 20), ("hit", 20, 20), ("none", 40, 20),
    ]  # fmt: skip
    (whole,) = read_whole(path)
    assert (whole.frames, whole.label) == (60, "")
    assert whole.part(slice(20, 40)).start == 20


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    for joints, names, meta, message in (
        (np.zeros((10, 15, 3), np.int16), FIFTEEN, {}, "nobody is seen"),
        (body(10, FIFTEEN)[..., :1], FIFTEEN, {}, r"expected numbers \(frames, V, 3\), or \(frames, V, 2\)"),
        (body(10, FIFTEEN), tuple(f"j{i}" for i in range(15)), {}, "do not say which joint"),
    ):
        path = write(tmp_path / "a.npz", joints, names, meta)
        with pytest.raises(DataError, match=message) as error:
            read_scenes(path)
        assert "\n" not in str(error.value)
