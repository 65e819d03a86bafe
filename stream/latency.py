"""How long things take, as histograms of a fixed size: no list of samples that grows, nothing to sort.

Buckets are log-spaced, so that a quantile is right to a few percent whether it is a microsecond or a minute, and
histograms of several processes add up bucket by bucket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

STAGES = ("capture", "pose", "queue", "window", "encode", "publish", "total")
"""What a frame goes through, in this order; docs/protocol.md says from where to where each is measured."""

LOWEST_S = 1e-5
"""What is shorter counts as this; in seconds."""
GROWTH = 1.1
"""Upper over lower end of a bucket: a quantile is off by 5 % at most."""
BUCKETS = 180
"""Enough for 280 seconds; what is longer counts as this."""
SPAN_S = 60.0
"""Seconds that `Latency` looks back, at most; half of it at least."""

_LOG_LOWEST, _LOG_GROWTH = math.log(LOWEST_S), math.log(GROWTH)


class Histogram:
    """Counts of durations.

    Attributes:
        count: number of durations.
    """

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self.count = 0

    def add(self, seconds: float) -> None:
        """Count one duration; a negative one (no clock is perfect) counts as none."""
        bucket = 0 if seconds <= LOWEST_S else int((math.log(seconds) - _LOG_LOWEST) / _LOG_GROWTH)
        self._counts[min(bucket, BUCKETS - 1)] += 1
        self.count += 1

    def merge(self, counts: Mapping[int, int]) -> None:
        """Add what `take` of another one gave."""
        for bucket, count in counts.items():
            self._counts[min(max(bucket, 0), BUCKETS - 1)] += count
            self.count += count

    def counts(self) -> dict[int, int]:
        """Counts by bucket, without the empty ones."""
        return {bucket: count for bucket, count in enumerate(self._counts) if count}

    def take(self) -> dict[int, int]:
        """Counts by bucket, and begin anew."""
        counts = self.counts()
        self.clear()
        return counts

    def clear(self) -> None:
        """Forget everything."""
        if self.count:
            self._counts[:] = [0] * BUCKETS
            self.count = 0

    def quantile(self, share: float) -> float:
        """Return the duration in seconds that this share (0..1) of all do not exceed; 0 where there are none."""
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return float(LOWEST_S * GROWTH ** (bucket + 0.5))
        return 0.0


class Latency:
    """Durations of the last half to whole `SPAN_S`, by stage: two histograms of each, the older of which is cleared.

    Times `now` are seconds of a clock that never jumps.
    """

    def __init__(self) -> None:
        self._old = {stage: Histogram() for stage in STAGES}
        self._new = {stage: Histogram() for stage in STAGES}
        self._turned: float | None = None

    def add(self, stage: str, seconds: float, now: float) -> None:
        """Count one duration of a stage in `STAGES`."""
        self._turn(now)
        self._new[stage].add(seconds)

    def merge(self, stage: str, counts: Mapping[int, int], now: float) -> None:
        """Add what `Histogram.take` gave in another process."""
        self._turn(now)
        self._new[stage].merge(counts)

    def quantiles(self, stage: str, shares: tuple[float, ...], now: float) -> tuple[float, ...] | None:
        """Return the durations in seconds that these shares do not exceed; None where nothing was measured lately."""
        self._turn(now)
        both = Histogram()
        for part in (self._old, self._new):
            both.merge(part[stage].counts())
        return tuple(both.quantile(share) for share in shares) if both.count else None

    def _turn(self, now: float) -> None:
        half = SPAN_S / 2
        if self._turned is None:
            self._turned = now
        late = now - self._turned
        if late < half:
            return
        self._turned = now
        self._old, self._new = self._new, self._old
        for histogram in self._new.values():
            histogram.clear()
        if late >= SPAN_S:  # nobody asked for so long that the newer half is old too
            for histogram in self._old.values():
                histogram.clear()
