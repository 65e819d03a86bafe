"""What may forbid an event although the scores speak for it: zones and schedules."""

from __future__ import annotations

from typing import Protocol

from stream.events.suppression import Withheld
from stream.types import EndReason


class Permit(Protocol):
    """Says where and when a rule applies."""

    def check(self, name: str, source: str, track: int, t: int) -> str | None:
        """Whether a window counts; asked of each window at or above `exit`, in the order of their times.

        Args:
            name: of the prompt or rule.
            source, track: whose window; `NO_TRACK` is the scene's.
            t: capture time of the window in ns; frames up to and including the one that completed it were seen.

        Returns:
            None if it does, or else in one short word why not: a `Withheld` where one fits.
        """
        ...


_ENDS: dict[str, EndReason] = {
    Withheld.OUTSIDE_ZONE: EndReason.LEFT_ZONE,
    Withheld.INSIDE_ZONE: EndReason.ENTERED_ZONE,
    Withheld.OUTSIDE_SCHEDULE: EndReason.OUTSIDE_SCHEDULE,
}


def end_reason(refusal: str) -> EndReason:
    """Why an event ended that a permit refused for too long."""
    return _ENDS.get(refusal, EndReason.NOT_PERMITTED)
