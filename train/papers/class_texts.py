"""The texts of a dataset's classes, of the kind that an experiment uses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from stream.errors import PosewireError
from train.datasets.clip_set import ClipSet
from train.datasets.described import FOLDER, Description, Kind, Vocabulary, load_descriptions, read_descriptions
from train.datasets.labels import action_of_label, load_actions
from train.datasets.splits import JOIN, PREFIX
from train.papers.parts import Division

VOCABULARIES: Mapping[str, Vocabulary] = {
    "ntu60": "ntu120", "ntu120": "ntu120", "pku51": "pku51", "pku1": "pku51", "pku2": "pku51",
}  # fmt: skip
"""The descriptions that the classes of a published dataset have."""
UNCLAIMED = FOLDER / "unclaimed.toml"
"""Descriptions of labels that no action claims, by "set: label"; none of them is known to the streaming model."""


class TextError(PosewireError):
    """A class has no text of the kind: one line that names it."""


def class_texts(dataset: ClipSet | Division, kind: Kind) -> list[tuple[str, ...]]:
    """Texts of each class.

    Classes of NTU RGB+D and PKU-MMD have their own descriptions. Elsewhere a class's name is its label, and its other
    texts describe the action that the label means, each after the label, so that labels of one action stay apart. A
    label that means no action may have descriptions of its own (`UNCLAIMED`).

    Args:
        dataset: only its name and its classes are read.
        kind: see `train.datasets.described.Description.kinds`.

    Returns:
        (C,) in the order of the classes.

    Raises:
        TextError: nobody has described a class.
    """
    own = dataset.dataset if isinstance(dataset, Division) else dataset.name
    if (vocabulary := VOCABULARIES.get(own)) is not None:
        described = {description.name: description for description in load_descriptions(vocabulary)}
        return [_kinds(described.get(name), own, name)[kind] for name in dataset.classes]
    return [_of_label(*_set_and_label(own, name), kind) for name in dataset.classes]


def _of_label(set_name: str, label: str, kind: Kind) -> tuple[str, ...]:
    if kind == "name":
        return (label,)
    action = action_of_label().get((set_name, label))
    if action is None:
        description = _unclaimed().get(f"{set_name}{PREFIX}{label}")
    else:
        description = {one.name: one for one in load_descriptions("own")}.get(load_actions()[action].name)
    return tuple(f"{label}: {text}" for text in _kinds(description, set_name, label)[kind])


@cache
def _unclaimed() -> Mapping[str, Description]:
    return {description.name: description for description in read_descriptions(UNCLAIMED)}


def _kinds(description: Description | None, set_name: str, name: str) -> Mapping[Kind, tuple[str, ...]]:
    if description is None:
        raise TextError(f"{set_name}: nobody has described the class {name!r}; expected the kind of text 'name'")
    return description.kinds


def _set_and_label(dataset: str, name: str) -> tuple[str, str]:
    if JOIN not in dataset:
        return dataset, name
    set_name, _, label = name.partition(PREFIX)
    return set_name, label
