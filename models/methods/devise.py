"""DeViSE: a linear map from clips to texts, learned by ranking.

Source: Frome et al., "DeViSE: A Deep Visual-Semantic Embedding Model" (NIPS 2013), equation 1; here on features of
clips instead of images, as a baseline of SMIE's tables.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.methods.method import FEATURES, Batch, Matcher, Method, whole

MARGIN = 0.1
"""By how much a clip's own text should score above any other."""


class DeViSE(Method):
    """Scores are the dot products of M v with texts of unit norm, M a matrix (D, 256) without a bias."""

    def __init__(self, text_dim: int) -> None:
        super().__init__(text_dim)
        self.projection = nn.Linear(FEATURES, text_dim, bias=False)

    def loss(self, batch: Batch) -> Tensor:
        """Hinge rank loss against all other seen classes. The paper sums over those; here it is their mean."""
        return hinge_rank(self.matcher(batch.texts)(batch.features), batch.labels, MARGIN)

    def matcher(self, texts: Tensor) -> Matcher:
        """Dot products: the order of the cosines, as texts are of unit norm."""
        anchors = self.anchors(texts)
        return lambda features: self.projection(features) @ anchors.T

    def embed(self, features: Tensor) -> Tensor:
        """In the text space, E = D."""
        return functional.normalize(self.projection(features), dim=1)

    def anchors(self, texts: Tensor) -> Tensor:
        """The texts themselves."""
        return whole(texts)


def hinge_rank(scores: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over clips, and over the classes k that are not the clip's own y, of max(0, margin - s_y + s_k).

    Args:
        scores: (B, K), the higher the likelier.
        labels: (B,) int64, columns of `scores`.
        margin: by how much s_y should be higher.

    Returns:
        A scalar; 0 where there is one class only.
    """
    own = labels[:, None]
    short = functional.relu(margin - scores.gather(1, own) + scores).scatter(1, own, 0.0)
    return short.sum(dim=1).mean() / max(scores.shape[1] - 1, 1)
