"""Who may teach what is normal for whom: nobody's own clips are in the normal model that judges them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
MOST = 24
"""Folds; more people than that share them."""
BY_CLIP = 5
"""Folds over clips, where there is one person only."""
_PAIR = re.compile(r"([A-Za-z]*)(\d+)[^A-Za-z0-9]*([A-Za-z]*)(\d+)")


@dataclass(frozen=True, slots=True)
class Fold:
    """Who is judged together.

    Attributes:
        judged: (N,) bool; each clip is judged in one fold.
        others: (N,) bool, the clips that share no person with them.
    """

    judged: BoolArray
    others: BoolArray


def people_of(subject: str, bodies: int) -> frozenset[str]:
    """Who is meant by the subject of a clip: where two people are seen in it, "s01s02" and "3-7" are two of them."""
    pair = _PAIR.fullmatch(subject) if bodies > 1 else None
    if pair is None or pair[1].lower() != pair[3].lower():
        return frozenset((subject,))
    if not pair[1] and pair[0].isdigit():
        return frozenset((subject,))  # a number of several digits is one number
    return frozenset((pair[2], pair[4]))


def folds_of(subjects: Sequence[str], bodies: int, needed: BoolArray) -> tuple[list[Fold], str]:
    """Divide clips so that others teach what is normal for each.

    Args:
        subjects: (N,) of the clips.
        bodies: M, the people whom each clip has room for.
        needed: (N,) the clips that teach; every fold must be left with some.

    Returns:
        The folds, and "people", or "clips" where all are of one person, or every fold by people would be left with
        nothing to learn from.

    Raises:
        ValueError: fewer than two clips teach.
    """
    if int(needed.sum()) < 2:
        raise ValueError(f"{int(needed.sum())} clips of what is normal; expected two or more")
    names = sorted(set(subjects))
    for split in (True, False):
        people = [people_of(name, bodies if split else 1) for name in names]
        folds = _by_people(subjects, names, people)
        if len(names) > 1 and all((fold.others & needed).any() for fold in folds):
            return folds, "people"
    number = np.zeros(len(subjects), np.int64)
    for group in (needed, ~needed):
        number[group] = np.arange(int(group.sum())) % min(BY_CLIP, int(needed.sum()))
    return [Fold(number == k, number != k) for k in range(int(number.max()) + 1)], "clips"


def _by_people(subjects: Sequence[str], names: Sequence[str], people: Sequence[frozenset[str]]) -> list[Fold]:
    own = np.array([names.index(subject) for subject in subjects])
    count = min(len(names), MOST)
    folds = []
    for k in range(count):
        group = [i for i in range(len(names)) if i % count == k]
        there = frozenset().union(*(people[i] for i in group))
        apart = [i for i in range(len(names)) if not people[i] & there]
        folds.append(Fold(np.isin(own, group), np.isin(own, apart)))
    return folds
