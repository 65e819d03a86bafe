"""Ours beside its peers: in turns (A B A B), each turn in a process of its own, on the same machine in the same run."""

from __future__ import annotations

from stream.bench.child import contend
from stream.bench.contenders import CONTENDERS, lacking
from stream.bench.end_to_end import Tell
from stream.bench.figures import Result, ratio
from stream.bench.plan import STREAMS, Plan

BY_WINDOW = ("papers", "graph", "windows", "sliding")
"""First words of the contenders that are timed by the window; the others are by the frame."""
SLIDING = ("sliding", "sliding graph", "sliding matrices")
"""Those that encode the last window anew with each frame."""


def bench_peers(plan: Plan, tell: Tell) -> Result:
    """Measure every contender once in each run, one after the other, and ours against theirs.

    Args:
        plan: how much to measure.
        tell: told of what cannot be measured, and of each run that is done.

    Raises:
        BenchError: a contender failed.
    """
    result = Result()
    names = []
    for name in CONTENDERS:
        if missing := lacking(name):
            result.notes.append(f"{name}: not measured, needs {missing}")
            tell(result.notes[-1])
        else:
            names.append(name)
    took: dict[str, list[float]] = {name: [] for name in names}
    for run in range(plan.runs):
        for name in names:
            took[name].append(contend(name, plan))
        tell(f"peers: run {run + 1} of {plan.runs}")
    for name, values in took.items():
        unit = "µs a window" if name.startswith(BY_WINDOW) else "µs a frame and stream"
        result.add(name, unit, [1e6 * value for value in values])
    _compare(result, took)
    return result


def _compare(result: Result, took: dict[str, list[float]]) -> None:
    """All ratios: how many times as long the peer takes."""
    ratios = result.ratios
    for name in ("fp32", "bf16"):
        ratios[f"papers_to_windows_{name}_8"] = ratio(took["papers"], took[f"windows {name}"])
        ratios[f"papers_to_same_network_{name}_8"] = ratio(took["papers"], took[f"graph {name}"])
    for streams in STREAMS:
        ours = took[f"steps {streams}"]
        for peer in SLIDING:
            name = peer.replace(" ", "_")
            ratios[f"{name}_to_every_frame_{streams}"] = ratio(took[peer], took[f"every frame {streams}"])
            ratios[f"{name}_to_steps_{streams}"] = ratio(took[peer], ours)
        for peer in ("continual", "continual graph"):
            if f"{peer} {streams}" in took:
                ratios[f"{peer.replace(' ', '_')}_to_steps_{streams}"] = ratio(took[f"{peer} {streams}"], ours)
