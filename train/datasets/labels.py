"""What the labels of the training sets mean: `labels.toml` read into actions."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
SETS = ("kinder_gator", "utd_mhad", "msr_action3d", "precog16", "bandai_namco", "msrc12")
"""The training sets; the demo's recordings (labanotation) are in none of them."""
STAND, WALK, ELSE = "stand", "walk", "something else"
BACKGROUND = (STAND, WALK, ELSE)
"""Actions that are no news to who watches."""


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


@cache
def load_actions() -> tuple[Action, ...]:
    """The actions in the order of `labels.toml`; an action's place is its index in training."""
    tables = tomllib.loads((FOLDER / "labels.toml").read_text(encoding="utf-8"))["action"]
    return tuple(
        Action(
            name=table["name"],
            texts=tuple(table["texts"]),
            mirrors=table.get("mirrors", True),
            still=table.get("still", False),
            labels=tuple((name, label) for name in SETS for label in table.get(name, ())),
        )
        for table in tables
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
