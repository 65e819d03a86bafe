"""Nobody teaches what is normal for themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.anomaly.folds import MOST, folds_of, people_of


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.booleans()), min_size=2, max_size=40))
def test_everyone_is_judged_once_and_by_others(rows: list[tuple[str, bool]]) -> None:
    subjects, normal = [row[0] for row in rows], np.array([row[1] for row in rows])
    if normal.sum() < 2:
        with pytest.raises(ValueError, match="two or more"):
            folds_of(subjects, 1, normal)
        return
    folds, by = folds_of(subjects, 1, normal)
    assert np.sum([fold.judged for fold in folds], axis=0).tolist() == [1] * len(rows)
    for fold in folds:
        assert (fold.others & normal).any()
        assert not (fold.judged & fold.others).any()
        if by == "people":
            there = {name for name, judged in zip(subjects, fold.judged, strict=True) if judged}
            assert not there & {name for name, other in zip(subjects, fold.others, strict=True) if other}


def test_pairs_share_no_person_with_those_who_teach() -> None:
    subjects = ["s01s02", "s02s01", "s03s04", "s01s03", "s04s05"]
    folds, by = folds_of(subjects, 2, np.ones(5, bool))
    assert by == "people"
    others = {
        name: fold.others.tolist() for fold in folds for name, own in zip(subjects, fold.judged, strict=True) if own
    }
    assert others["s01s02"] == [False, False, True, False, True]
    assert others["s04s05"] == [True, True, False, True, False]


def test_names_of_pairs_are_believed_only_where_two_are_seen() -> None:
    assert people_of("s01s02", 2) == {"01", "02"}
    assert people_of("3-7", 2) == {"3", "7"}
    assert people_of("s01s02", 1) == {"s01s02"}
    for name in ("adult577", "1234", "anna bob", "a1b2", ""):
        assert people_of(name, 2) == {name}


def test_pairs_who_all_know_each_other_are_divided_by_pair() -> None:
    folds, by = folds_of(["s1s2", "s2s3", "s1s3"], 2, np.ones(3, bool))
    assert (len(folds), by) == (3, "people")


def test_one_person_is_divided_by_clip_and_many_share_folds() -> None:
    folds, by = folds_of(["x"] * 11, 1, np.arange(11) > 2)
    assert (len(folds), by) == (5, "clips")
    many, by = folds_of([f"p{i}" for i in range(100)], 1, np.ones(100, bool))
    assert (len(many), by) == (MOST, "people")
