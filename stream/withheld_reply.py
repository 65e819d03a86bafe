"""The reply that tells which starts of events were withheld, and why."""

from __future__ import annotations

from collections import Counter, deque
from typing import Annotated, Literal

from msgspec import Meta, Struct

from stream.structs import Count, Id, Label, Name, Seconds, Share, Track

MAX_WITHHELD = 100
"""Withheld starts of which the publisher keeps the particulars."""


class WithheldStart(Struct, frozen=True):
    """A start that was withheld."""

    name: Annotated[Name, Meta(description="short name of the prompt or rule")]
    source: Name
    track: Annotated[Track, Meta(description="person; -1: the scene")]
    t: Annotated[Seconds, Meta(description="capture time at which it would have been told, s; min_duration: was over")]
    score: Annotated[Share, Meta(description="probability then; min_duration: the highest")]
    reason: Annotated[Label, Meta(description="margin, coverage, grace ...; see docs/events.md")]


class WithheldReply(Struct, frozen=True):
    """Reply to withheld: why nothing was raised where something might have been."""

    v: Literal[1]
    type: Literal["withheld"]
    id: Id
    node: Name
    epoch: Name
    starts: Annotated[list[WithheldStart], Meta(max_length=MAX_WITHHELD, description="the last ones, oldest first")]
    counts: Annotated[
        dict[Name, dict[Label, Count]], Meta(description="of all since the publisher started, by name and reason")
    ]


class WithheldShelf:
    """Counts withheld starts and keeps the last ones."""

    def __init__(self) -> None:
        self._starts: deque[WithheldStart] = deque(maxlen=MAX_WITHHELD)
        self._counts: dict[str, Counter[str]] = {}

    def put(self, one: WithheldStart) -> None:
        """Count one."""
        self._starts.append(one)
        self._counts.setdefault(one.name, Counter())[one.reason] += 1

    def starts(self) -> list[WithheldStart]:
        """The last ones, oldest first."""
        return list(self._starts)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many, by name and reason."""
        return {name: dict(reasons) for name, reasons in self._counts.items()}
