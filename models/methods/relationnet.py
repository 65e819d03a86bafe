"""RelationNet: a network that compares a clip with a text.

Source: Sung et al., "Learning to Compare: Relation Network for Few-Shot Learning" (CVPR 2018), its zero-shot form;
here on features of clips instead of images, as a baseline of SMIE's tables.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.methods.method import FEATURES, Batch, Matcher, Method, whole
from models.methods.smie import PairScorer

HIDDEN = 512
"""Width of the one hidden layer of each of the two networks; ours, as the paper's are for the features of images."""


class RelationNet(Method):
    """Relation of clip v and text a: sigmoid(r), r = concat [v ; g(a)] -> 512 -> ReLU -> 1.

    g, an MLP with ReLU after each of its two layers, brings texts to the dimension of the features. It is not trained
    to bring them near the clips, so that texts have no place among the features and `anchors` is None.
    """

    def __init__(self, text_dim: int) -> None:
        super().__init__(text_dim)
        self.text = nn.Sequential(nn.Linear(text_dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, FEATURES), nn.ReLU())
        self.relation = PairScorer(FEATURES, FEATURES, (HIDDEN,))

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error of the relations of all clips with all seen classes, to 1 for the own class and else 0."""
        relations = torch.sigmoid(self.matcher(batch.texts)(batch.features))
        wanted = functional.one_hot(batch.labels, len(batch.texts)).to(relations.dtype)
        return functional.mse_loss(relations, wanted)

    def matcher(self, texts: Tensor) -> Matcher:
        """r, the relation before its sigmoid: the same order, without ties where the sigmoid is 1 to the last digit."""
        right = self.relation.right(self.text(whole(texts)))
        return lambda features: self.relation.all_pairs(self.relation.left(features), right)
