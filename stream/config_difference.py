"""In what two configurations differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stream.config import Config


def differing(one: Config, other: Config) -> list[str]:
    """Paths of the keys in which two configurations differ; no values, as they may be secret."""
    return list(_differing(one.model_dump(mode="json"), other.model_dump(mode="json"), ""))


def _differing(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _differing(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            yield from _differing(first, second, f"{path}[{index}]")
    elif one != other:
        yield path
