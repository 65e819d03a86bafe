"""What the papers' methods have in common: features and texts in, scores out.

A method is fitted on features (N, 256) of clips, or end to end with the encoder that makes them, and then scores any
features against any texts. Texts come as K classes of F facets: most methods take one vector of the whole text; JPoSE
and SynSE take one of its verbs and one of its nouns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

Facet = Literal["whole", "verb", "noun"]
Matcher = Callable[[Tensor], Tensor]
"""Features (N, D) to scores (N, K), the higher the likelier."""
FEATURES = 256
"""Dimension of a clip's feature."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a method learns from in one step.

    Attributes:
        features: (B, 256).
        labels: (B,) int64, rows of `texts`.
        texts: (K, F, D) the vectors of all seen classes, of unit norm.
        masked: (B, 256) features of the same clips without their key frames; None where the method wants none.
        progress: 0..1, how much of the training is over.
    """

    features: Tensor
    labels: Tensor
    texts: Tensor
    masked: Tensor | None = None
    progress: float = 0.0


class Method(nn.Module, ABC):
    """One way to match features with texts.

    Args:
        text_dim: D, the dimension of the text vectors.

    Attributes:
        facets: what is embedded of each text, the F of `Batch.texts`.
        end_to_end: whether the encoder is trained with it; else the encoder is pretrained on seen labels and frozen.
        needs_masked: whether `Batch.masked` is wanted.
    """

    facets: ClassVar[tuple[Facet, ...]] = ("whole",)
    end_to_end: ClassVar[bool] = False
    needs_masked: ClassVar[bool] = False

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.text_dim = text_dim

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """What is minimised, a scalar. Randomness comes from torch's global generator, which the trainer seeds."""

    @abstractmethod
    def matcher(self, texts: Tensor) -> Matcher:
        """Prepare to score features against texts (K, F, D); in eval mode, deterministic."""

    def embed(self, features: Tensor) -> Tensor:
        """Where features are compared with each other, (N, E) of unit norm: the space of alignment's prototypes."""
        return functional.normalize(features, dim=1)

    def anchors(self, texts: Tensor) -> Tensor | None:  # noqa: ARG002
        """Where texts (K, F, D) lie in the space of `embed`, (K, E) of unit norm; None where they do not."""
        return None


def whole(texts: Tensor) -> Tensor:
    """Texts (K, F, D) to (K, D) of unit norm: the mean of their facets."""
    return functional.normalize(texts.mean(dim=1), dim=1)
