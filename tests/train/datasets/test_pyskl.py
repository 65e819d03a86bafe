import os
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skeleton_text import POSE, moving, write_skeleton

from models.frame50 import frame50
from train.datasets import pyskl
from train.datasets.archive import DataError
from train.datasets.ntu_tree import read_ntu
from train.datasets.pyskl import read_pyskl

NAMES = ("S001C002P003R001A004", "S017C001P010R002A060", "S001C003P003R002A004")


def annotation(name: str, people: int = 1, frames: int = 20, dtype: str = "f2", **changes: Any) -> dict[str, Any]:
    bodies = [moving(frames, 0.1 * (1 + body), 0.8 * body) for body in range(people)]
    joints = (np.array(bodies) + np.random.default_rng(frames).uniform(0, 0.05, (people, frames, 25, 3))).astype(dtype)
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
    clip_set = read_pyskl(write(tmp_path / "ntu60_3danno.pkl", *made, protocol=protocol), "ntu60", tmp_path / "store")
    assert (clip_set.name, len(clip_set.classes), clip_set.classes[3]) == ("ntu60", 60, "Brushing hair")
    assert clip_set.names.tolist() == list(NAMES)
    assert clip_set.labels.tolist() == [3, 59, 3]
    assert clip_set.subjects.tolist() == ["P003", "P010", "P003"]
    assert clip_set.cameras.tolist() == ["C002", "C001", "C003"]
    assert clip_set.setups.tolist() == ["S001", "S017", "S001"]
    assert clip_set.clips.shape == (3, 3, 50, 25, 2)
    assert not clip_set.clips[[0, 2], ..., 1].any()
    assert isinstance(clip_set.clips, np.memmap)
    for one, clip in zip(made, clip_set.clips, strict=True):
        # Who moves most comes first.
        x = np.moveaxis(one["keypoint"][::-1].astype(np.float32), 0, 3).transpose(2, 0, 1, 3)[None]
        expected = frame50(x, np.ones(x[:, 0].shape, np.bool_))[0]
        np.testing.assert_allclose(clip[..., : x.shape[4]], expected, atol=1e-6)


def test_a_pickle_and_a_tree_give_the_same_clips(tmp_path: Path) -> None:
    short = [{1: joints} for joints in moving(30, 0.2)]
    lost = [{1: a, 2: b} if not 10 <= t < 14 else {2: b} for t, (a, b) in enumerate(zip(
        moving(40, 0.5), moving(40, 0.1, 1.0), strict=True))]  # fmt: skip
    chair = [{1: POSE[:, [1, 0, 2]] * (1 + t % 2), 2: a} for t, a in enumerate(moving(30, 0.1))]
    made = []
    for name, frames in zip(NAMES, (short, lost, chair), strict=True):
        write_skeleton(tmp_path / "tree" / f"{name}.skeleton", frames)
        joints = np.zeros((max(map(max, frames)), len(frames), 25, 3), np.float32)
        for t, bodies in enumerate(frames):
            for track, body in bodies.items():
                joints[track - 1, t] = body
        made.append(annotation(name, keypoint=joints))
    tree = read_ntu(tmp_path / "tree", "ntu60", tmp_path / "of the tree")
    pickled = read_pyskl(write(tmp_path / "a.pkl", *made), "ntu60", tmp_path / "of the pickle")
    order = np.argsort(pickled.names)
    assert tree.names.tolist() == pickled.names[order].tolist() == sorted(NAMES)
    for column in ("labels", "subjects", "cameras", "setups"):
        assert getattr(tree, column).tolist() == getattr(pickled, column)[order].tolist()
    assert tree.classes == pickled.classes
    np.testing.assert_allclose(tree.clips, pickled.clips[order], atol=1e-5)
    assert tree.clips[tree.names.tolist().index(NAMES[1]), ..., 1].any()
    assert not tree.clips[tree.names.tolist().index(NAMES[2]), ..., 1].any()


def test_a_pickle_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told = write(tmp_path / "a.pkl", annotation(NAMES[0]), annotation(NAMES[1])), []
    first = read_pyskl(path, "ntu60", tmp_path / "store", report=lambda done, total: told.append((done, total)))
    assert told[-1] == (2, 2)

    def refuse(path: Path) -> list[Any]:
        raise AssertionError(f"{path} read again")

    with monkeypatch.context() as patched:
        patched.setattr(pyskl, "_annotations", refuse)
        np.testing.assert_array_equal(read_pyskl(path, "ntu60", tmp_path / "store").clips, first.clips)
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(AssertionError):
            read_pyskl(path, "ntu60", tmp_path / "store")
    assert len(read_pyskl(write(path, annotation(NAMES[0])), "ntu60", tmp_path / "store")) == 1


def test_clips_without_people_are_left_out(tmp_path: Path) -> None:
    nobody = annotation(NAMES[1], keypoint=np.zeros((1, 9, 25, 3), "f2"))
    path = write(tmp_path / "a.pkl", None, annotation(NAMES[0]), nobody)
    assert read_pyskl(path, "ntu60", tmp_path / "store").names.tolist() == [NAMES[0]]
    assert (tmp_path / "store" / "left_out.txt").read_text().splitlines() == [
        "annotation 1: no body in any frame",
        f"{NAMES[1]}: no body in any frame",
    ]
    with pytest.raises(DataError, match="none of 1 clips can be used; the first: no body in any frame"):
        read_pyskl(write(path, None), "ntu60", tmp_path / "store")


def test_two_annotations_of_a_clip_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pkl", annotation(NAMES[0]), annotation(NAMES[0], frames=30))
    with pytest.raises(DataError, match=f"{NAMES[0]}: has two annotations; expected one of each clip"):
        read_pyskl(path, "ntu60", tmp_path / "store")


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
        read_pyskl(path, "ntu60", tmp_path / "store")
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
            read_pyskl(
                write(tmp_path / "a.pkl", annotation(NAMES[0], other=value), protocol=protocol),
                "ntu60",
                tmp_path / "store",
            )


@pytest.mark.parametrize(
    "array",
    [np.array([{}, None], object), np.zeros(2, "f4,O"), np.zeros(2, "f4,f4"), np.array(["a"]), np.zeros(2, "V8")],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_of_other_than_numbers_are_refused(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    path = write(tmp_path / "a.pkl", annotation(NAMES[0], keypoint=array), protocol=protocol)
    with pytest.raises(DataError, match=r"cannot be read \(an array of .*expected numbers"):
        read_pyskl(path, "ntu60", tmp_path / "store")


def test_an_array_of_objects_behind_a_type_of_numbers(tmp_path: Path) -> None:
    class Forged:
        def __reduce__(self) -> tuple[Any, ...]:
            make, args, _ = np.zeros(1).__reduce__()
            return make, args, (1, (1,), np.dtype("f8"), False, [object])

    with pytest.raises(DataError, match=r"names __builtin__\.object"):
        read_pyskl(write(tmp_path / "a.pkl", annotation(NAMES[0], keypoint=Forged())), "ntu60", tmp_path / "store")


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
        read_pyskl(path, "ntu60", tmp_path / "store")


def test_two_dimensional_poses_are_refused(tmp_path: Path) -> None:
    poses = annotation(NAMES[0], keypoint=np.ones((1, 20, 17, 2), "f2"), keypoint_score=np.ones((1, 20, 17), "f2"))
    with pytest.raises(DataError, match=rf"{NAMES[0]}: poses in an image \(2-D\); expected 3-D"):
        read_pyskl(write(tmp_path / "ntu60_hrnet.pkl", poses), "ntu60", tmp_path / "store")


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
        read_pyskl(path, "ntu60", tmp_path / "store")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_such_pickle(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    with pytest.raises(DataError, match="not found"):
        read_pyskl(path, "ntu60", tmp_path / "store")
    for content in ([], {"annotations": {}}, {"annotations": []}, {"split": 1}):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="has no list of annotations"):
            read_pyskl(path, "ntu60", tmp_path / "store")
    whole = write(path, annotation(NAMES[0], frames=3), protocol=4).read_bytes()
    random = np.random.default_rng(0)
    for place in range(400):
        damaged = bytearray(whole[: random.integers(len(whole) + 1)] if random.random() < 0.3 else whole)
        for byte in random.integers(0, max(len(damaged), 1), 3 if damaged else 0):
            damaged[byte] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_pyskl(path, "ntu60", tmp_path / str(place))
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 - damage to a joint's bytes alone is no error
