"""What the actions of a vocabulary look like, in words: `descriptions/*.toml` read into texts of several kinds.

The kinds follow PGFA (METHODS.md, section 2: name, sentence, motion, parts). Which of them helps is measured; none is
fused here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Vocabulary = Literal["ntu120", "own", "pku51"]
FOLDER = Path(__file__).parent / "descriptions"
PARTS = ("head", "arms", "torso", "legs")
"""Parts of the body that have a line each."""
SENTENCES = 3
"""Sentences of each action."""
PUBLISHED: Mapping[str, tuple[Vocabulary, int]] = {
    "ntu60": ("ntu120", 60), "ntu120": ("ntu120", 120), "pku1": ("pku51", 51), "pku2": ("pku51", 51),
}  # fmt: skip
"""Whose first classes those of a published dataset are, and how many."""
Kind = Literal["name", "sentence", "motion", "parts"]


@dataclass(frozen=True)
class Description:
    """One action in words.

    Attributes:
        name: its name in the vocabulary.
        sentences: as people would type it; the first is the plainest.
        motion: how the skeleton moves.
        parts: one line for each of `PARTS`, in their order.
    """

    name: str
    sentences: tuple[str, ...]
    motion: str
    parts: dict[str, str]

    @property
    def kinds(self) -> Mapping[Kind, tuple[str, ...]]:
        """Texts of each kind."""
        return {
            "name": (self.name.lower(),),
            "sentence": self.sentences,
            "motion": (self.motion,),
            "parts": tuple(self.parts.values()),
        }


@cache
def load_descriptions(vocabulary: Vocabulary) -> tuple[Description, ...]:
    """Descriptions in the order of the vocabulary.

    Args:
        vocabulary: "ntu120" (the order of `classes` in ntu120.json), "own" (of labels.toml) or "pku51" (alphabetical).

    Raises:
        ValueError: an action lacks a kind, or its texts are of the wrong number.
    """
    return read_descriptions(FOLDER / f"{vocabulary}.toml")


def class_names(dataset: str) -> tuple[str, ...]:
    """Classes of a published dataset, one of `PUBLISHED`, in its order."""
    vocabulary, count = PUBLISHED[dataset]
    return tuple(one.name for one in load_descriptions(vocabulary)[:count])


def read_descriptions(path: Path) -> tuple[Description, ...]:
    """Descriptions of one file, in its order.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such TOML, an action lacks a kind, or its texts are of the wrong number.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("action")
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    if not isinstance(tables, list) or not tables:
        raise ValueError(f"{path}: no [[action]], expected one for each class")
    return tuple(_description(table, f"{path}: action {place}") for place, table in enumerate(tables, start=1))


def _description(table: object, where: str) -> Description:
    if not isinstance(table, dict):
        raise ValueError(f"{where}: not a table, expected name, sentences, motion and parts")
    name = _text(table.get("name"), f"{where}: name")
    where = f"{where} ({name})"
    sentences = table.get("sentences")
    if not isinstance(sentences, list) or len(sentences) != SENTENCES:
        raise ValueError(f"{where}: sentences: expected {SENTENCES} texts")
    parts = table.get("parts")
    if not isinstance(parts, dict) or set(parts) != set(PARTS):
        raise ValueError(f"{where}: parts: expected one line for each of {', '.join(PARTS)}")
    return Description(
        name=name,
        sentences=tuple(_text(sentence, f"{where}: sentences") for sentence in sentences),
        motion=_text(table.get("motion"), f"{where}: motion"),
        parts={part: _text(parts[part], f"{where}: parts: {part}") for part in PARTS},
    )


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: expected a text that is not empty")
    return value
