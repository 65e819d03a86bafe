"""The classes that experiments keep unseen: all published splits and our own, from one file, `splits.json`.

Published splits name classes by their place in the dataset's order, from 0, as the papers do; ours name them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import PosewireError

FILE = Path(__file__).parent / "splits.json"
LEAVE = "leave-"
"""What names a split of several sets that leaves one of them out: "leave-utd_mhad"."""
JOIN = "+"
"""Between the names of sets that are one dataset: "utd_mhad+msrc12"."""
PREFIX = ": "
"""Between a set's name and a label or person of it, where several sets are one dataset."""
SAME_CLASSES = {"pku1": "pku51", "pku2": "pku51"}
"""Datasets that are split as another."""


class SplitError(PosewireError):
    """There is no such split, or it does not fit the classes: one line that lists what there is."""


@dataclass(frozen=True, slots=True)
class Split:
    """Classes that nothing is learned from.

    Attributes:
        dataset, name: as in `split_of`.
        source: who published it, or how it was drawn.
        unseen: the unseen classes, by their place in the dataset's order or by name; empty where `left_out` says it.
        left_out: the set whose classes are all unseen, or "".
    """

    dataset: str
    name: str
    source: str
    unseen: tuple[int, ...] | tuple[str, ...]
    left_out: str = ""

    def places(self, classes: Sequence[str]) -> tuple[int, ...]:
        """Indices of the unseen among the dataset's classes, increasing.

        Raises:
            SplitError: these are not the classes that the split is of, or it leaves none seen.
        """
        found = set()
        if self.left_out:
            found = {i for i, name in enumerate(classes) if name.startswith(self.left_out + PREFIX)}
        for entry in self.unseen:
            if isinstance(entry, str) and entry not in classes:
                raise SplitError(f"{self.dataset}: has no class {entry!r}, which split {self.name} keeps unseen")
            if isinstance(entry, int) and entry >= len(classes):
                raise SplitError(
                    f"{self.dataset}: {len(classes)} classes; split {self.name} keeps class {entry} (from 0) unseen"
                )
            found.add(classes.index(entry) if isinstance(entry, str) else entry)
        if not found or len(found) == len(classes):
            raise SplitError(
                f"{self.dataset}: split {self.name} keeps {len(found)} of {len(classes)} classes unseen; "
                "expected some, and not all"
            )
        return tuple(sorted(found))


def split_of(dataset: str, name: str) -> Split:
    """The split of a dataset by its name, such as "55/5" of "ntu60".

    Args:
        dataset: "ntu60", "utd_mhad" ...; sets joined with "+" have the splits "leave-SET" for each of their sets.
        name: as `split_names` lists them.

    Raises:
        SplitError: the dataset has no such split, or no splits at all; the line lists the right names.
    """
    if name not in (names := split_names(dataset)):
        raise SplitError(f"{dataset}: no split {name!r}; expected one of {', '.join(names)}")
    if name.startswith(LEAVE):
        left_out = name.removeprefix(LEAVE)
        return Split(dataset, name, f"every class of {left_out}", (), left_out)
    entry = _load()[SAME_CLASSES.get(dataset, dataset)][name]
    return Split(dataset, name, entry["source"], tuple(entry["unseen"]))


def split_names(dataset: str) -> tuple[str, ...]:
    """Names of the splits of a dataset.

    Raises:
        SplitError: it has none; the line lists the datasets that have.
    """
    sets = dataset.split(JOIN)
    if len(sets) > 1 and all(sets):
        return tuple(LEAVE + name for name in sets)
    table = _load().get(SAME_CLASSES.get(dataset, dataset))
    if table is None:
        known = sorted({*_load(), *SAME_CLASSES})
        raise SplitError(f"{dataset}: no splits; expected one of {', '.join(known)}, or several sets joined with '+'")
    return tuple(table)


def draw(classes: Sequence[str], unseen: int, number: int) -> tuple[str, ...]:
    """Draw unseen classes at random, as our own splits were drawn.

    Args:
        classes: names of all classes; their order does not matter.
        unseen: how many to draw.
        number: of the draw; the seed of numpy's default generator.

    Returns:
        Their names, sorted. numpy may change what it draws, which is why the file keeps them.
    """
    chosen = np.random.default_rng(number).choice(len(classes), unseen, replace=False)
    names = sorted(classes)
    return tuple(names[i] for i in sorted(chosen))


@cache
def _load() -> Mapping[str, Mapping[str, Any]]:
    table: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return table
