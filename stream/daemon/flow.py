"""What the publisher knows of how frames flow: latencies of all stages, and what was lost on the way."""

from __future__ import annotations

from collections import Counter

from stream.daemon.links import Measured, Status, Turn
from stream.latency import STAGES, Latency
from stream.structs import Quantiles
from stream.types import NANOSECONDS

DROP_STAGES = ("capture", "queue", "worker", "publish")
"""Where something can be lost; docs/protocol.md says what is counted at each."""
SHARES = (0.5, 0.99)
REPORT_S = 0.25
"""Seconds for which a report is good enough."""
NAMES_LIMIT = 1_024
"""Source names whose numbers are known; a recording may hold any number of them."""


class Flow:
    """Sums up what captures and workers tell, over all their restarts; times are ns of the monotonic clock.

    Attributes:
        dropped: by stage, what was lost since the publisher's start.
        people: by source name, how many were seen in the newest frame.
        pace: by name of a recorded source that plays, how many times real time it does.
    """

    def __init__(self) -> None:
        self.dropped = dict.fromkeys(DROP_STAGES, 0)
        self.people: dict[str, int] = {}
        self.pace: dict[str, float] = {}
        self._latency = Latency()
        self._last: dict[str, int] = {}
        self._counters: Counter[tuple[str, str]] = Counter()
        self._reported: dict[str, Quantiles] = {}
        self._report_at = 0

    def status(self, status: Status) -> None:
        """Take note of a source's counts, each of whose captures counts from 0, and of how fast it plays."""
        self.pace.pop(status.source, None)
        if status.pace:
            self.pace[status.source] = status.pace
        for stage, count in (("capture", status.missed), ("queue", status.dropped)):
            known = self._counters[status.source, stage]
            self.dropped[stage] += count - known if count >= known else count
            self._counters[status.source, stage] = count

    def turn(self, turn: Turn, now: int) -> None:
        """Take note of a worker's turn, everything of which has been published by now."""
        for name, (first, last, people) in turn.taken.items():
            known = self._last.pop(name, None)
            if known is not None and first > known:  # else a capture that starts anew
                self.dropped["worker"] += first - known - 1
            self._last[name] = last
            self.people[name] = people
        while len(self._last) > NAMES_LIMIT:
            name = next(iter(self._last))
            del self._last[name], self.people[name]
        self._add("publish", now - turn.decided, now)
        if turn.captured:
            self._add("total", now - turn.captured, now)

    def measured(self, measured: Measured, now: int) -> None:
        """Take in what a worker measured."""
        self.dropped["publish"] += measured.unsent
        for stage, counts in measured.stages.items():
            self._latency.merge(stage, counts, now / NANOSECONDS)

    def gone(self, source: str) -> None:
        """Take note that a source shows nobody now, by the name of its block."""
        for name in self.people:
            if name == source or name.startswith(f"{source}."):
                self.people[name] = 0

    def latency(self, now: int) -> dict[str, Quantiles]:
        """Median and 99th percentile of the last minute, in ms, of the stages in which something happened."""
        if now >= self._report_at:
            self._report_at = now + round(REPORT_S * NANOSECONDS)
            self._reported = {}
            for stage in STAGES:
                seconds = self._latency.quantiles(stage, SHARES, now / NANOSECONDS)
                if seconds is not None:
                    self._reported[stage] = Quantiles(*(round(1000 * each, 2) for each in seconds))
        return self._reported

    def _add(self, stage: str, nanoseconds: int, now: int) -> None:
        self._latency.add(stage, nanoseconds / NANOSECONDS, now / NANOSECONDS)
