"""What calibration finds for each prompt: other thresholds, or why it keeps its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from stream.calibration import CANDIDATES, Calibration, Outcome, Thresholds, upper_rate
from stream.prompts import Prompt


class Status(StrEnum):
    """What became of a prompt."""

    CALIBRATED = "calibrated"
    QUIET = "quiet"
    """Even the lowest candidate keeps the wish: these recordings do not tell where the threshold should lie."""
    UNREACHABLE = "unreachable"
    """Even the highest candidate does not keep it."""
    FIXED = "fixed"
    """Its thresholds are not to be set."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found for one prompt.

    Attributes:
        prompt: the prompt, with the thresholds that it had.
        status: what became of it.
        before: its thresholds until now.
        thresholds: the ones to be had, those of before where it is not calibrated.
        outcome: what it raises at these.
        positives: how many recordings of what it means there were.
        hours: of what is normal.
    """

    prompt: Prompt
    status: Status
    before: Thresholds
    thresholds: Thresholds
    outcome: Outcome
    positives: int
    hours: float

    @property
    def changed(self) -> bool:
        """Whether its thresholds are to be others than before."""
        return self.status is Status.CALIBRATED

    @property
    def per_hour(self) -> float:
        """False alarms per hour that were counted."""
        return self.outcome.false_alarms / self.hours if self.hours else 0.0

    @property
    def at_most(self) -> float:
        """And of how many one may be 95 % confident that there are no more."""
        return upper_rate(self.outcome.false_alarms, self.hours)

    @property
    def remark(self) -> str:
        """What a person should know of it, in one line."""
        if self.status is Status.QUIET:
            return "at no threshold more than wished: keeps its own"
        if self.status is Status.FIXED:
            return "known by examples: has the thresholds of [events]"
        counted = f"{self.outcome.false_alarms} false alarms in {self.hours:.3g} h"
        if self.status is Status.UNREACHABLE:
            return f"no threshold keeps the wish ({counted} at its own, which it keeps): reword it, or bound its zone"
        return f"{counted}, at most {self.at_most:.3g} an hour (95 %)"


def judge(calibration: Calibration, allowed: int, fixed: Collection[str] = ()) -> list[Judged]:
    """Find each prompt's thresholds where so many false alarms are allowed, and what it raises at them.

    Args:
        calibration: tries thresholds.
        allowed: in all that is normal, of each prompt.
        fixed: names of prompts whose thresholds stay.
    """
    found = []
    for prompt, enter, before in zip(
        calibration.prompts, calibration.lowest(allowed), calibration.current, strict=True
    ):
        if prompt.name in fixed:
            found.append((Status.FIXED, before))
        elif enter is None:
            found.append((Status.UNREACHABLE, before))
        elif enter == CANDIDATES[0]:
            found.append((Status.QUIET, before))
        else:
            found.append((Status.CALIBRATED, before.at(enter)))
    outcomes = calibration.outcomes([thresholds for _, thresholds in found])
    material = calibration.material
    return [
        Judged(
            prompt,
            status,
            before,
            thresholds,
            outcome,
            len(material.positive.get(prompt.name, ())),
            material.hours,
        )
        for prompt, (status, thresholds), before, outcome in zip(
            calibration.prompts, found, calibration.current, outcomes, strict=True
        )
    ]
