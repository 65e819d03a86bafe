from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.datasets.clip_set import ClipSet
from train.datasets.splits import Split, SplitError, split_of
from train.papers.divide import DivisionError, Rows, divide, holdout_division
from train.papers.parts import Division, Part


def clip_set(people: int = 10, classes: int = 9, each: int = 2, name: str = "mine", **changes: Any) -> ClipSet:
    """Every person does every class `each` times; a clip's content is its number."""
    n = people * classes * each
    number = np.arange(n)
    blank = np.full(n, "")
    fields: dict[str, Any] = {
        "name": name,
        "classes": tuple(f"class {i}" for i in range(classes)),
        "clips": number.astype(np.float32).reshape(n, 1),
        "labels": (number // each) % classes,
        "subjects": np.array([f"s{i // (classes * each) + 1}" for i in number]),
        "cameras": blank,
        "setups": blank,
        "names": number.astype(np.str_),
    }
    return ClipSet(**fields | changes)


def union() -> ClipSet:
    """Two sets of different people, which both number theirs from s1."""
    a, b = clip_set(10, 3), clip_set(4, 2)
    n = len(a) + len(b)
    blank = np.full(n, "")
    return ClipSet(
        "a+b",
        ("a: x", "a: y", "a: z", "b: x", "b: w"),
        np.arange(n, dtype=np.float32).reshape(n, 1),
        np.concatenate([a.labels, b.labels + 3]),
        np.array([f"a: {s}" for s in a.subjects] + [f"b: {s}" for s in b.subjects]),
        blank,
        blank,
        blank,
    )


SPLIT = Split("mine", "6/3", "", (1, 4, 8))


def numbers(part: Part) -> set[int]:
    return set(np.asarray(part.inputs[:], np.int64)[:, 0].tolist())


def people(clips: ClipSet, part: Part) -> set[str]:
    return {str(clips.subjects[i]) for i in numbers(part)}


def parts(division: Division) -> list[Part]:
    return [division.train, division.validation, division.test_seen, division.test_unseen]


def check(division: Division, clips: ClipSet) -> None:
    """What is true of every division."""
    all_numbers = [numbers(part) for part in parts(division)]
    assert sum(map(len, all_numbers)) == len(set().union(*all_numbers))
    for part in parts(division):
        assert part.labels.tolist() == clips.labels[sorted(numbers(part))].tolist()
    assert set(division.seen).isdisjoint(division.unseen)
    assert set(division.test_unseen.labels.tolist()) <= set(division.unseen)
    for part in parts(division)[:3]:
        assert set(part.labels.tolist()) <= set(division.seen)


def test_every_second_person_trains_and_every_fifth_of_them_validates() -> None:
    clips = clip_set(people=22)
    division = divide(clips, SPLIT, "people")
    check(division, clips)
    assert (division.dataset, division.split, division.classes) == ("mine", "6/3", clips.classes)
    assert (division.seen, division.unseen) == ((0, 2, 3, 5, 6, 7), (1, 4, 8))
    assert people(clips, division.train) == {f"s{i}" for i in range(1, 23, 2)} - {"s5", "s15"}
    assert people(clips, division.validation) == {"s5", "s15"}
    others = {f"s{i}" for i in range(2, 23, 2)}
    assert people(clips, division.test_seen) == people(clips, division.test_unseen) == others
    assert len(division.train) == 9 * 6 * 2
    assert len(division.test_unseen) == 11 * 3 * 2


def test_clips_validate_at_random_where_one_person_trains(caplog: pytest.LogCaptureFixture) -> None:
    clips = clip_set(people=2, each=20)
    division = divide(clips, SPLIT, "people", seed=3)
    check(division, clips)
    assert "holding out clips at random" in caplog.text
    assert np.bincount(division.validation.labels, minlength=9).tolist() == [2, 0, 2, 2, 0, 2, 2, 2, 0]
    assert numbers(division.validation) == numbers(divide(clips, SPLIT, "people", seed=3).validation)
    assert numbers(division.validation) != numbers(divide(clips, SPLIT, "people", seed=4).validation)


def test_clips_validate_at_random_where_a_class_would_be_lost() -> None:
    clips = clip_set(people=10)
    only = (clips.labels == 0) & (clips.subjects != "s5")
    labels = np.where(only, 2, clips.labels)  # s5, who would validate, alone does class 0
    division = divide(clip_set(people=10, labels=labels), SPLIT, "people")
    assert set(division.train.labels.tolist()) == set(division.seen)


def test_a_set_left_out() -> None:
    clips = union()
    division = divide(clips, split_of("a+b", "leave-b"), "people")
    check(division, clips)
    assert (division.seen, division.unseen) == ((0, 1, 2), (3, 4))
    assert people(clips, division.test_unseen) == {"b: s1", "b: s2", "b: s3", "b: s4"}
    assert len(division.test_unseen) == 4 * 2 * 2
    assert people(clips, division.test_seen) == {"a: s3", "a: s8"}
    assert people(clips, division.validation) == {"a: s4", "a: s10"}
    assert people(clips, division.train) == {f"a: s{i}" for i in (1, 2, 5, 6, 7, 9)}


def test_people_of_a_union_are_divided_set_by_set() -> None:
    clips = union()
    division = divide(clips, Split("a+b", "own", "", ("a: x", "b: x")), "people")
    assert people(clips, division.train) == {"a: s1", "a: s3", "a: s7", "a: s9", "b: s1"}
    assert people(clips, division.validation) == {"a: s5", "b: s3"}


def test_the_official_protocol_of_ntu() -> None:
    subjects = np.array([f"P{i:03d}" for i in range(1, 41) for _ in range(60)])
    n = len(subjects)
    blank = np.full(n, "")
    clips = ClipSet(
        "ntu60", tuple(f"class {i}" for i in range(60)), np.arange(n, dtype=np.float32).reshape(n, 1),
        np.arange(n) % 60, subjects, blank, blank, blank,
    )  # fmt: skip
    division = divide(clips, split_of("ntu60", "55/5"), "xsub")
    check(division, clips)
    assert people(clips, division.validation) == {"P004", "P014", "P019", "P034"}
    assert (len(division.train), len(division.validation)) == (16 * 55, 4 * 55)
    assert (len(division.test_seen), len(division.test_unseen)) == (20 * 55, 20 * 5)


def test_holding_out_seen_classes_touches_no_test_clip() -> None:
    clips = clip_set(people=30)
    division = divide(clips, SPLIT, "people")
    smaller = holdout_division(division, 1)
    check(smaller, clips)
    assert len(smaller.unseen) == 2  # a third of six, where three are unseen
    assert set(smaller.unseen) | set(smaller.seen) == set(division.seen)
    tested = numbers(division.test_seen) | numbers(division.test_unseen)
    for part in parts(smaller):
        assert numbers(part).isdisjoint(tested)
        assert set(part.labels.tolist()).isdisjoint(division.unseen)
    assert numbers(smaller.train) < numbers(division.train)
    held = numbers(smaller.validation) | numbers(smaller.test_seen) | numbers(smaller.test_unseen)
    assert held == numbers(division.validation)
    counts = [np.bincount(part.labels, minlength=9)[list(smaller.seen)] for part in parts(smaller)[1:3]]
    assert (np.abs(counts[0] - counts[1]) <= 1).all()
    assert holdout_division(division, 1).unseen == smaller.unseen
    assert len({holdout_division(division, seed).unseen for seed in range(8)}) > 1


def test_clips_are_not_copied(tmp_path: Path) -> None:
    clips = clip_set().clips
    np.save(tmp_path / "clips.npy", clips)
    for source in (clips, np.load(tmp_path / "clips.npy", mmap_mode="r")):
        division = divide(clip_set(clips=source), SPLIT, "people")
        for one in (division, holdout_division(division, 0)):
            for part in parts(one):
                size = len(part)
                assert isinstance(part.inputs, Rows)
                assert (len(part.inputs), part.inputs.shape, part.inputs.dtype) == (size, (size, 1), np.float32)
                assert part.inputs.ndim == 2
                assert part.inputs._source is source
        read, whole = division.train.inputs, clips[sorted(numbers(division.train))]
        assert type(read[:5]) is np.ndarray
        np.testing.assert_array_equal(read[2], whole[2])
        np.testing.assert_array_equal(read[3:9:2], whole[3:9:2])
        np.testing.assert_array_equal(read[np.array([0, 5, 7])], whole[[0, 5, 7]])
        np.testing.assert_array_equal(read[whole[:, 0] % 2 == 0], whole[whole[:, 0] % 2 == 0])


def test_features_in_memory_are_held_out_as_their_clips_would_be() -> None:
    division = divide(clip_set(), SPLIT, "people")
    features = {
        name: Part(part.inputs[:], part.labels)
        for name, part in zip(("train", "validation", "test_seen", "test_unseen"), parts(division), strict=True)
    }
    for one, other in zip(
        parts(holdout_division(division, 0)), parts(holdout_division(replace(division, **features), 0)), strict=True
    ):
        assert type(other.inputs) is np.ndarray
        np.testing.assert_array_equal(one.inputs[:], other.inputs)


def test_all_views_of_a_performance_are_held_out_together() -> None:
    shown = [(number, view) for number in range(280, 300) for view in "LMR"]
    names = np.array([f"{number:04}-{view}:{k}" for number, view in shown for k in range(51)])
    n = len(names)
    blank = np.full(n, "")
    clips = ClipSet(
        "pku1", tuple(f"class {i}" for i in range(51)), np.arange(n, dtype=np.float32).reshape(n, 1),
        np.arange(n) % 51, blank, blank, np.where(np.char.partition(names, "-")[:, 0] < "0291", "train", "test"), names,
    )  # fmt: skip
    division = divide(clips, split_of("pku1", "46/5"), "xsub")
    check(division, clips)
    held = [names[sorted(numbers(part))] for part in (division.validation, division.train)]
    validated, learned = ({str(name)[:4] for name in part} for part in held)
    assert validated == {"0282", "0287"}
    assert learned == {f"{number:04}" for number in range(280, 291)} - validated
    assert len(division.validation) == 2 * 3 * 46


def test_what_cannot_be_divided() -> None:
    with pytest.raises(DivisionError, match="split 6/3 is of mine; these are clips of other"):
        divide(clip_set(name="other"), SPLIT, "people")
    with pytest.raises(DivisionError, match="no protocol 'xsub'; expected 'people'"):
        divide(clip_set(), SPLIT, "xsub")
    with pytest.raises(DivisionError, match="1 known subjects; expected 2"):
        divide(clip_set(people=1), SPLIT, "people")
    with pytest.raises(DivisionError, match="0 known subjects"):
        divide(clip_set(people=2, subjects=np.full(36, "")), SPLIT, "people")
    with pytest.raises(DivisionError, match="leave-b has the protocol 'people' only, not 'xsub'"):
        divide(union(), split_of("a+b", "leave-b"), "xsub")
    with pytest.raises(SplitError, match=r"8 classes; split 6/3 keeps class 8"):
        divide(clip_set(classes=8), SPLIT, "people")
    with pytest.raises(DivisionError, match="no clips for validation"):
        divide(clip_set(people=2, each=1), SPLIT, "people")
    labels = np.where(np.isin(clip_set().labels, SPLIT.unseen), 0, clip_set().labels)
    with pytest.raises(DivisionError, match="no clips for test_unseen"):
        divide(clip_set(labels=labels), SPLIT, "people")


def test_too_little_to_hold_out() -> None:
    division = divide(clip_set(classes=2), Split("mine", "1/1", "", (1,)), "people")
    with pytest.raises(DivisionError, match="1 seen classes for validation; expected over 1"):
        holdout_division(division, 0)
