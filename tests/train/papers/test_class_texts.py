from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from train.datasets.clip_set import ClipSet
from train.datasets.described import PARTS, SENTENCES, Kind, load_descriptions, read_descriptions
from train.datasets.labels import SETS, action_of_label, archive_of
from train.datasets.packed import read_packed
from train.papers import class_texts as class_texts_module
from train.papers.class_texts import TextError, class_texts
from train.papers.parts import Division, Part

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
KINDS: tuple[Kind, ...] = get_args(Kind)
COUNTS = {"name": 1, "sentence": SENTENCES, "motion": 1, "parts": len(PARTS)}
UNCLAIMED = {"precog16": {"none"}, "bandai_namco": {"call", "dance short", "respond", "slash"}}
"""Labels that no action of the labels' file claims."""


def empty(name: str, *classes: str) -> ClipSet:
    none = np.empty(0, np.str_)
    return ClipSet(
        name, classes, np.empty((0, 3, 50, 25, 1), np.float32), np.empty(0, np.int64), none, none, none, none
    )


def check(clip_set: ClipSet) -> None:
    for kind in KINDS:
        texts = class_texts(clip_set, kind)
        assert [len(own) for own in texts] == [COUNTS[kind]] * len(clip_set.classes)
        assert all(text.strip() for own in texts for text in own)
        if kind == "name" or clip_set.name not in SETS:
            assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("name", "vocabulary", "count"), [
    ("ntu60", "ntu120", 60), ("ntu120", "ntu120", 120), ("pku51", "pku51", 51), ("pku1", "pku51", 51),
])  # fmt: skip
def test_every_published_class_has_each_kind(name: str, vocabulary: str, count: int) -> None:
    classes = [action.name for action in load_descriptions(vocabulary)][:count]
    assert len(classes) == count
    check(empty(name, *classes))


@pytest.mark.parametrize("name", SETS)
def test_every_label_that_means_an_action_has_each_kind(name: str) -> None:
    check(empty(name, *sorted(label for set_name, label in action_of_label() if set_name == name)))


@pytest.mark.parametrize("name", SETS)
def test_every_label_of_the_archives_has_each_kind(name: str) -> None:
    if not archive_of(SHARED)(name).is_file():
        pytest.skip(f"../shared/data has no {name}")
    classes = set(read_packed(SHARED, [name]).classes)
    check(empty(name, *sorted(classes)))
    assert class_texts(empty(name, *sorted(classes)), "name") == [(label,) for label in sorted(classes)]
    assert {label for label in classes if (name, label) not in action_of_label()} == UNCLAIMED.get(name, set())


def test_labels_that_mean_no_action_have_texts_of_their_own() -> None:
    described = {description.name for description in read_descriptions(class_texts_module.UNCLAIMED)}
    assert described == {f"{name}: {label}" for name, labels in UNCLAIMED.items() for label in labels}
    for name, labels in UNCLAIMED.items():
        check(empty(name, *sorted(labels)))
    joined = empty("bandai_namco+utd_mhad", "bandai_namco: slash")
    assert class_texts(joined, "sentence") == class_texts(empty("bandai_namco", "slash"), "sentence")
    assert class_texts(joined, "sentence")[0][0] == "slash: a person slashes with a sword"


def test_labels_of_one_action_stay_apart() -> None:
    right, left = class_texts(empty("precog16", "right punch", "left punch"), "sentence")
    assert right[0].startswith("right punch: ")
    assert left[0].startswith("left punch: ")
    assert right[0].removeprefix("right") == left[0].removeprefix("left")


def test_labels_of_several_sets_lose_their_prefix() -> None:
    clip_set = empty("msr_action3d+utd_mhad", "msr_action3d: draw x", "utd_mhad: walking in place")
    assert class_texts(clip_set, "name") == [("draw x",), ("walking in place",)]
    assert class_texts(clip_set, "motion")[1][0].startswith("walking in place: ")


def test_a_division_has_the_texts_of_its_dataset() -> None:
    clip_set = empty("msr_action3d+utd_mhad", "msr_action3d: draw x", "utd_mhad: walking in place")
    part = Part(clip_set.clips, clip_set.labels)
    division = Division(clip_set.name, "leave-utd_mhad", clip_set.classes, (0,), (1,), part, part, part, part)
    assert class_texts(division, "parts") == class_texts(clip_set, "parts")


def test_names_of_published_classes_are_in_lower_case() -> None:
    assert class_texts(empty("ntu60", "Drink water"), "name") == [("drink water",)]


def test_what_nobody_described_has_a_name_only() -> None:
    assert class_texts(empty("mine", "hop: twice"), "name") == [("hop: twice",)]
    with pytest.raises(TextError, match="mine: nobody has described the class 'hop: twice'"):
        class_texts(empty("mine", "hop: twice"), "parts")
    with pytest.raises(TextError, match="ntu60: nobody has described the class 'Fly'"):
        class_texts(empty("ntu60", "Drink water", "Fly"), "name")
