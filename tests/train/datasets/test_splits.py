import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from train.datasets.described import load_descriptions
from train.datasets.labels import archive_of
from train.datasets.packed import read_packed
from train.datasets.splits import FILE, Split, SplitError, draw, split_names, split_of

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
TABLE = json.loads(FILE.read_text(encoding="utf-8"))
SIZES = {"ntu60": 60, "ntu120": 120, "pku51": 51}
OURS = [(dataset, name) for dataset in ("kinder_gator", "utd_mhad", "msrc12") for name in TABLE[dataset]]


@pytest.mark.parametrize(("dataset", "name"), [(d, n) for d in SIZES for n in TABLE[d]])
def test_published_splits_fit_their_classes(dataset: str, name: str) -> None:
    split = split_of(dataset, name)
    classes = [str(i) for i in range(SIZES[dataset])]
    assert list(split.places(classes)) == sorted(set(split.unseen))
    assert split.source
    if "/" in name:
        seen, unseen = map(int, name.split("/"))
        assert (seen + unseen, len(split.unseen)) == (SIZES[dataset], unseen)


def test_a_published_split_by_name() -> None:
    names = [action.name for action in load_descriptions("ntu120")[:60]]
    places = split_of("ntu60", "55/5").places(names)
    assert [names[i] for i in places] == [
        "Reading", "Writing", "Put on a hat/cap", "Jumping up", "Touching other person's pocket",
    ]  # fmt: skip


def test_the_shared_facts_are_all_there() -> None:
    path = SHARED / "text" / "zero_shot_splits.json"
    if not path.is_file():
        pytest.skip("../shared/data/text is not there")
    facts = json.loads(path.read_text(encoding="utf-8"))
    groups = [facts[key] for key in ("synse", "purls", "star_pku", "pgfa_one_shot")]
    lists = [places for group in (*groups, *facts["smie_random"].values()) for places in group.values()]
    ours = [sorted(split["unseen"]) for dataset in SIZES for split in TABLE[dataset].values()]
    assert sorted(map(sorted, lists)) == sorted(ours)


@cache
def classes_of(dataset: str) -> Sequence[str]:
    return read_packed(SHARED, [dataset]).classes


@pytest.mark.parametrize(("dataset", "name"), OURS)
def test_our_splits_are_drawn_as_the_file_says(dataset: str, name: str) -> None:
    if not archive_of(SHARED)(dataset).is_file():
        pytest.skip(f"../shared/data has no {dataset}")
    classes = classes_of(dataset)
    sizes, number = name.split("-")
    seen, unseen = map(int, sizes.split("/"))
    split = split_of(dataset, name)
    assert len(classes) == seen + unseen
    assert split.unseen == draw(classes, unseen, int(number))
    assert [classes[i] for i in split.places(classes)] == list(split.unseen)


def test_a_draw_depends_on_names_and_number_only() -> None:
    names = [f"class {i}" for i in range(20)]
    shuffled = np.random.default_rng(0).permutation(names).tolist()
    assert draw(names, 5, 1) == draw(shuffled, 5, 1)
    assert draw(names, 5, 1) != draw(names, 5, 2)


def test_the_phases_of_pku_share_their_splits() -> None:
    assert split_of("pku2", "46/5").unseen == split_of("pku51", "46/5").unseen == (1, 9, 20, 34, 50)
    assert split_of("pku2", "46/5").dataset == "pku2"


def test_a_set_is_left_out() -> None:
    assert split_names("a+b") == ("leave-a", "leave-b")
    assert split_of("a+b", "leave-b").places(("a: x", "a: y", "b: x")) == (2,)


@pytest.mark.parametrize(
    ("dataset", "name", "message"),
    [
        ("ntu60", "55", "ntu60: no split '55'; expected one of 55/5, 48/12, smie-1"),
        ("a+b", "55/5", "a+b: no split '55/5'; expected one of leave-a, leave-b"),
        ("kinetics", "55/5", "kinetics: no splits; expected one of kinder_gator, msrc12, ntu120, ntu60, pku1"),
        ("a+", "leave-a", r"a\+: no splits"),
    ],
)
def test_wrong_names_list_the_right_ones(dataset: str, name: str, message: str) -> None:
    with pytest.raises(SplitError, match=message.replace("+b:", r"\+b:")) as caught:
        split_of(dataset, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("unseen", "message"),
    [
        ((5,), "3 classes; split s keeps class 5"),
        (("no",), "has no class 'no'"),
        ((0, 1, 2), "keeps 3 of 3"),
        ((), "keeps 0 of 3"),
    ],
)
def test_a_split_of_other_classes(unseen: tuple[int, ...] | tuple[str, ...], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        Split("d", "s", "", unseen).places(("x", "y", "z"))
