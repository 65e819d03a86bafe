"""PGFA's training: encoder and texts aligned end to end by a bidirectional KL contrastive loss.

Source: "Prototype-Guided Feature Alignment for zero-shot skeleton-based action recognition" (2025); the alignment at
test time is in `models.alignment`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.methods.method import FEATURES, Batch, Matcher, Method, whole

TEMPERATURE = 0.07
"""What cosines are divided by. The paper declares it learnable; its released code never changes it."""
SHARPNESS = 10.0
"""Logit of a pair of the same class, in the distribution that is aimed at."""


class PGFA(Method):
    """A linear map to the text space (psi); cosines with the texts are the scores."""

    end_to_end: ClassVar[bool] = True

    def __init__(self, text_dim: int) -> None:
        super().__init__(text_dim)
        self.projection = nn.Linear(FEATURES, text_dim)

    def loss(self, batch: Batch) -> Tensor:
        """The mean over both directions of KL(q || softmax(s)), s the cosines of the batch over `TEMPERATURE`."""
        return contrast(self.embed(batch.features), whole(batch.texts[batch.labels]), batch.labels)

    def matcher(self, texts: Tensor) -> Matcher:
        """Cosines in the text space."""
        anchors = self.anchors(texts)
        return lambda features: self.embed(features) @ anchors.T

    def embed(self, features: Tensor) -> Tensor:
        """In the text space, E = D."""
        return functional.normalize(self.projection(features), dim=1)

    def anchors(self, texts: Tensor) -> Tensor:
        """The texts themselves."""
        return whole(texts)


def contrast(z: Tensor, texts: Tensor, labels: Tensor) -> Tensor:
    """PGFA's loss: 1/2 (mean KL(q_i || softmax_j s_ij) + the same on s transposed).

    Args:
        z: (B, D) unit vectors of clips.
        texts: (B, D) unit vectors of the clips' own texts.
        labels: (B,).
    """
    similarity = (z @ texts.T).float() / TEMPERATURE
    target = torch.softmax(SHARPNESS * (labels[:, None] == labels[None, :]).float(), dim=1)
    rows = functional.kl_div(torch.log_softmax(similarity, dim=1), target, reduction="batchmean")
    columns = functional.kl_div(torch.log_softmax(similarity.T, dim=1), target, reduction="batchmean")
    return (rows + columns) / 2
