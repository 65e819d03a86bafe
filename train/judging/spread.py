"""How far figures may be trusted: means over seeds, and what other people of the same kind would have given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 200
IntArray = NDArray[np.int64]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation (of a sample, N - 1; 0 for a single value)."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}


def resampled(
    subjects: Sequence[str], figures: Callable[[IntArray], Mapping[str, float | None]], times: int = RESAMPLES
) -> dict[str, float | None]:
    """Standard deviation of figures over bootstrap resamples of people, always the same ones.

    Source: Efron, "Bootstrap methods: another look at the jackknife" (1979), with people as the units, since the clips
    of one are alike.

    Args:
        subjects: (N,) whose each item is; "" is a person of its own.
        figures: gives figures of some of the items; None where one is not defined.
        times: number of resamples.
    """
    owners = [subject or f"\0{i}" for i, subject in enumerate(subjects)]
    names = sorted(set(owners))
    rows: dict[str, list[int]] = {name: [] for name in names}
    for i, owner in enumerate(owners):
        rows[owner].append(i)
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for _ in range(times):
        drawn = rng.integers(len(names), size=len(names))
        for name, value in figures(np.array([i for n in drawn for i in rows[names[n]]], np.int64)).items():
            found.setdefault(name, [])
            if value is not None:
                found[name].append(value)
    return {name: summary(values)["std"] if values else None for name, values in found.items()}
