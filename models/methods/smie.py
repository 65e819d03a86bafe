"""SMIE: an estimator of the mutual information of clips and texts names the actions.

Source: Zhou et al., "Zero-shot Skeleton-based Action Recognition via Mutual Information Estimation and Maximization"
(ACM MM 2023).
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.methods.method import FEATURES, Batch, Matcher, Method, whole

CONSTRAINT = 0.5
"""Weight of the temporal constraint."""
AT_ONCE = 2**23
"""Numbers of a pair network's first hidden layer that are held at once (32 MiB)."""


class PairScorer(nn.Module):
    """A network on pairs, concat [x ; y] -> hidden layers with ReLU -> 1, that computes each half of it once.

    The first layer is linear, so its sum over x and its sum over y are computed by themselves and then added: for N
    times K pairs it takes N + K products instead of N K.

    Args:
        left, right: dimensions of x and y.
        hidden: widths of the hidden layers, one at least.
    """

    def __init__(self, left: int, right: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self._left = left
        self.first = nn.Linear(left + right, hidden[0])
        layers = [layer for a, b in pairwise((*hidden, 1)) for layer in (nn.ReLU(), nn.Linear(a, b))]
        self.rest = nn.Sequential(*layers)

    def left(self, x: Tensor) -> Tensor:
        """x (N, left) to its half of the first layer, (N, hidden[0])."""
        return functional.linear(x, self.first.weight[:, : self._left], self.first.bias)

    def right(self, y: Tensor) -> Tensor:
        """y (K, right) to its half of the first layer, (K, hidden[0])."""
        return functional.linear(y, self.first.weight[:, self._left :])

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Halves (..., hidden[0]) that go together to scores (...)."""
        scores: Tensor = self.rest(left + right)
        return scores[..., 0]

    def all_pairs(self, left: Tensor, right: Tensor) -> Tensor:
        """Halves (N, hidden[0]) and (K, hidden[0]) to scores (N, K), in chunks of rows that bound the memory."""
        rows = max(1, AT_ONCE // max(1, right.numel()))
        return torch.cat([self(part[:, None], right) for part in torch.split(left, rows)])


class SMIE(Method):
    """T(v, a), concat [v ; a] -> 1024 -> 512 -> 1, is high where clip v and text a belong together.

    v passes a LayerNorm without learnable parameters, in training and afterwards (the released code leaves it out
    afterwards); a is of unit norm.

    Args:
        text_dim: D, the dimension of the text vectors.
        beta: by how much a clip should tell more of its text than the same clip without its key frames.
    """

    needs_masked: ClassVar[bool] = True

    def __init__(self, text_dim: int, beta: float = 0.1) -> None:
        super().__init__(text_dim)
        self.beta = beta
        self.estimator = PairScorer(FEATURES, text_dim, (1024, 512))

    def loss(self, batch: Batch) -> Tensor:
        """L = -m + 0.5 max(0, beta - (m - m^)); without `batch.masked` -m alone, the paper's row of that ablation.

        With sp = softplus, m = E[-sp(-T(v, a))] - E[sp(T(v', a))], where v' is the batch rolled by one, v'_i = v_{i-1}:
        each text meets the clip before its own. m^ has the clips without their key frames, v^, in its first term and
        the same v' of whole clips in its second, which therefore cancels in m - m^. Gradients flow through both.

        Neighbours may be of one class; their pair then stands in the second term as if they did not belong together,
        although the same pair is raised by the first. That is the estimator as the paper has it: v' and a are drawn
        independently, and with C balanced classes agree in one of C draws. It bounds T, and is no harm unless the
        batch is sorted by class or smaller than two; the trainer shuffles.
        """
        texts = self.estimator.right(whole(batch.texts))[batch.labels]
        clips = self._left(batch.features)
        matched = functional.logsigmoid(self.estimator(clips, texts)).mean()  # -sp(-T)
        information = matched - functional.softplus(self.estimator(clips.roll(1, 0), texts)).mean()
        if batch.masked is None:
            return -information
        without = functional.logsigmoid(self.estimator(self._left(batch.masked), texts)).mean()
        return CONSTRAINT * functional.relu(self.beta - (matched - without)) - information

    def matcher(self, texts: Tensor) -> Matcher:
        """T(v, a_k); the texts' half of the first layer is computed here, once."""
        right = self.estimator.right(whole(texts))
        return lambda features: self.estimator.all_pairs(self._left(features), right)

    def embed(self, features: Tensor) -> Tensor:
        """The layer-normalised features, E = 256; texts have no place there, so that `anchors` is None."""
        return functional.normalize(_standard(features), dim=1)

    def _left(self, features: Tensor) -> Tensor:
        return self.estimator.left(_standard(features))


def _standard(features: Tensor) -> Tensor:
    """Features (N, 256), each to mean 0 and variance 1 over its dimensions."""
    return functional.layer_norm(features, (FEATURES,))
