"""Zero-shot scores by routing: what is known of an action's neighbours in meaning, carried over to it by the texts.

A network tells how likely each of K known actions is. A prompt is known by the actions whose texts are like its own:
score(prompt) = sum over k of share_k p_k with share = softmax(cos(text, text_k) / temperature), as ConSE does (Norouzi
et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR 2014), with the combination on the side
of the texts. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
TEMPERATURE = 0.05
"""Of cosines of sentence vectors: the two or three nearest actions share most of the weight."""


def likeness(prompts: Sequence[Float32Array], bank: Sequence[Float32Array]) -> Float32Array:
    """Cosine between each prompt and each known action, both described by several texts: (P, K).

    Args:
        prompts: for each prompt the unit vectors of its texts, (its number, D).
        bank: the same for each known action.
    """
    return _means(prompts) @ _means(bank).T


def _means(groups: Sequence[Float32Array]) -> Float32Array:
    means = np.stack([vectors.mean(axis=0) for vectors in groups])
    result: Float32Array = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    return result


def shares(cosine: Float32Array, temperature: float = TEMPERATURE) -> Float32Array:
    """How much of each known action counts for each prompt, (P, K); rows add to 1."""
    weights = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / temperature)
    result: Float32Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return result
