"""Pose files of AlphaPose and OpenPose, written here after those tools' descriptions of their formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anomaly_oracle import PUNCH, Heights

from stream.layouts import ELBOW_LEFT, SHOULDER_LEFT, WRIST_LEFT
from stream.types import Space
from train.anomaly.encoding import Cut, encode
from train.anomaly.folder_judging import judge_classes, judge_frames, masked, nearest, positives
from train.anomaly.judging import NotJudgeable
from train.anomaly.pose_files import Video, read_videos
from train.anomaly.pose_json import read_alphapose, read_openpose, scene_of
from train.anomaly.scoring import Sight
from train.datasets.archive import DataError

SEATS = {17: (5, 7, 9), 18: (5, 6, 7), 25: (5, 6, 7), 26: (5, 7, 9)}
"""Where left shoulder, elbow and wrist are in each order of joints."""


def keypoints(joints: int, x: float, y: float) -> list[float]:
    """A person at (x, y), whose every joint is told from the others by its place."""
    place = np.array([[x + 3 * joint, y + joint, 0.9] for joint in range(joints)])
    place[1] = 0  # not found
    return [float(value) for value in place.ravel()]


def alphapose(
    path: Path, frames: int, *, joints: int = 17, people: int = 1, tracked: bool = True, high: int = -1
) -> None:
    """One video; people stand 200 px apart, and from frame `high` on the first one is far lower in the image."""
    found = [
        {"image_id": f"{frame}.jpg", "category_id": 1, "score": 2.5, "box": [0, 0, 1, 1]}
        | {"keypoints": keypoints(joints, 100 + 200 * who, 900 if 0 <= high <= frame else 10 + frame % 3)}
        | ({"idx": who + 1} if tracked else {})
        for frame in range(frames)
        for who in range(people)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize("joints", [17, 18, 26])
def test_alphapose_joints_are_where_they_belong(tmp_path: Path, joints: int) -> None:
    alphapose(tmp_path / "a.json", 4, joints=joints)
    scene = scene_of(read_alphapose(tmp_path / "a.json"), 4, 25.0, "", "a", 1)
    assert (scene.space, scene.rate_hz, scene.frames) == (Space.IMAGE2D, 25.0, 4)
    for canonical, own in zip((SHOULDER_LEFT, ELBOW_LEFT, WRIST_LEFT), SEATS[joints], strict=True):
        np.testing.assert_allclose(scene.joints[2, 0, canonical, :2], (100 + 3 * own, 12 + own), rtol=1e-5)
        assert scene.confidence[2, 0, canonical] == pytest.approx(0.9)


def test_people_are_told_by_track_or_by_nearness(tmp_path: Path) -> None:
    for tracked in (True, False):
        alphapose(tmp_path / "a.json", 6, people=2, tracked=tracked)
        people = read_alphapose(tmp_path / "a.json")
        rng = np.random.default_rng(0)
        mixed = [people[i] for i in rng.permutation(len(people))]
        scene = scene_of(mixed, 6, 25.0, "", "a", 2)
        x = scene.joints[:, :, WRIST_LEFT, 0]
        assert (np.ptp(x, axis=0) < 1).all()
        assert abs(x[0, 0] - x[0, 1]) > 100


def test_someone_new_gets_a_free_slot(tmp_path: Path) -> None:
    def one(frame: int, track: int, x: float) -> dict[str, Any]:
        return {"image_id": f"{frame}.jpg", "idx": [[track]], "keypoints": keypoints(17, x, 0)}

    found = [one(0, 1, 0), one(0, 2, 500), one(1, 2, 500), one(2, 2, 500), one(2, 7, 505), one(3, 7, 505)]
    (tmp_path / "a.json").write_text(json.dumps(found))
    scene = scene_of(read_alphapose(tmp_path / "a.json"), 4, 25.0, "", "a", 2)
    seen = scene.confidence.any(axis=2)
    (own,) = (slot for slot in range(2) if seen[1, slot])
    assert seen[:, own].tolist() == [True, True, True, False]
    assert seen[:, 1 - own].tolist() == [True, False, True, True]


def test_tracked_poses_by_person_and_frame(tmp_path: Path) -> None:
    frames = {str(frame): {"keypoints": keypoints(17, 10, 10), "scores": 2.0} for frame in (3, 4)}
    (tmp_path / "01_0001_alphapose_tracked_person.json").write_text(json.dumps({"5": frames}))
    (video,) = read_videos(tmp_path, None, 24.0)
    assert (video.scene.name, video.scene.frames) == ("01_0001", 5)
    assert video.scene.confidence.any(axis=(1, 2)).tolist() == [False] * 3 + [True] * 2


def openpose(folder: Path, frames: int, *, joints: int = 25, name: str = "", y: float = 10) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        people = [{"person_id": [-1], "pose_keypoints_2d": keypoints(joints, 100, y), "face_keypoints_2d": []}]
        text = json.dumps({"version": 1.3, "people": people if frame else []})
        (folder / f"{name or folder.name}_{frame:012d}_keypoints.json").write_text(text)


@pytest.mark.parametrize("joints", [18, 25])
def test_openpose_joints_are_where_they_belong(tmp_path: Path, joints: int) -> None:
    openpose(tmp_path / "v", 3, joints=joints)
    people = read_openpose(sorted((tmp_path / "v").iterdir()))
    scene = scene_of(people, 3, 30.0, "", "v", 1)
    assert scene.confidence.any(axis=(1, 2)).tolist() == [False, True, True]
    for canonical, own in zip((SHOULDER_LEFT, ELBOW_LEFT, WRIST_LEFT), SEATS[joints], strict=True):
        np.testing.assert_allclose(scene.joints[2, 0, canonical, :2], (100 + 3 * own, 10 + own), rtol=1e-5)


def test_openpose_videos_are_told_by_folder_or_by_name(tmp_path: Path) -> None:
    openpose(tmp_path / "Fight" / "one", 2)
    openpose(tmp_path / "NonFight", 3, name="two")
    openpose(tmp_path / "NonFight", 4, name="three")
    videos = read_videos(tmp_path, None, 30.0)
    assert {(v.scene.name, v.scene.label, v.scene.frames) for v in videos} == {
        ("one", "Fight", 2), ("two", "NonFight", 3), ("three", "NonFight", 4),
    }  # fmt: skip


def sight(videos: list[Video], cut: Cut) -> Sight:
    encoder = Heights()
    return Sight(encoder, encoder.prompts(PUNCH[None]), encode([video.scene for video in videos], encoder, cut))


@pytest.mark.parametrize("train", [True, False])
def test_classes_of_folders(tmp_path: Path, train: bool) -> None:
    for part in ("train", "val") if train else ("",):
        for k in range(6):
            alphapose(tmp_path / part / "Fight" / f"f{k}{part}.json", 30 + k, high=10)
            alphapose(tmp_path / part / "NonFight" / f"n{k}{part}.json", 30 + k)
    videos = read_videos(tmp_path, "alphapose", 30.0)
    assert not masked(videos)
    assert positives(videos, ()) == ("Fight",)
    found = judge_classes(videos, [sight(videos, Cut(2.0, 0.5))], ("Fight",))
    assert (found["clips"], found["positives"], found["auroc"]) == (12, 6, 1.0)
    assert found["accuracy"] >= 0.8
    assert found["per_label"]["Fight"]["clips"] == 6


@pytest.mark.parametrize("train", [True, False])
def test_masks_of_frames(tmp_path: Path, train: bool) -> None:
    (tmp_path / "masks").mkdir()
    for k in range(4):
        alphapose(tmp_path / "test" / f"01_{k:04d}.json", 120, high=60 if k < 2 else -1, people=2)
        mask = np.zeros(120, np.int8)
        mask[60:] = k < 2
        np.save(tmp_path / "masks" / f"01_{k:04d}.npy", mask)
        if train:
            alphapose(tmp_path / "training" / f"02_{k:04d}.json", 120, people=2)
    videos = read_videos(tmp_path, None, 30.0)
    assert masked(videos)
    found = judge_frames(videos, [sight(videos, Cut(1.0, 0.2))])
    assert (found["videos"], found["frames"], found["positive_frames"]) == (4, 480, 120)
    assert found["auroc"] > 0.9
    assert set(found["by_score"]) == {"ood", "prompt", "product"}


def test_frames_that_count_from_one_are_told_by_the_mask(tmp_path: Path) -> None:
    alphapose(tmp_path / "a.json", 5)
    found = json.loads((tmp_path / "a.json").read_text())[1:]  # frames 1 to 4
    (tmp_path / "a.json").write_text(json.dumps(found))
    np.save(tmp_path / "a.npy", np.array([0, 0, 1, 1]))
    (video,) = read_videos(tmp_path, None, 30.0)
    assert video.scene.confidence.any(axis=(1, 2)).all()
    np.save(tmp_path / "a.npy", np.array([0, 1]))
    with pytest.raises(DataError, match="has a frame 4; its mask is of 2 frames"):
        read_videos(tmp_path, None, 30.0)


def test_each_frame_is_scored_by_the_window_around_it(tmp_path: Path) -> None:
    alphapose(tmp_path / "a.json", 60)
    videos = read_videos(tmp_path, None, 30.0)
    windows = sight(videos, Cut(1.0, 0.5)).windows
    assert nearest(windows, 0, 60).tolist() == [0] * 23 + [1] * 14 + [2] * 23 or nearest(windows, 0, 60)[0] == 0


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message) as error:
            read_videos(tmp_path, None, 30.0)
        assert "\n" not in str(error.value)

    refused("holds no .json file")
    path = tmp_path / "a.json"
    for text, message in (
        ("{", "not JSON"),
        ("3", "not AlphaPose's results"),
        ("[1]", "lacks image_id"),
        ('[{"image_id": "1.jpg"}]', "frame 1: no keypoints"),
        ('[{"image_id": "1.jpg", "keypoints": [1, 2, 3]}]', "1 joints; expected 17"),
        (json.dumps([{"image_id": "9999999.jpg", "keypoints": keypoints(17, 0, 0)}]), "expected 0 to 200000"),
        ('{"1": 3}', "has no frames"),
    ):
        path.write_text(text)
        refused(message)
    alphapose(path, 3)
    np.save(tmp_path / "b.npy", np.zeros(3))
    refused("labels the frames of no video")
    np.save(tmp_path / "b.npy", np.full(3, 7))
    (tmp_path / "b.npy").rename(tmp_path / "a.npy")
    refused("expected 0 or 1 for each frame")
    (tmp_path / "a.npy").unlink()
    videos = read_videos(tmp_path, None, 30.0)
    with pytest.raises(NotJudgeable, match="expected --positive"):
        positives(videos, ())
