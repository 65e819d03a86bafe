"""Timing of calls."""

from __future__ import annotations

import time
from collections.abc import Callable


def per_call(
    work: Callable[[], object], seconds: float, runs: int, settle: Callable[[], object] = lambda: None
) -> list[float]:
    """Seconds of one call, as the mean of each of several runs; what the first calls do once is not counted.

    Args:
        work: what to time.
        seconds: length of each run; at least one call is made.
        runs: their number.
        settle: waits until what was called is done; for a GPU.
    """
    began = time.perf_counter()
    while True:  # caches are filled and the processor's clock is up by the end of it
        work()
        settle()
        if time.perf_counter() - began > 0.2 * seconds:
            break
    return [_one_run(work, seconds, settle) for _ in range(runs)]


def _one_run(work: Callable[[], object], seconds: float, settle: Callable[[], object]) -> float:
    calls, began = 0, time.perf_counter()
    while True:
        work()
        calls += 1
        if time.perf_counter() - began >= seconds:
            settle()
            return (time.perf_counter() - began) / calls
