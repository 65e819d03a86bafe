"""Who is learned from, who selects and who is tested: a dataset's clips divided by classes and by people.

Nothing of the test's people (cameras, setups) is in the parts for training and validation, and no clip of an unseen
class is anywhere but in its test.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stream.errors import PosewireError
from train.datasets.clip_set import ClipSet
from train.datasets.people import natural
from train.datasets.splits import JOIN, PREFIX, SAME_CLASSES, Split
from train.papers.parts import Division, Part

BoolArray = NDArray[np.bool_]
Int64Array = NDArray[np.int64]
PEOPLE = "people"
"""The protocol of sets without an official one."""
VALIDATED = 5
"""One person in so many is held out."""
SAMPLED = 10
"""One clip in so many is held out where people cannot be."""
log = logging.getLogger(__name__)


class DivisionError(PosewireError):
    """A dataset cannot be divided like that: one line that says why."""


class Rows:
    """Some rows of an array, which may be a memory map, copied or read only when they are indexed.

    Args:
        source: (S, ...).
        rows: (N,) increasing.
    """

    def __init__(self, source: NDArray[Any], rows: Int64Array) -> None:
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Rows as an array in memory: `index` as numpy takes it for one axis."""
        read: NDArray[Any] = self._source[self._rows[index]]
        return read

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return (len(self._rows), *self._source.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._source.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the source."""
        return self._source.dtype

    def take(self, rows: Int64Array) -> Rows:
        """Some of these rows, not copied either."""
        return Rows(self._source, self._rows[rows])


def divide(clip_set: ClipSet, split: Split, protocol: str, seed: int = 0) -> Division:
    """Divide a dataset.

    Validation holds out every fifth of the training people in natural order, at least one, of each set, and of PKU-MMD
    I, which does not name them, every fifth performance in all its views; where a class would be left without clips to
    train on, or people are unknown elsewhere, a tenth of the clips of each class, at random.

    Args:
        clip_set: the dataset.
        split: which classes are unseen. One that leaves a set out trains on the people of the other sets but two
            fifths, of whom one tests the seen classes, and tests the unseen ones on everyone of the set left out.
        protocol: "people" (every second person of a set, in natural order, trains, the others test), or an official one
            of the dataset, such as "xsub".
        seed: of the clips held out at random.

    Raises:
        SplitError: the split does not fit the dataset.
        DivisionError: the protocol does not, or leaves a part empty.
    """
    if SAME_CLASSES.get(split.dataset, split.dataset) != SAME_CLASSES.get(clip_set.name, clip_set.name):
        raise DivisionError(f"split {split.name} is of {split.dataset}; these are clips of {clip_set.name}")
    unseen = split.places(clip_set.classes)
    is_unseen = np.isin(clip_set.labels, unseen)
    if split.left_out:
        if protocol != PEOPLE:
            raise DivisionError(f"split {split.name} has the protocol {PEOPLE!r} only, not {protocol!r}")
        tested = is_unseen | _held_out(clip_set, ~is_unseen, seed)
    else:
        tested = ~_train_rows(clip_set, protocol)
    learned = ~tested & ~is_unseen
    validated = _held_out(clip_set, learned, seed)
    return _checked(
        Division(
            dataset=clip_set.name,
            split=split.name,
            classes=clip_set.classes,
            seen=tuple(i for i in range(len(clip_set.classes)) if i not in unseen),
            unseen=unseen,
            train=_part(clip_set, learned & ~validated),
            validation=_part(clip_set, validated),
            test_seen=_part(clip_set, tested & ~is_unseen),
            test_unseen=_part(clip_set, tested & is_unseen),
        )
    )


def holdout_division(division: Division, seed: int) -> Division:
    """A smaller division within the seen classes: some of them play the unseen ones.

    What depends on unseen classes, a gate for instance, is fitted on it: it holds no clip of the division's tests. As
    many classes are drawn as are unseen in the division, at most a third of the seen. Its tests are the clips for
    validation, of those classes and every second one of the others; the rest of them validate.

    Args:
        division: with clips for validation.
        seed: of the draw.

    Raises:
        DivisionError: there are too few classes or clips.
    """
    random = np.random.default_rng(seed)
    labels = division.validation.labels
    tested = [place for place in division.seen if (labels == place).any()]
    count = min(len(division.unseen), max(len(division.seen) // 3, 1))
    if len(tested) <= count:
        raise DivisionError(f"{division.dataset}: {len(tested)} seen classes for validation; expected over {count}")
    unseen = tuple(sorted(random.choice(tested, count, replace=False).tolist()))
    rest = np.flatnonzero(~np.isin(labels, unseen))
    rest = rest[np.lexsort((random.permutation(len(rest)), labels[rest]))]
    return _checked(
        replace(
            division,
            split=f"{division.split} holdout-{seed}",
            seen=tuple(place for place in division.seen if place not in unseen),
            unseen=unseen,
            train=_rows_of(division.train, np.flatnonzero(~np.isin(division.train.labels, unseen))),
            validation=_rows_of(division.validation, np.sort(rest[1::2])),
            test_seen=_rows_of(division.validation, np.sort(rest[::2])),
            test_unseen=_rows_of(division.validation, np.flatnonzero(np.isin(labels, unseen))),
        )
    )


def _train_rows(clip_set: ClipSet, protocol: str) -> BoolArray:
    if protocol == PEOPLE:
        rows = np.zeros(len(clip_set), np.bool_)
        for group in _sets(clip_set):
            people = _people(clip_set.subjects[group])
            if len(people) < 2:
                raise DivisionError(f"{clip_set.name}: {len(people)} known subjects; expected 2, to train and to test")
            rows |= group & np.isin(clip_set.subjects, people[::2])
        return rows
    if clip_set.name in ("ntu60", "ntu120"):
        from train.datasets import ntu_tree  # only those who have the data need its reader

        return ntu_tree.train_rows(clip_set, protocol)
    if clip_set.name in ("pku1", "pku2", "pku51"):
        from train.datasets import pku_tree

        return pku_tree.train_rows(clip_set, protocol)
    raise DivisionError(f"{clip_set.name}: no protocol {protocol!r}; expected {PEOPLE!r}")


def _held_out(clip_set: ClipSet, among: BoolArray, seed: int) -> BoolArray:
    """Clips (N,) of a fifth of the people of each set who are in `among`, or else a tenth of those clips."""
    who = _who(clip_set)
    held = np.zeros(len(clip_set), np.bool_)
    for group in _sets(clip_set):
        mine = group & among
        people = _people(who[mine])
        held_people = people[VALIDATED // 2 :: VALIDATED] or people[-1:]
        own = mine & np.isin(who, held_people)
        if own.any() and set(clip_set.labels[mine & ~own]) == set(clip_set.labels[mine]):
            held |= own
        elif mine.any():
            log.warning("%s: too few people to hold any out; holding out clips at random", clip_set.name)
            held[sample_of_each_class(clip_set.labels, mine, seed)] = True
    return held


def sample_of_each_class(labels: Int64Array, among: BoolArray, seed: int) -> Int64Array:
    """Rows of a tenth of the clips of each class, at least one where there are two."""
    random = np.random.default_rng(seed)
    drawn = [np.empty(0, np.int64)]
    for place in np.unique(labels[among]):
        rows = np.flatnonzero(among & (labels == place))
        count = max(len(rows) // SAMPLED, min(len(rows) - 1, 1))
        drawn.append(random.choice(rows, count, replace=False))
    return np.concatenate(drawn)


def _sets(clip_set: ClipSet) -> list[BoolArray]:
    """The clips (N,) of each set that the dataset is made of."""
    names = clip_set.name.split(JOIN)
    if len(names) == 1:
        return [np.ones(len(clip_set), np.bool_)]
    set_of = np.array([name.split(PREFIX)[0] for name in clip_set.classes])[clip_set.labels]
    return [set_of == name for name in names]


def _who(clip_set: ClipSet) -> NDArray[np.str_]:
    """Whose clips are held out together, (N,): people, or performances where people are not named but those are."""
    if clip_set.name == "pku1":
        from train.datasets import pku_tree

        return pku_tree.performances(clip_set)
    return clip_set.subjects


def _people(names: NDArray[np.str_]) -> list[str]:
    """Those who are known among the names, in natural order."""
    return sorted((str(name) for name in np.unique(names) if name), key=natural)


def _part(clip_set: ClipSet, rows: BoolArray) -> Part:
    # All clips of NTU RGB+D 120 are gigabytes: they are not copied.
    taken = np.flatnonzero(rows)
    return Part(cast("NDArray[Any]", Rows(clip_set.clips, taken)), clip_set.labels[taken])


def _rows_of(part: Part, rows: Int64Array) -> Part:
    inputs: Any = part.inputs
    taken = inputs.take(rows) if isinstance(inputs, Rows) else inputs[rows]
    return Part(cast("NDArray[Any]", taken), part.labels[rows])


def _checked(division: Division) -> Division:
    for name in ("train", "validation", "test_unseen"):
        if not len(getattr(division, name)):
            raise DivisionError(f"{division.dataset}, split {division.split}: no clips for {name}; expected more clips")
    return division
