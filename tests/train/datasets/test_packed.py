import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.frame50 import frame50
from stream.layouts import CANONICAL
from train.datasets.archive import DataError
from train.datasets.labelled import read_clips
from train.datasets.packed import PackedError, available, preprocess_clips, read_packed

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def walk(frames: int, seed: int, people: int = 1) -> np.ndarray:
    """(T, 25 M, 3) mm: joints that stay roughly where they are."""
    random = np.random.default_rng(seed)
    start = random.uniform(100, 1500, (1, 25 * people, 3))
    return np.round(start + np.cumsum(random.normal(0, 10, (frames, 25 * people, 3)), axis=0)).astype(np.int16)


def archive(path: Path, joints: np.ndarray, offsets: list[int], **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns.setdefault("joint_names", np.array(CANONICAL))
    meta = np.array(json.dumps({"fps": 30, "units": "mm"}))
    np.savez(path, joints=joints, offsets=np.array(offsets), meta=meta, **columns)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    archive(
        tmp_path / "clips" / "mine.npz", walk(60, 0), [0, 20, 30, 60],
        label=np.array(["wave", "sit", "wave"]), subject=np.array(["s1", "s2", ""]), clip=np.array(["a", "b", "c"]),
    )  # fmt: skip
    names = [prefix + name for prefix in ("A_", "B_") for name in CANONICAL]
    joints = walk(40, 1, people=2)
    joints[20:, 25:] = 0  # the second clip has one person
    archive(
        tmp_path / "clips" / "pairs.npz", joints, [0, 20, 40], joint_names=np.array(names),
        label=np.array(["wave", "hug"]), subject=np.array(["s1", "s1"]),
    )  # fmt: skip
    return tmp_path


def test_one_set(data: Path) -> None:
    clip_set = read_packed(data, ["mine"])
    assert (clip_set.name, clip_set.classes, len(clip_set)) == ("mine", ("sit", "wave"), 3)
    assert clip_set.labels.tolist() == [1, 0, 1]
    assert clip_set.subjects.tolist() == ["s1", "s2", ""]
    assert clip_set.names.tolist() == ["a", "b", "c"]
    assert clip_set.cameras.tolist() == clip_set.setups.tolist() == ["", "", ""]
    assert clip_set.clips.dtype == np.float32
    for clip, made in zip(read_clips(data / "clips" / "mine.npz"), clip_set.clips, strict=True):
        (body,) = clip.bodies
        expected = frame50(body.joints.transpose(2, 0, 1)[None, ..., None], body.confidence[None, ..., None] > 0)
        np.testing.assert_allclose(made, expected[0], atol=1e-6)


def test_several_sets_are_one_dataset(data: Path) -> None:
    clip_set = read_packed(data, ["pairs", "mine"])
    assert clip_set.name == "pairs+mine"
    assert clip_set.classes == ("pairs: hug", "pairs: wave", "mine: sit", "mine: wave")
    assert clip_set.labels.tolist() == [1, 0, 3, 2, 3]
    assert clip_set.subjects.tolist() == ["pairs: s1", "pairs: s1", "mine: s1", "mine: s2", ""]
    assert clip_set.clips.shape == (5, 3, 50, 25, 2)
    assert clip_set.clips[0, ..., 1].any()
    assert not clip_set.clips[1:, ..., 1].any()  # those of one person


def test_uneven_times_are_made_even(tmp_path: Path) -> None:
    # Something moves at a constant speed, and most frames are of its first third.
    times = np.concatenate([np.linspace(0, 0.5, 40), np.linspace(0.55, 1.5, 11)])
    joints = np.tile(walk(1, 2).astype(np.float64), (51, 1, 1))
    joints[:, 7, 1] += 1000 * times
    archive(
        tmp_path / "untrimmed" / "own.npz", joints, [0, 51], timestamp_us=np.round(times * 1e6).astype(np.int64),
        tag_sequence=np.array([0]), tag_frame=np.array([25]), tag_label=np.array(["kick"]),
    )  # fmt: skip
    (clip,) = read_clips(tmp_path / "untrimmed" / "own.npz")
    height = read_packed(tmp_path, ["own"]).clips[0, 1, :, 7, 0]
    assert np.ptp(np.diff(clip.bodies[0].joints[:, 7, 1])) > 0.05
    assert np.ptp(np.diff(height)) < 1e-3
    assert np.ptp(height) == pytest.approx(np.ptp(clip.bodies[0].joints[:, 7, 1]), abs=1e-3)


def test_no_clips_make_no_array() -> None:
    assert preprocess_clips([]).shape == (0, 3, 50, 25, 1)


def test_wrong_sets(data: Path) -> None:
    assert available(data) == ("mine", "pairs")
    with pytest.raises(PackedError, match="no set 'other'; it has mine, pairs"):
        read_packed(data, ["mine", "other"])
    with pytest.raises(PackedError, match=r"no set '\.\./clips/mine'"):
        read_packed(data, ["../clips/mine"])
    with pytest.raises(PackedError, match="'mine' is named twice"):
        read_packed(data, ["mine", "mine"])
    with pytest.raises(PackedError, match="no set is named"):
        read_packed(data, [])
    with pytest.raises(PackedError, match=r"it has no archives \(\*.npz\)"):
        read_packed(data / "clips", ["mine"])
    (data / "clips" / "mine.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"not an \.npz archive"):
        read_packed(data, ["mine"])


@pytest.mark.parametrize(
    ("names", "clips", "classes"),
    [
        (["kinder_gator"], 1159, 58),
        (["msrc12"], 4959, 12),
        (["utd_mhad", "msr_action3d", "kinder_gator"], 2586, 105),
    ],
)
def test_the_shared_sets(names: list[str], clips: int, classes: int) -> None:
    if not set(names) <= set(available(SHARED)):
        pytest.skip("../shared/data is not there")
    clip_set = read_packed(SHARED, names)
    assert clip_set.clips.shape == (clips, 3, 50, 25, 1)
    assert len(clip_set.classes) == len(np.unique(clip_set.labels)) == classes
    assert np.isfinite(clip_set.clips).all()
    assert np.abs(clip_set.clips).max() < 2.5  # metres from the base of the neck
