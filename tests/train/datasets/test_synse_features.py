import pickle
from pathlib import Path

import numpy as np
import pytest

from train.datasets.archive import DataError
from train.datasets.splits import Split, SplitError
from train.datasets.synse_features import read_features, read_held_out_features

CLASSES = tuple(f"class {i}" for i in range(6))
SPLIT = Split("ntu60", "4/2", "", (1, 4))


def write(folder: Path, name: str, label_name: str, labels: list[int]) -> None:
    """Features whose first number is their row."""
    features = np.zeros((len(labels), 256), np.float32)
    features[:, 0] = np.arange(len(labels))
    np.save(folder / f"{name}.npy", features)
    np.save(folder / f"{label_name}.npy", np.array(labels))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "train", "train_label", [0, 2, 3, 5] * 20)
    write(tmp_path, "ztest", "z_label", [4, 1, 4])
    write(tmp_path, "gtest", "g_label", [0, 1, 2, 4, 5, 4])
    return tmp_path


def test_a_split(folder: Path) -> None:
    division = read_features(folder, CLASSES, SPLIT)
    assert (division.dataset, division.split, division.classes) == ("ntu60", "4/2", CLASSES)
    assert (division.seen, division.unseen) == ((0, 2, 3, 5), (1, 4))
    assert division.test_unseen.labels.tolist() == [4, 1, 4]
    assert division.test_unseen.inputs[:, 0].tolist() == [0, 1, 2]
    assert division.test_seen.labels.tolist() == [0, 2, 5]
    assert division.test_seen.inputs[:, 0].tolist() == [0, 2, 4]
    assert np.bincount(division.validation.labels).tolist() == [2, 0, 2, 2, 0, 2]
    rows = np.concatenate([division.train.inputs[:, 0], division.validation.inputs[:, 0]])
    assert sorted(rows.tolist()) == list(range(80))
    assert division.train.inputs.shape == (72, 256)
    assert division.train.inputs.dtype == np.float32
    again = read_features(folder, CLASSES, SPLIT)
    np.testing.assert_array_equal(again.validation.inputs, division.validation.inputs)


def test_the_twin_of_a_split_for_its_gate(tmp_path: Path) -> None:
    write(tmp_path, "train", "train_label", [2, 5] * 20)
    write(tmp_path, "ztest", "z_label", [0, 3, 0])
    write(tmp_path, "val", "val_label", [2, 2, 5])
    division = read_held_out_features(tmp_path, CLASSES, SPLIT)
    assert (division.seen, division.unseen) == ((2, 5), (0, 3))
    assert division.test_seen.labels.tolist() == [2, 2, 5]
    assert division.test_unseen.labels.tolist() == [0, 3, 0]
    assert (len(division.train), len(division.validation)) == (36, 4)
    np.save(tmp_path / "z_label.npy", np.array([0, 4, 0]))  # an unseen class of the split itself
    with pytest.raises(DataError, match=r"z_label\.npy: has class 4"):
        read_held_out_features(tmp_path, CLASSES, SPLIT)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train", np.zeros((80, 128), np.float32), r"train.npy: float32 \(80, 128\); expected features of floats"),
        ("train", np.zeros((80, 256), np.int64), r"train.npy: int64 \(80, 256\); expected"),
        ("train", np.zeros((0, 256), np.float32), r"train.npy: float32 \(0, 256\); expected"),
        ("train", np.full((80, 256), np.nan), "train.npy: has NaN"),
        ("train_label", np.zeros(79, np.int64), r"train_label.npy: int64 \(79,\); expected classes, integers \(80,\)"),
        ("train_label", np.zeros(80, np.float32), "train_label.npy: float32"),
        ("train_label", np.full(80, 1), "train_label.npy: has class 1, which is none of those train.npy is of"),
        ("z_label", np.array([4, 0, 4]), "z_label.npy: has class 0"),
        ("g_label", np.array([0, 1, 2, 6, 5, 4]), "g_label.npy: has class 6"),
    ],
)
def test_what_does_not_fit(folder: Path, name: str, array: np.ndarray, message: str) -> None:
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(DataError, match=message) as caught:
        read_features(folder, CLASSES, SPLIT)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_damaged(folder: Path) -> None:
    with pytest.raises(SplitError, match="keeps class 4"):
        read_features(folder, CLASSES[:3], SPLIT)
    (folder / "gtest.npy").write_bytes((folder / "gtest.npy").read_bytes()[:200])
    with pytest.raises(DataError, match=r"gtest\.npy: cannot be read"):
        read_features(folder, CLASSES, SPLIT)
    np.savez(folder / "gtest", a=np.zeros(3))
    (folder / "gtest.npz").rename(folder / "gtest.npy")
    with pytest.raises(DataError, match=r"gtest\.npy: not an array"):
        read_features(folder, CLASSES, SPLIT)
    (folder / "gtest.npy").unlink()
    with pytest.raises(DataError, match=r"gtest\.npy: not found"):
        read_features(folder, CLASSES, SPLIT)


def test_nothing_is_unpickled(folder: Path) -> None:
    np.save(folder / "train_label.npy", np.array([{"a": 1}] * 80, object), allow_pickle=True)
    with pytest.raises(DataError, match=r"train_label.npy: cannot be read \(Object arrays"):
        read_features(folder, CLASSES, SPLIT)
    (folder / "train_label.npy").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match=r"train_label\.npy: cannot be read"):
        read_features(folder, CLASSES, SPLIT)
