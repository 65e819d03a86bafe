import os
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.frame50 import frame50
from train.datasets.archive import DataError
from train.datasets.pyskl import read_pyskl

NAMES = ("S001C002P003R001A004", "S017C001P010R002A060", "S001C003P003R002A004")


def annotation(name: str, people: int = 1, frames: int = 20, dtype: str = "f2", **changes: Any) -> dict[str, Any]:
    joints = np.random.default_rng(frames).uniform(0.2, 2, (people, frames, 25, 3)).astype(dtype)
    fields = {"frame_dir": name, "label": int(name[-3:]) - 1, "keypoint": joints, "total_frames": frames}
    return fields | changes


def write(path: Path, *annotations: Any, protocol: int = 2) -> Path:
    names = [one["frame_dir"] for one in annotations if isinstance(one, dict)]
    path.write_bytes(pickle.dumps({"split": {"xsub_train": names}, "annotations": list(annotations)}, protocol))
    return path


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle(tmp_path: Path, protocol: int, dtype: str) -> None:
    made = [annotation(NAMES[0], dtype=dtype), annotation(NAMES[1], 2, 31, dtype), annotation(NAMES[2], dtype=dtype)]
    made[2]["label"] = np.int64(3)
    made[2]["keypoint"] = np.asfortranarray(made[2]["keypoint"])
    clip_set = read_pyskl(write(tmp_path / "ntu60_3danno.pkl", *made, protocol=protocol), "ntu60")
    assert (clip_set.name, len(clip_set.classes), clip_set.classes[3]) == ("ntu60", 60, "Brushing hair")
    assert clip_set.names.tolist() == list(NAMES)
    assert clip_set.labels.tolist() == [3, 59, 3]
    assert clip_set.subjects.tolist() == ["P003", "P010", "P003"]
    assert clip_set.cameras.tolist() == ["C002", "C001", "C003"]
    assert clip_set.setups.tolist() == ["S001", "S017", "S001"]
    assert clip_set.clips.shape == (3, 3, 50, 25, 2)
    assert not clip_set.clips[[0, 2], ..., 1].any()
    for one, clip in zip(made, clip_set.clips, strict=True):
        x = np.moveaxis(one["keypoint"].astype(np.float32), 0, 3).transpose(2, 0, 1, 3)[None]
        expected = frame50(x, np.ones(x[:, 0].shape, np.bool_))[0]
        np.testing.assert_allclose(clip[..., : x.shape[4]], expected, atol=1e-6)


def test_clips_without_people_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(
        tmp_path / "a.pkl", None, annotation(NAMES[0]), annotation(NAMES[1], keypoint=np.zeros((1, 9, 25, 3), "f2"))
    )
    assert read_pyskl(path, "ntu60").names.tolist() == [NAMES[0]]
    assert "left out 2 of 3 clips" in caplog.text
    with pytest.raises(DataError, match="nobody is seen in any of its 1 clips"):
        read_pyskl(write(path, None), "ntu60")


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def test_no_code_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran".replace(" ", "_")
    path = write(tmp_path / "a.pkl", annotation(NAMES[0]), annotation(NAMES[1], total_frames=Runs(mark)))
    with pytest.raises(
        DataError, match=r"a.pkl: refused: it names posix.system; expected nothing but arrays"
    ) as caught:
        read_pyskl(path, "ntu60")
    assert "\n" not in str(caught.value)
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # noqa: S301 - the file is no dud: elsewhere it does run
    assert mark.exists()


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (OrderedDict(), "collections.OrderedDict"),
        (eval, "builtins.eval"),
        (np.load, "numpy.load"),
        (np.random.default_rng(0), "numpy.random._pickle"),
        (np.ma.zeros(3), "numpy.ma"),
        (Path("x"), "pathlib"),
    ],
)
def test_other_names_are_refused(tmp_path: Path, value: object, named: str) -> None:
    for protocol in (2, 5):
        with pytest.raises(DataError, match=f"refused: it names (__builtin__|{named}|{named.split('.')[0]})"):
            read_pyskl(write(tmp_path / "a.pkl", annotation(NAMES[0], other=value), protocol=protocol), "ntu60")


@pytest.mark.parametrize(
    "array",
    [np.array([{}, None], object), np.zeros(2, "f4,O"), np.zeros(2, "f4,f4"), np.array(["a"]), np.zeros(2, "V8")],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_of_other_than_numbers_are_refused(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    path = write(tmp_path / "a.pkl", annotation(NAMES[0], keypoint=array), protocol=protocol)
    with pytest.raises(DataError, match=r"cannot be read \(an array of .*expected numbers"):
        read_pyskl(path, "ntu60")


def test_an_array_of_objects_behind_a_type_of_numbers(tmp_path: Path) -> None:
    class Forged:
        def __reduce__(self) -> tuple[Any, ...]:
            make, args, _ = np.zeros(1).__reduce__()
            return make, args, (1, (1,), np.dtype("f8"), False, [object])

    with pytest.raises(DataError, match=r"names __builtin__\.object"):
        read_pyskl(write(tmp_path / "a.pkl", annotation(NAMES[0], keypoint=Forged())), "ntu60")


def test_what_is_allowed_cannot_be_changed(tmp_path: Path) -> None:
    # PROTO 2, GLOBAL, an empty dictionary, BUILD: would set attributes of what is named.
    program = b"\x80\x02cnumpy\nndarray\n}b."
    assert [code.name for code, _, _ in pickletools.genops(program)] == [
        "PROTO",
        "GLOBAL",
        "EMPTY_DICT",
        "BUILD",
        "STOP",
    ]
    (path := tmp_path / "a.pkl").write_bytes(program)
    with pytest.raises(DataError, match="changes what it names"):
        read_pyskl(path, "ntu60")


def test_two_dimensional_poses_are_refused(tmp_path: Path) -> None:
    poses = annotation(NAMES[0], keypoint=np.ones((1, 20, 17, 2), "f2"), keypoint_score=np.ones((1, 20, 17), "f2"))
    with pytest.raises(DataError, match=rf"{NAMES[0]}: poses in an image \(2-D\); expected 3-D"):
        read_pyskl(write(tmp_path / "ntu60_hrnet.pkl", poses), "ntu60")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (annotation(NAMES[0], frame_dir="video 1"), "annotation 2: frame_dir is 'video 1'; expected one like S001"),
        (annotation(NAMES[0], label=5), "label 5 of ntu60; expected its A-number less 1"),
        (annotation(NAMES[0], label=np.zeros(3)), "label .* of ntu60"),
        (annotation("S018C001P041R001A061"), "label 60 of ntu60"),
        (annotation(NAMES[0], keypoint=np.zeros((1, 20, 17, 3))), r"keypoint is \(1, 20, 17, 3\); expected numbers"),
        (annotation(NAMES[0], keypoint=[1, 2]), "keypoint is list"),
        ({"raw_file": "k400"}, "annotation 2: frame_dir is 'None'"),
        (3, "annotation 2: not a dictionary"),
    ],
)
def test_annotations_that_are_wrong(tmp_path: Path, bad: Any, message: str) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"split": {}, "annotations": [annotation(NAMES[0]), bad]}))
    with pytest.raises(DataError, match=message) as caught:
        read_pyskl(path, "ntu60")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_such_pickle(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    with pytest.raises(DataError, match="not found"):
        read_pyskl(path, "ntu60")
    for content in ([], {"annotations": {}}, {"annotations": []}, {"split": 1}):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="has no list of annotations"):
            read_pyskl(path, "ntu60")
    whole = write(path, annotation(NAMES[0], frames=3), protocol=4).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(whole[: random.integers(len(whole) + 1)] if random.random() < 0.3 else whole)
        for place in random.integers(0, max(len(damaged), 1), 3 if damaged else 0):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_pyskl(path, "ntu60")
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 - damage to a joint's bytes alone is no error
