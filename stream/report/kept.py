"""What a report keeps of the scores and events of a recording of any length: pooled scores, the gravest events."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream.report.frames import BASE_INTERVAL
from stream.types import Event, Float32Array, Phase, Scores, Severity

MAX_SCORES = 12_000
"""Most rows of scores, over all tracks, that are kept of one source."""
MAX_EVENTS = 2_000
"""Most events that are kept of one source."""

_GRAVITY = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(slots=True)
class KeptScores:
    """Scores of one source, one row for each interval and track: the highest probability of each prompt in it.

    Rows are pooled by maximum rather than dropped, so that a peak that raised an alarm stays visible.

    Attributes:
        rows: (interval's number, track) -> (t in ns, (K + 1,) float32: the probabilities, then the anomaly or NaN).
        interval: ns for which one row stands.
        pooled: True once a row stands for more than one window.
    """

    rows: dict[tuple[int, int], tuple[int, Float32Array]] = field(default_factory=dict)
    interval: int = BASE_INTERVAL
    pooled: bool = False

    def add(self, scores: Scores) -> None:
        """Pool one window's scores into its interval."""
        anomaly = math.nan if scores.anomaly is None else scores.anomaly
        values = np.append(scores.probability, np.float32(anomaly)).astype(np.float32)
        self._pool(self.rows, scores.t, scores.track, values)
        while len(self.rows) > MAX_SCORES:
            if 2 * len({track for _, track in self.rows}) > MAX_SCORES:
                # So many people that pooling over time cannot help: the oldest row goes.
                self.rows.pop(next(iter(self.rows)))
                continue
            self.interval *= 2
            pooled: dict[tuple[int, int], tuple[int, Float32Array]] = {}
            for (_, track), (t, row) in self.rows.items():
                self._pool(pooled, t, track, row)
            self.rows = pooled

    def _pool(
        self, rows: dict[tuple[int, int], tuple[int, Float32Array]], t: int, track: int, values: Float32Array
    ) -> None:
        key = (t // self.interval, track)
        if key in rows:
            first, other = rows[key]
            rows[key] = (min(first, t), np.fmax(other, values))
            self.pooled = True
        else:
            rows[key] = (t, values)


@dataclass(slots=True)
class KeptEvents:
    """The latest state of each event of one source; when they get too many, the least grave are left out.

    Attributes:
        events: by id.
        started: events that began, kept or not.
    """

    events: dict[str, Event] = field(default_factory=dict)
    started: int = 0

    def add(self, event: Event) -> None:
        """Take over the newest state of an event."""
        self.started += event.phase is Phase.START
        self.events[event.id] = event
        if len(self.events) > MAX_EVENTS:
            least = min(self.events.values(), key=lambda e: (_GRAVITY[e.severity], e.peak))
            del self.events[least.id]

    @property
    def total(self) -> int:
        """Events that were told of, kept or not."""
        return max(self.started, len(self.events))


def quantise_unit(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Map 0..1 to 0..65534; NaN becomes 65535, which stands for "no value"."""
    clipped = np.clip(np.nan_to_num(values, nan=0.0), 0.0, 1.0)
    steps: NDArray[np.uint16] = np.round(clipped * 65_534).astype(np.uint16)
    steps[np.isnan(values)] = 65_535
    return steps
