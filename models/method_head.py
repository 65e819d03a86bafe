"""Scores of prompts by one of the papers' methods: what fits best of all that competes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.heads import Scorer
from models.methods import Method

Float32Array = NDArray[np.float32]
UNKNOWN_BELOW = 0.7
"""Cosine to the nearest seen class under which a prompt counts as unknown; "stands still" and "stands up" are at 0.86
in the shipped text model."""
HIGHEST = 1e6
"""Scores beyond are taken for it, so that no method's numbers overflow."""


class MethodHead:
    """Features are scored against all columns at once; a softmax of scores / temperature shares 1 out among them.

    A method's scores have neither bounds nor a zero: its similarities are s / (1 + |s|), in -1..1, of which the order
    within one model means something, and nothing else.

    Args:
        method: trained, in eval mode.
        temperature: of the softmax; calibrated.
        name: says which method this is, and how it was made; part of the digest.
    """

    unknown_below = UNKNOWN_BELOW

    def __init__(self, method: Method, temperature: float, name: str) -> None:
        self._method, self._temperature = method, temperature
        self.digest = repr((name, temperature))

    def facet_texts(self, text: str) -> tuple[str, ...]:
        """See `models.heads.Head`: the text itself, or a verb's and a noun's part of it."""
        if self._method.facets == ("whole",):
            return (text,)
        from models.words import facet_texts

        return facet_texts(text, self._method.facets)

    def scorer(self, columns: Sequence[Float32Array]) -> Scorer:
        """See `models.heads.Head`; several texts of a column are averaged facet by facet."""
        device = next(self._method.parameters(), torch.zeros(())).device
        match = self._method.matcher(torch.from_numpy(self._texts(columns)).to(device))

        def score(features: Float32Array) -> tuple[Float32Array, Float32Array]:
            with torch.inference_mode():
                scores = match(torch.from_numpy(np.ascontiguousarray(features)).to(device)).float().cpu().numpy()
            scores = np.clip(scores, -HIGHEST, HIGHEST)
            weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / self._temperature)
            return scores / (1 + np.abs(scores)), weights / weights.sum(axis=1, keepdims=True)

        return score

    def usual(self, columns: Sequence[Float32Array]) -> Float32Array:
        """See `models.heads.Head`; similarities are chosen by as they are."""
        return np.ones(len(columns), np.float32)

    def _texts(self, columns: Sequence[Float32Array]) -> Float32Array:
        """Columns (n * F, D) each to classes (K, F, D) of unit norm."""
        facets = len(self._method.facets)
        means = np.stack([column.reshape(-1, facets, column.shape[1]).mean(axis=0) for column in columns])
        unit: Float32Array = means / np.maximum(np.linalg.norm(means, axis=2, keepdims=True), 1e-9)
        return unit.astype(np.float32)
