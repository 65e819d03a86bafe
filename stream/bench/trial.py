"""One trial: so many cameras and people for so long, and whether they were held in real time."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import msgspec

from stream.bench.daemon import running
from stream.bench.footage import FPS
from stream.console import plural
from stream.structs import HeartbeatData

LEAST_RATE = 0.95
"""Share of the frames that must have gone through; less is a recording that plays slower than life. It is no nearer to
1 as the counts are told once a second."""
HOPELESS_S = 5.0
"""How long a trial is measured whose median is above the bound when it has had its time to settle."""


class Trial(msgspec.Struct, frozen=True):
    """What a trial found.

    Attributes:
        cameras, people: how many, people of each camera.
        held: nothing was dropped, all frames went through in time, and no heartbeat told of a p99 above the bound.
        p50_ms, p99_ms: capture to publish: median of the heartbeats' medians, and the highest p99 of any.
        rate: frames that went through, as a share of those recorded.
        dropped: frames and messages lost.
        cores: processors' worth of work, by kind of process.
        memory_mb: memory by kind of process, in MiB.
        first_message_s, first_decided_s: from the start of the command.
    """

    cameras: int
    people: int
    held: bool
    p50_ms: float
    p99_ms: float
    rate: float
    dropped: int
    cores: dict[str, float]
    memory_mb: dict[str, float]
    first_message_s: float
    first_decided_s: float

    @property
    def told(self) -> str:
        """One line for people."""
        found = "held" if self.held else "not held"
        cameras = plural(self.cameras, "camera")
        return (
            f"{cameras} x {self.people}: {found}, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, "
            f"{100 * self.rate:.0f} % of the frames, {self.dropped} dropped, {sum(self.cores.values()):.2f} cores"
        )


def try_out(cameras: int, people: int, *, settle_s: float, measure_s: float, bound_ms: float) -> Trial:
    """Run a real daemon.

    Args:
        cameras, people: see `Trial`.
        settle_s: from when all cameras run until the measurement; heartbeats tell of the last 30 to 60 seconds, so
            that less than 60 s count some of the start.
        measure_s: how long is measured.
        bound_ms: what p99 must stay under.

    Raises:
        BenchError: it does not start, or ends.
    """
    with tempfile.TemporaryDirectory(prefix="pw-") as folder, running(Path(folder), cameras, people) as daemon:
        daemon.wait_until_all_run()
        measured_s = measure_s
        for beat in daemon.listen(settle_s):
            total = beat.latency_ms.get("total")
            measured_s = min(measure_s, HOPELESS_S) if total and total.p50 > bound_ms else measure_s
        before, began = daemon.cpu_s(), time.monotonic()
        counted = _Counted()
        for beat in daemon.listen(measured_s):
            counted.take(beat, daemon.heard)
        took = time.monotonic() - began
        after, memory = daemon.cpu_s(), daemon.memory()
        message_s, decided_s = daemon.first_message or 0.0, daemon.first_decided or 0.0
    rate = counted.rate / (FPS * cameras)
    p99 = max(counted.p99, default=0.0)
    return Trial(
        cameras=cameras,
        people=people,
        held=counted.dropped == 0 and rate >= LEAST_RATE and 0 < p99 < bound_ms,
        p50_ms=sorted(counted.p50)[len(counted.p50) // 2] if counted.p50 else 0.0,
        p99_ms=p99,
        rate=rate,
        dropped=counted.dropped,
        cores={role: (seconds - before.get(role, 0.0)) / took for role, seconds in after.items()},
        memory_mb={role: size / 2**20 for role, size in memory.items()},
        first_message_s=message_s,
        first_decided_s=decided_s,
    )


class _Counted:
    """What the heartbeats of a measurement tell.

    Attributes:
        p50, p99: of each heartbeat, in ms.
    """

    def __init__(self) -> None:
        self.p50: list[float] = []
        self.p99: list[float] = []
        self._dropped: list[int] = []
        self._first: dict[str, tuple[float, int]] = {}
        self._last: dict[str, tuple[float, int]] = {}

    def take(self, beat: HeartbeatData, now: float) -> None:
        """Take in one heartbeat."""
        if total := beat.latency_ms.get("total"):
            self.p50.append(total.p50)
            self.p99.append(total.p99)
        self._dropped.append(sum(beat.dropped.values()))
        for name, source in beat.sources.items():
            # Counts are told once a second: the moments at which they change are what a rate is made of.
            if name not in self._last:
                self._last[name] = 0.0, source.frames
            elif source.frames != self._last[name][1]:
                self._last[name] = now, source.frames
                self._first.setdefault(name, self._last[name])

    @property
    def dropped(self) -> int:
        """What was lost from the first heartbeat to the last."""
        return self._dropped[-1] - self._dropped[0] if self._dropped else 0

    @property
    def rate(self) -> float:
        """Frames a second of all sources together."""
        rates = (
            (self._last[name][1] - count) / (self._last[name][0] - began)
            for name, (began, count) in self._first.items()
            if self._last[name][0] > began
        )
        return sum(rates)
