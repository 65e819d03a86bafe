"""A method that learned nothing: features lie in the text space, and cosines are the scores."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from models.method_head import MethodHead
from models.methods import Batch, Matcher, Method


class Cosine(Method):
    """Scores by the cosine of features with texts."""

    def loss(self, batch: Batch) -> Tensor:
        return batch.features.sum()

    def matcher(self, texts: Tensor) -> Matcher:
        vectors = functional.normalize(texts.mean(dim=1), dim=1)
        return lambda features: functional.normalize(features, dim=1) @ vectors.T


def cosine_head(temperature: float) -> MethodHead:
    return MethodHead(Cosine(1), temperature, "cosine")
