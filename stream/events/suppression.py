"""Starts that were withheld: how many, of what and why."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum

RECENT = 100
"""Withheld starts of which the particulars are kept."""


class Withheld(StrEnum):
    """Why a start was withheld; a permit may have further reasons."""

    MARGIN = "margin"
    """A background text described it nearly as well, or better."""
    COVERAGE = "coverage"
    """Windows that would have decided it saw too little to be scored."""
    GRACE = "grace"
    """Someone had just appeared."""
    COOLDOWN = "cooldown"
    """The same had just ended on the same person."""
    MAX_DURATION = "max_duration"
    """An event of it was ended for its length, and it has not been below `exit` since."""
    MIN_DURATION = "min_duration"
    """It was over sooner than `min_s`."""
    OUTSIDE_ZONE = "outside_zone"
    INSIDE_ZONE = "inside_zone"
    OUTSIDE_SCHEDULE = "outside_schedule"


@dataclass(frozen=True, slots=True)
class Suppression:
    """One start that was withheld.

    Attributes:
        name: of the prompt or rule.
        source, track: whose.
        t: capture time of the window at which it would have been told, in ns; with MIN_DURATION that at which it was
            over.
        reason: a `Withheld`, or what a permit said.
        score: at that window, or with MIN_DURATION the highest.
    """

    name: str
    source: str
    track: int
    t: int
    reason: str
    score: float


class Suppressions:
    """Counts them all and keeps the newest.

    Attributes:
        by_rule: how many, by the name of the prompt or rule and the reason.
        total: how many.
        recent: the last `RECENT` of them, oldest first.
    """

    def __init__(self) -> None:
        self.by_rule: Counter[tuple[str, str]] = Counter()
        self.total = 0
        self.recent: deque[Suppression] = deque(maxlen=RECENT)

    def add(self, one: Suppression) -> None:
        """Count one."""
        self.by_rule[one.name, one.reason] += 1
        self.total += 1
        self.recent.append(one)

    def since(self, total: int) -> list[Suppression]:
        """Those that came after the first `total`, oldest first; at most `RECENT`."""
        return list(self.recent)[-(self.total - total) :] if total < self.total else []

    def by_reason(self) -> Counter[str]:
        """How many, by reason."""
        total: Counter[str] = Counter()
        for (_, reason), count in self.by_rule.items():
            total[reason] += count
        return total
