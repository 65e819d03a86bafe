"""What each camera and each person costs, in processor time and memory, and how long a start takes."""

from __future__ import annotations

from stream.bench.child import measure
from stream.bench.end_to_end import Tell
from stream.bench.figures import Line, Result, fit
from stream.bench.plan import BOUND_MS, Plan
from stream.bench.trial import Trial, try_out

CAMERAS = (1, 4, 8, 16)
PEOPLE = (1, 2, 4, 6)
PEOPLE_CAMERAS = 4
SETTLE, SPAN = 1, 2
"""Seconds of a trial, before and during the measurement, for each second of a plan."""


def bench_costs(plan: Plan, tell: Tell) -> Result:
    """Run daemons with more and more cameras, then with more and more people.

    Args:
        plan: how much to measure; its number of runs is that of starts.
        tell: told of each trial.

    Raises:
        BenchError: a daemon does not start.
    """
    result = measure("tracks", plan)
    cameras = [_trial(plan, number, 1, tell) for number in CAMERAS]
    people = [_trial(plan, PEOPLE_CAMERAS, number, tell) for number in PEOPLE]
    counts = [PEOPLE_CAMERAS * number for number in PEOPLE]
    result.lines["processor time by cameras"] = _line("cameras", CAMERAS, cameras, "cores")
    result.lines["memory by cameras"] = _line("cameras", CAMERAS, cameras, "MiB")
    result.lines["processor time by people"] = _line("people", counts, people, "cores")
    result.lines["memory by people"] = _line("people", counts, people, "MiB")
    for name, unit, scale in (
        ("processor time by cameras", "% of a core", 100),
        ("processor time by people", "% of a core", 100),
        ("memory by cameras", "MiB", 1),
    ):
        what = "camera" if "cameras" in name else "person"
        result.add(f"{name.partition(' by')[0]} of a {what}", unit, [scale * result.lines[name].slope])
    starts = [cameras[0], *(_trial(plan, 1, 1, tell) for _ in range(plan.runs - 1))]
    result.add("start to first message", "s", [trial.first_message_s for trial in starts])
    result.add("start to first decision", "s", [trial.first_decided_s for trial in starts])
    result.notes.append("the first decision of a person takes 0.96 s of their frames; it is in the figure above")
    return result


def _trial(plan: Plan, cameras: int, people: int, tell: Tell) -> Trial:
    trial = try_out(cameras, people, settle_s=SETTLE * plan.seconds, measure_s=SPAN * plan.seconds, bound_ms=BOUND_MS)
    tell(trial.told)
    return trial


def _line(x: str, counts: tuple[int, ...] | list[int], trials: list[Trial], unit: str) -> Line:
    totals = [sum((trial.cores if unit == "cores" else trial.memory_mb).values()) for trial in trials]
    return fit(x, unit, list(zip(counts, totals, strict=True)))
