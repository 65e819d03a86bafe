"""How many cameras and people are held in real time by the whole daemon, and how late its messages are."""

from __future__ import annotations

from collections.abc import Callable

from stream.bench.figures import YES_NO, Result, curve
from stream.bench.plan import BOUND_MS, Plan
from stream.bench.trial import Trial, try_out
from stream.latency import SPAN_S

SPAN = 15
"""Seconds of a trial for each second of a plan: what is rare must show."""
FINENESS = 8
"""The number of cameras is found to this part of it."""

Tell = Callable[[str], None]
"""Is told of progress, a line at a time."""


def bench_end_to_end(plan: Plan, tell: Tell) -> Result:
    """Run daemons: one camera, the plan's fixed point, and as many more as it takes to find where it breaks.

    Each runs once, for `SPAN` times the plan's seconds.

    Args:
        plan: how much to measure; its number of runs does not matter here.
        tell: told of each trial.

    Raises:
        BenchError: a daemon does not start.
    """
    result = Result()
    points: list[tuple[float, float]] = []

    def held(cameras: int, people: int, label: str = "") -> Trial:
        span = SPAN * plan.seconds
        trial = try_out(cameras, people, settle_s=min(span, SPAN_S), measure_s=span, bound_ms=BOUND_MS)
        tell(trial.told)
        if label:
            _add(result, label, trial)
        points.append((cameras, trial.p99_ms))
        return trial

    trials = [held(1, plan.people, f"1 camera x {plan.people}")]
    if plan.cameras > 1:
        trials.append(held(plan.cameras, plan.people, f"{plan.cameras} cameras x {plan.people}"))
    good = max((trial.cameras for trial in trials if trial.held), default=0)
    bad = min((trial.cameras for trial in trials if trial.cameras > good), default=plan.most + 1)
    most = bisect(lambda cameras: held(cameras, plan.people).held, good, bad, plan.most)
    result.add(f"most cameras x {plan.people} held", "cameras", [most])
    result.add("people held", "people", [most * plan.people])
    result.curves[f"capture to publish, {plan.people} people each"] = curve("cameras", "p99, ms", points)
    return result


def bisect(held: Callable[[int], bool], good: int, bad: int, most: int) -> int:
    """The largest number that is held, found to one part in `FINENESS` of it; 0 where even 1 is not.

    Args:
        held: tries a number.
        good: a number that is held, 0 for none.
        bad: a larger one that is not; above `most` where none is known.
        most: the largest number to try.
    """
    while bad - good > max(1, good // FINENESS) and good < most:
        number = (good + bad) // 2 if bad <= most else min(2 * good, most)
        if held(number):
            good = number
        else:
            bad = number
    return good


def _add(result: Result, label: str, trial: Trial) -> None:
    result.add(f"{label}, held", YES_NO, [float(trial.held)])
    result.add(f"{label}, p50", "ms", [trial.p50_ms])
    result.add(f"{label}, p99", "ms", [trial.p99_ms])
    result.add(f"{label}, frames that went through", "%", [100 * trial.rate])
    result.add(f"{label}, dropped", "frames", [trial.dropped])
    for role, cores in sorted(trial.cores.items()):
        result.add(f"{label}, {role}", "cores", [cores])
    result.add(f"{label}, memory", "MiB", [sum(trial.memory_mb.values())])
