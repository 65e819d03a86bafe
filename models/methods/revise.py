"""ReViSE: the codes of two auto-encoders, brought together.

Source: Tsai, Huang and Salakhutdinov, "Learning Robust Visual-Semantic Embeddings" (ICCV 2017), in the sizes that it
has as a baseline of SynSE's tables. Their adaptation to unlabelled test data is no part of it. What no table gives is
ours: sigmoid codes, for which the contraction has a closed form and the MMD's narrow kernel sees anything, squared
norms of the reconstructions' errors, equal weights, and dot products as scores.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.methods.devise import hinge_rank
from models.methods.method import FEATURES, Batch, Matcher, Method, whole

CODE, JOINT = 100, 50
"""Dimensions of the auto-encoders' codes and of the space in which clips and texts meet."""
CONTRACTION = 1e-4
"""Weight of the squared norm of the Jacobian of the clips' codes."""
KERNEL = 32.0
"""The MMD's kernel is exp(-KERNEL d^2)."""
MARGIN = 0.3
"""By how much a clip's own text should score above any other."""


class ReViSE(Method):
    """Auto-encoders x 256-100-256 and a D-512-100-512-D; heads 100 -> 50 with tanh; scores are their dot products.

    x = log(1 + v), where v is taken as 0 below 0: features of the encoders, which end in ReLU, are not negative.
    """

    def __init__(self, text_dim: int) -> None:
        super().__init__(text_dim)
        self.encode_clip = nn.Linear(FEATURES, CODE)
        self.decode_clip = nn.Linear(CODE, FEATURES)
        self.encode_text = nn.Sequential(nn.Linear(text_dim, 512), nn.ReLU(), nn.Linear(512, CODE), nn.Sigmoid())
        self.decode_text = nn.Sequential(nn.Linear(CODE, 512), nn.ReLU(), nn.Linear(512, text_dim))
        self.clip_head = nn.Sequential(nn.Linear(CODE, JOINT), nn.Tanh())
        self.text_head = nn.Sequential(nn.Linear(CODE, JOINT), nn.Tanh())

    def loss(self, batch: Batch) -> Tensor:
        """Contractive reconstruction of clips + reconstruction of the seen texts + MMD of codes + hinge.

        The MMD is between the codes of the clips and those of the same clips' texts, so that both have the classes of
        the batch in the same shares. The hinge is against all other seen classes.
        """
        x, a = _compressed(batch.features), whole(batch.texts)
        clips, texts = torch.sigmoid(self.encode_clip(x)), self.encode_text(a)
        reconstruction = _error(self.decode_clip(clips), x) + _error(self.decode_text(texts), a)
        contraction = CONTRACTION * jacobian_norm(clips, self.encode_clip.weight)
        hinge = hinge_rank(self.clip_head(clips) @ self.text_head(texts).T, batch.labels, MARGIN)
        return reconstruction + contraction + mmd(clips, texts[batch.labels]) + hinge

    def matcher(self, texts: Tensor) -> Matcher:
        """Dot products in the joint space."""
        anchors = self._place_texts(texts)
        return lambda features: self._place_clips(features) @ anchors.T

    def embed(self, features: Tensor) -> Tensor:
        """In the joint space, E = 50."""
        return functional.normalize(self._place_clips(features), dim=1)

    def anchors(self, texts: Tensor) -> Tensor:
        """In the joint space."""
        return functional.normalize(self._place_texts(texts), dim=1)

    def _place_clips(self, features: Tensor) -> Tensor:
        placed: Tensor = self.clip_head(torch.sigmoid(self.encode_clip(_compressed(features))))
        return placed

    def _place_texts(self, texts: Tensor) -> Tensor:
        placed: Tensor = self.text_head(self.encode_text(whole(texts)))
        return placed


def jacobian_norm(codes: Tensor, weight: Tensor) -> Tensor:
    """Mean over clips of the squared Frobenius norm of d code / d x, for codes sigmoid(W x + b).

    Args:
        codes: (B, C).
        weight: W, (C, D).
    """
    return ((codes * (1 - codes)).square() @ weight.square().sum(dim=1)).mean()


def mmd(x: Tensor, y: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two samples (B, C) and (B', C): that of their means in the kernel's space."""
    return _kernel(x, x).mean() + _kernel(y, y).mean() - 2 * _kernel(x, y).mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    # Not by cdist, whose gradient is not finite where two codes are equal, as those of one class's text are.
    squares = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)[None, :] - 2 * x @ y.T
    return torch.exp(-KERNEL * squares.clamp(min=0))


def _error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared norm of the differences of rows."""
    return (found - wanted).square().sum(dim=1).mean()


def _compressed(features: Tensor) -> Tensor:
    return torch.log1p(features.clamp(min=0))
