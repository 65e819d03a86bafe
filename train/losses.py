"""Losses between features and texts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

TEMPERATURE = 0.07
"""tau of PGFA: declared learnable there, in effect fixed."""
SHARPNESS = 10.0
"""How much a pair of the same action weighs against one of different actions, before the softmax."""


def alignment_loss(features: Tensor, texts: Tensor, actions: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Contrastive loss of PGFA (2025): L = 1/2 (mean_i KL(q_i || softmax_j s_ij) + the same on s transposed).

    s_ij = z_i . t_j / tau; q_i = softmax_j(10 [y_i = y_j]).

    Args:
        features: z, (N, D), unit norm.
        texts: t, (N, D), unit norm; row j describes window j.
        actions: y, (N,) integers; texts of the same action may differ.
        temperature: tau.

    Returns:
        Scalar.
    """
    similarity = features @ texts.T / temperature
    target = softmax(SHARPNESS * (actions[:, None] == actions[None, :]).to(similarity.dtype), dim=1)
    to_text = kl_div(log_softmax(similarity, dim=1), target, reduction="batchmean")
    to_motion = kl_div(log_softmax(similarity.T, dim=1), target, reduction="batchmean")
    return torch.stack((to_text, to_motion)).mean()
