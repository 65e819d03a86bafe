"""Alarms of a score over time: how many are false, and how soon the true ones come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
MERGE_S = 2.0
"""Alarms nearer to each other than this are one."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The scores of one recording, in order.

    Attributes:
        times: (W,) seconds at which each is known.
        scores: (W,).
        length_s: of the recording.
    """

    times: FloatArray
    scores: FloatArray
    length_s: float

    def alarms(self, threshold: float) -> int:
        """How often the score rises to the threshold, alarms nearer than `MERGE_S` being one."""
        over = self.times[self.scores >= threshold]
        return int(len(over) > 0) + int((np.diff(over) > MERGE_S).sum())

    def highest(self, start_s: float, end_s: float) -> float:
        """The highest score known from one moment to another; -infinity without any."""
        inside = (self.times >= start_s) & (self.times <= end_s)
        return float(self.scores[inside].max()) if inside.any() else -np.inf

    def delay(self, start_s: float, end_s: float, threshold: float) -> float | None:
        """Seconds from the start to the first score at or over the threshold, up to the end; None without any."""
        found = self.times[(self.times >= start_s) & (self.times <= end_s) & (self.scores >= threshold)]
        return float(found[0]) - start_s if len(found) else None


def alarms_per_hour(timelines: Sequence[Timeline], threshold: float) -> float:
    """How many alarms there are in an hour of recordings one after the other.

    Raises:
        ValueError: they have no length.
    """
    hours = sum(one.length_s for one in timelines) / 3600
    if hours <= 0:
        raise ValueError("recordings without a length; expected some")
    return sum(one.alarms(threshold) for one in timelines) / hours
