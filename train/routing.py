"""Zero-shot scores by routing: what a classifier of known actions says, carried over to prompts by their texts.

score(prompt) = sum over k of softmax_k(cos(text, text_k) / temperature) p_k. As ConSE (Norouzi et al., "Zero-Shot
Learning by Convex Combination of Semantic Embeddings", ICLR 2014), with the combination on the side of the texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.routing import TEMPERATURE
from train.metrics import softmax

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]


def route(
    posterior: Float32Array, bank: Float32Array, prompts: Float32Array, temperature: float = TEMPERATURE
) -> FloatArray:
    """Scores of P prompts for N clips, (N, P), each a mean of the posterior weighted by likeness of text.

    Args:
        posterior: (N, K) probabilities of the bank's K actions.
        bank: (K, D) unit vectors of the actions' texts.
        prompts: (P, D) unit vectors of the prompts' texts.
        temperature: of the softmax over the bank.
    """
    shares = softmax(prompts @ bank.T / temperature)  # (P, K)
    scores: FloatArray = posterior.astype(np.float64) @ shares.T
    return scores


def balanced_top(
    scores: Float32Array | FloatArray, truth: Sequence[int], k: int = 1, groups: Sequence[str] | None = None
) -> float:
    """Mean over groups of the share of their clips whose class is among the k best scores; a tie counts against it.

    Args:
        scores: (N, P).
        truth: (N,) the right column of each row.
        k: how many guesses a clip has.
        groups: (N,) which clips share a weight; by default, those of one column.
    """
    rows = np.asarray(truth, np.int64)
    own = scores[np.arange(len(rows)), rows]
    hit = (scores >= own[:, None]).sum(axis=1) <= k
    group = rows if groups is None else np.asarray(groups)
    return float(np.mean([hit[group == one].mean() for one in np.unique(group)]))
