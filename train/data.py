"""The training sets split by people, and the windows to judge by."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path

from train.datasets.labels import SETS
from train.datasets.people import Split, split_people
from train.datasets.readers import read_set
from train.datasets.sequences import Sequence


@dataclass(frozen=True, slots=True)
class Data:
    """Sequences by the use of their people, and who these are.

    Attributes:
        train, validation, test: sequences.
        people: by set, the people held out for validation and test.
    """

    train: list[Sequence]
    validation: list[Sequence]
    test: list[Sequence]
    people: dict[str, dict[str, list[str]]]


def load_data(folder: Path, sets: Items[str] = SETS) -> Data:
    """Read and split the named sets.

    Raises:
        DataMissing: an archive is not there.
    """
    parts: dict[Split, list[Sequence]] = {split: [] for split in Split}
    people: dict[str, dict[str, list[str]]] = {}
    for name in sets:
        sequences = read_set(folder, name)
        split = split_people(name, [sequence.person for sequence in sequences])
        people[name] = {part.value: [p for p, s in split.items() if s is part] for part in Split if part != Split.TRAIN}
        for sequence in sequences:
            parts[split[sequence.person]].append(sequence)
    return Data(parts[Split.TRAIN], parts[Split.VALIDATION], parts[Split.TEST], people)
