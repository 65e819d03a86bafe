"""What stands for each label of an archive: the label itself as a text, or descriptions from a file."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from stream.errors import PosewireError

Texts = dict[str, tuple[str, ...]]
"""Descriptions of each label, one or more."""
LONGEST = 2000
"""Characters of a description."""
LARGEST = 4 * 2**20
"""Bytes of a file of descriptions."""
BACKGROUND = frozenset(("none", "background", "nothing", "other"))
"""Labels (in small letters) that name no action."""


class PromptsError(PosewireError):
    """A file of prompts does not fit: one line that says what is wrong and what was expected."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")


def is_background(label: str) -> bool:
    """Whether a label says that nothing in particular is done."""
    return label.strip().lower() in BACKGROUND


def read_texts(path: Path | None, labels: Collection[str], others: Collection[str] = ()) -> Texts:
    """Descriptions of labels, in their alphabetical order.

    Args:
        path: JSON object of label to text, or to a list of texts; None takes the labels as they are, with spaces for
            underscores.
        labels: of the archive.
        others: labels that may have a text, which is ignored.

    Raises:
        PromptsError: the file is no such object, lacks a label or has one that the archive has not.
    """
    if path is None:
        return {label: (label.replace("_", " ").strip() or "nothing",) for label in sorted(labels)}
    try:
        if path.stat().st_size > LARGEST:
            raise PromptsError(path, f"{path.stat().st_size} bytes; expected at most {LARGEST}")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise PromptsError(path, f"cannot be read ({error.strerror}); expected a JSON file of prompts") from error
    except (ValueError, RecursionError) as error:
        raise PromptsError(path, 'not JSON; expected an object such as {"label": "a person does this"}') from error
    if not isinstance(found, dict):
        raise PromptsError(path, 'not an object; expected one such as {"label": "a person does this"}')
    if lacking := [label for label in sorted(labels) if label not in found]:
        raise PromptsError(path, f"lacks {_named(lacking)}; expected a text for each label of the data")
    if unknown := sorted(found.keys() - {*labels, *others}):
        raise PromptsError(path, f"has {_named(unknown)}; the data's labels are {_named(sorted(labels))}")
    return {label: _texts(path, label, found[label]) for label in sorted(labels)}


def _texts(path: Path, label: str, value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise PromptsError(path, f"{label[:80]!r}: expected a text, or a list of texts")
    if max(map(len, texts)) > LONGEST:
        raise PromptsError(path, f"{label[:80]!r}: a text of {max(map(len, texts))} characters; at most {LONGEST}")
    return tuple(dict.fromkeys(texts))


def _named(labels: Sequence[str]) -> str:
    some = ", ".join(repr(label[:80]) for label in labels[:5])
    return some + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
