"""What the nearness of a prompt to the known actions is worth, from labels of sets that were left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import Band, Trusted

EDGES = (0.0, 0.45, 0.55, 0.65, 0.75, 0.85)
"""Cosines between which labels are taken together."""
HOPELESS = 0.25
"""Mean accuracy under which prompts count as unknown."""


def measure(figures: Mapping[str, Mapping[str, Any]]) -> Trusted:
    """Trust from the figures of `train.leave_one_out`: accuracy of the left-out labels by their familiarity.

    Args:
        figures: by set and run; each with "labels" and "phrases" as `train.judging.zero_shot.judge` gives them.

    Raises:
        ValueError: there are no labels.
    """
    asked: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for set_name, runs in figures.items():
        for name, run in runs.items():
            for kind in ("labels", "phrases") if not name.endswith("scratch") else ():
                for label, accuracy in run[kind]["plain_per_class"].items():
                    asked[set_name, kind, label].append((run[kind]["familiarity"][label], accuracy))
    if not asked:
        raise ValueError("no labels to measure by")
    cosine, accuracy = np.array([np.mean(pairs, axis=0) for pairs in asked.values()]).T  # each once, over its seeds
    bands = []
    for low, high in zip(EDGES, (*EDGES[1:], np.inf), strict=True):
        inside: NDArray[np.float64] = accuracy[(cosine >= low) & (cosine < high)]
        if len(inside):
            quarter, three = np.quantile(inside, (0.25, 0.75))
            mean = float(inside.mean())
            bands.append(Band(low, round(float(quarter), 3), round(mean, 3), round(float(three), 3), len(inside)))
    means = np.maximum.accumulate([band.mean for band in bands])  # nearer is never worth less
    known = [band.above for band, mean in zip(bands, means, strict=True) if mean >= HOPELESS]
    stops = [*(band.above for band in bands[1:]), 1.0]
    return Trusted(
        cosines=tuple(round((band.above + stop) / 2, 3) for band, stop in zip(bands, stops, strict=True)),
        weights=tuple(round(float(mean / means[-1]), 3) for mean in means),
        unknown_below=known[0] if known else 1.0,
        bands=tuple(bands),
    )
