"""NTU RGB+D trees: files in the exact format, the missing lists, the bodies chosen, the protocols."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skeleton_text import POSE, Bodies, moving, write_skeleton

from models.frame50 import frame50
from stream.errors import PosewireError
from stream.types import SkeletonFrame
from train.datasets.archive import DataError
from train.datasets.clip_sources import Raw
from train.datasets.clip_store import empty_set
from train.datasets.ntu_tree import (
    TRAIN_SUBJECTS_60,
    TRAIN_SUBJECTS_120,
    choose_bodies,
    missing_samples,
    read_ntu,
    train_rows,
)

SAMPLE = Path(__file__).parents[3].parent / "shared/data/samples/ntu_local_only/S001C001P001R001A001.skeleton"


def one(frames: int, speed: float) -> Bodies:
    return [{72057594037931101: joints} for joints in moving(frames, speed)]


def make_tree(tree: Path) -> None:
    write_skeleton(tree / "a" / "S001C001P001R001A001.skeleton", one(40, 0.2))
    write_skeleton(tree / "a" / "S001C002P003R002A060.skeleton", one(60, 0.3))
    two = [{7: a, 8: b} for a, b in zip(moving(50, 0.1), moving(50, 0.4, 1.0), strict=True)]
    write_skeleton(tree / "b" / "S017C003P004R002A050.skeleton", two)
    write_skeleton(tree / "b" / "S018C003P106R001A061.skeleton", one(30, 0.1))
    write_skeleton(tree / "b" / "S032C001P103R001A120.skeleton", one(30, 0.1))
    write_skeleton(tree / "b" / "S001C002P005R002A008.skeleton", one(30, 0.1))
    write_skeleton(tree / "b" / "S002C001P001R001A002.skeleton", [{}] * 20)
    damaged = tree / "b" / "S003C001P001R001A003.skeleton"
    write_skeleton(damaged, one(30, 0.1))
    damaged.write_bytes(damaged.read_bytes()[:9000])
    (tree / "notes.txt").write_text("no skeleton")
    (tree / "S1.skeleton").write_text("no name")


def test_reads_a_tree(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_tree(tmp_path / "tree")
    clips = read_ntu(tmp_path / "tree", "ntu60", tmp_path / "store")
    names = ["S001C001P001R001A001", "S001C002P003R002A060", "S017C003P004R002A050"]
    assert clips.names.tolist() == names
    assert clips.labels.tolist() == [0, 59, 49]
    assert clips.subjects.tolist() == ["P001", "P003", "P004"]
    assert clips.cameras.tolist() == ["C001", "C002", "C003"]
    assert clips.setups.tolist() == ["S001", "S001", "S017"]
    assert (len(clips.classes), clips.classes[0], clips.classes[42]) == (60, "Drink water", "Falling")
    assert train_rows(clips, "xsub").tolist() == [True, False, True]
    assert train_rows(clips, "xview").tolist() == [False, True, True]
    # Two people: the one who moves most comes first, whatever the file's order.
    assert clips.clips[2, ..., 1].any()
    assert not clips.clips[0, ..., 1].any()
    two = np.stack([moving(50, 0.4, 1.0), moving(50, 0.1)], axis=-1).astype(np.float32)
    expected = frame50(two.transpose(2, 0, 1, 3)[None], np.ones((1, 50, 25, 2), np.bool_))[0]
    np.testing.assert_allclose(clips.clips[2], expected, atol=1e-5)
    left_out = (tmp_path / "store" / "left_out.txt").read_text()
    for line in ("S1.skeleton: expected a name", "A008: on the official list", "A002: no body in any frame", "A003: "):
        assert line in left_out
    assert caplog.text.count("S003C001P001R001A003 left out") == 1


def test_120_is_all_of_both(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    clips = read_ntu(tmp_path / "tree", "ntu120", tmp_path / "store", workers=2)
    assert clips.labels.tolist() == [0, 59, 49, 60, 119]
    assert len(clips.classes) == 120
    assert train_rows(clips, "xsub").tolist() == [True, False, True, False, True]
    assert train_rows(clips, "xset").tolist() == [False, False, False, True, True]


def test_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_ntu(tmp_path / "none", "ntu60", tmp_path / "store")
    write_skeleton(tmp_path / "tree" / "S018C003P106R001A061.skeleton", one(30, 0.1))
    with pytest.raises(DataError, match="no file that can be used; expected files like S001C001P001R001A001"):
        read_ntu(tmp_path / "tree", "ntu60", tmp_path / "store")
    with pytest.raises(PosewireError, match="protocol 'xset' of ntu60: expected one of xsub, xview"):
        train_rows(empty_set("ntu60", ()), "xset")


def test_the_missing_lists_are_the_official_ones() -> None:
    short, long = missing_samples("ntu60"), missing_samples("ntu120")
    assert (len(short), len(long)) == (302, 535)
    assert short == {name for name in long if int(name[1:4]) <= 17}
    assert all(int(name[-3:]) <= 60 for name in short)
    assert all(61 <= int(name[-3:]) <= 120 for name in long - short)


def test_subjects_of_the_protocols() -> None:
    assert (len(TRAIN_SUBJECTS_60), len(TRAIN_SUBJECTS_120)) == (20, 53)
    assert max(TRAIN_SUBJECTS_60) <= 40 < min(TRAIN_SUBJECTS_120 - TRAIN_SUBJECTS_60)


def frames_of(bodies: Bodies) -> list[SkeletonFrame]:
    return [
        SkeletonFrame(
            "x",
            t,
            t,
            "kinect_v2",
            np.array(list(found.values()), np.float32).reshape(-1, 25, 3),
            np.ones((len(found), 25), np.float32),
            np.array(list(found), np.int64),
        )
        for t, found in enumerate(bodies)
    ]


def test_a_chair_and_a_glimpse_are_not_taken() -> None:
    chair = POSE[:, [1, 0, 2]]
    people = moving(30, 0.1)
    bodies = [{1: chair * (1 + t % 2), 2: people[t]} for t in range(30)]
    bodies[4][3] = POSE * 9
    raw = choose_bodies(frames_of(bodies))
    assert isinstance(raw, Raw)
    np.testing.assert_allclose(raw.x[:, 0], people, rtol=1e-6)
    assert not raw.seen[:, 1].any()
    # Someone who lies, and is alone, is no chair.
    alone = choose_bodies(frames_of([{1: chair}] * 30))
    assert isinstance(alone, Raw)
    assert len(alone.x) == 30


def test_a_new_id_carries_a_person_on() -> None:
    people = moving(40, 0.1)
    raw = choose_bodies(frames_of([{1 if t < 20 else 2: people[t]} if t != 20 else {} for t in range(40)]))
    assert isinstance(raw, Raw)
    np.testing.assert_allclose(raw.x[:, 0], np.delete(people, 20, axis=0), rtol=1e-6)
    assert not raw.seen[:, 1].any()


def test_joints_that_were_not_tracked_are_not_seen() -> None:
    frames = frames_of([{1: joints} for joints in moving(20, 0.1)])
    confidence = frames[3].confidence.copy()
    confidence[0, 7] = 0
    frames[3] = replace(frames[3], confidence=confidence)
    raw = choose_bodies(frames)
    assert isinstance(raw, Raw)
    assert np.argwhere(~raw.seen[:, 0]).tolist() == [[3, 7]]


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the NTU RGB+D sample is not there")
def test_reads_the_real_sample(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("S001C001P001R001A001", "S017C003P038R002A043"):
        shutil.copy(SAMPLE, tree / f"{name}.skeleton")
    clips = read_ntu(tree, "ntu60", tmp_path / "store")
    assert clips.labels.tolist() == [0, 42]
    assert clips.clips.shape == (2, 3, 50, 25, 2)
    np.testing.assert_array_equal(clips.clips[0], clips.clips[1])
    # Neck's base at the origin, a person's height, one body.
    assert not clips.clips[0, :, :, 20, 0].any()
    assert 1.0 < np.ptp(clips.clips[0, 1, ..., 0]) < 2.2
    assert not clips.clips[0, ..., 1].any()
