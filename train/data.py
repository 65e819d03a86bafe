"""The training sets split by people, and the windows to judge by."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path

from train.datasets.labels import set_names
from train.datasets.people import Split, split_people
from train.datasets.readers import DataMissing, read_set
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


def load_data(folder: Path, sets: Items[str] | None = None) -> Data:
    """Read and split the named sets.

    Raises:
        DataMissing: an archive is not there, or there are too few people to hold some out.
    """
    parts: dict[Split, list[Sequence]] = {split: [] for split in Split}
    people: dict[str, dict[str, list[str]]] = {}
    for name in set_names() if sets is None else sets:
        sequences = read_set(folder, name)
        split = split_people(name, [sequence.person for sequence in sequences])
        people[name] = {part.value: [p for p, s in split.items() if s is part] for part in Split if part != Split.TRAIN}
        for sequence in sequences:
            parts[split[sequence.person]].append(sequence)
    for part in (Split.TRAIN, Split.VALIDATION):
        if not parts[part]:
            found = ", ".join(sorted({s.person for held in parts.values() for s in held})) or "nobody"
            raise DataMissing(
                f"{folder}: no recordings of people for {part.value}; expected three people or more, found {found}"
            )
    return Data(parts[Split.TRAIN], parts[Split.VALIDATION], parts[Split.TEST], people)
