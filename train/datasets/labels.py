"""What the labels of the training sets mean: `labels.toml` read into actions."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

FOLDER = Path(__file__).parent
SETS = ("kinder_gator", "utd_mhad", "msr_action3d", "precog16", "bandai_namco", "msrc12")
"""The training sets; the demo's recordings (labanotation) are in none of them."""
STAND, WALK, ELSE = "stand", "walk", "something else"
BACKGROUND = (STAND, WALK, ELSE)
"""Actions that are no news to who watches."""
FALL, LIE, RISE = SIMULATED = ("fall", "lie on the floor", "get up from the floor")
"""Actions that no set shows (see `train.datasets.falls`)."""
UNTRIMMED = ("precog16", "msrc12")
"""Sets of continuous recordings."""
FIELDS = frozenset(("name", "texts", "mirrors", "still"))
"""What an action has in the labels' file beside its labels in the sets."""


class LabelError(Exception):
    """What labels mean cannot be read."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    Attributes:
        name: short name, unique.
        texts: sentences that describe it; the first is the bank's.
        mirrors: whether a mirror image shows the same action.
        still: a posture: present without motion.
        labels: (set, label) pairs that mean this action.
    """

    name: str
    texts: tuple[str, ...]
    mirrors: bool
    still: bool
    labels: tuple[tuple[str, str], ...]


_vocabulary: list[Path | None] = [None]
"""The data folder whose labels are meant; None for the labels of the package."""


def use_labels_of(data: Path) -> None:
    """Take the labels of a data folder from now on, in this process.

    They are those of its own `labels.toml`; without one, and without any of the public sets that the package's
    `labels.toml` is about, every label of the archives in its `clips/` is an action of its own name.
    """
    own = (data / "labels.toml").is_file() or not any(path.is_file() for path in map(archive_of(data), SETS))
    if _vocabulary[0] != (data if own else None):
        _vocabulary[0] = data if own else None
        load_actions.cache_clear()
        action_of_label.cache_clear()


def use_packaged_labels() -> None:
    """Take the package's labels again."""
    _vocabulary[0] = None
    load_actions.cache_clear()
    action_of_label.cache_clear()


def archive_of(data: Path) -> Callable[[str], Path]:
    """Where the archive of a set, by its name, is in a data folder."""

    def path(name: str) -> Path:
        untrimmed = name in UNTRIMMED or not (data / "clips" / f"{name}.npz").is_file()
        return data / ("untrimmed" if untrimmed else "clips") / f"{name}.npz"

    return path


def set_names() -> tuple[str, ...]:
    """Names of the sets that the labels are of."""
    if _vocabulary[0] is None:
        return SETS
    return tuple(sorted({name for action in load_actions() for name, _ in action.labels}))


@cache
def load_actions() -> tuple[Action, ...]:
    """The actions in the order of the labels' file; an action's place is its index in training.

    Raises:
        LabelError: the file says nothing that can be used.
    """
    packaged = _tables(FOLDER / "labels.toml")
    data = _vocabulary[0]
    if data is None:
        return tuple(_action(table, SETS) for table in packaged)
    path = data / "labels.toml"
    tables = _tables(path) if path.is_file() else _tables_of_archives(data)
    names = {table["name"] for table in tables}
    # What is no news, and what is simulated, is part of every vocabulary; their labels of public sets are not.
    common = [{key: table[key] for key in table.keys() & FIELDS} for table in packaged]
    tables += [table for table in common if table["name"] in (*BACKGROUND, *SIMULATED) and table["name"] not in names]
    sets = sorted({key for table in tables for key in table} - FIELDS)
    return tuple(_action(table, sets) for table in tables)


def _tables(path: Path) -> list[dict[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("action", [])
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: cannot be read ({error}); expected [[action]] tables") from error
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise LabelError(f"{path}: expected [[action]] tables")
    for number, table in enumerate(tables, 1):
        if not isinstance(table.get("name"), str) or not _are_texts(table.get("texts")) or not table["texts"]:
            raise LabelError(f"{path}: action {number}: expected a name and a list of texts")
        for key, value in table.items():
            if key in ("mirrors", "still") and not isinstance(value, bool):
                raise LabelError(f"{path}: action {number}: {key} is {value!r}; expected true or false")
            if key not in FIELDS and not _are_texts(value):
                raise LabelError(f"{path}: action {number}: {key} is {value!r}; expected a list of labels of that set")
    if len({table["name"] for table in tables}) < len(tables) or not tables:
        raise LabelError(f"{path}: expected [[action]] tables of different names")
    return list(tables)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _tables_of_archives(data: Path) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((data / "clips").glob("*.npz")):
        try:
            with np.load(path, allow_pickle=False) as archive:
                labels = sorted({str(label) for label in archive["label"]})
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise LabelError(f"{path}: no archive of labelled clips ({error})") from error
        for label in labels:
            name = label.replace("_", " ")
            found.setdefault(name, {"name": name, "texts": [name]}).setdefault(path.stem, []).append(label)
    if not found:
        raise LabelError(f"{data / 'clips'}: no archives (*.npz); --data must be a folder that holds clips/")
    return list(found.values())


def _action(table: dict[str, Any], sets: Sequence[str]) -> Action:
    return Action(
        name=table["name"],
        texts=tuple(table["texts"]),
        mirrors=table.get("mirrors", True),
        still=table.get("still", False),
        labels=tuple((name, label) for name in sets for label in table.get(name, ())),
    )


@cache
def action_of_label() -> dict[tuple[str, str], int]:
    """Index of the action that each (set, label) means; labels in no action are not used."""
    return {label: index for index, action in enumerate(load_actions()) for label in action.labels}


def index_of(name: str) -> int:
    """Index of the action called `name`.

    Raises:
        KeyError: there is none.
    """
    return {action.name: index for index, action in enumerate(load_actions())}[name]


def default_prompts() -> tuple[str, ...]:
    """Texts whose vectors are shipped with the checkpoint, so that they need no text model."""
    lines = (FOLDER / "default_prompts.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())
