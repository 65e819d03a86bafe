"""A network over unordered sets of joint points, with pooled contexts that a stream can keep up to date.

After the extractor F of Sato, Hachiuma, Sekii (CVPR 2023) and the same group's follow-up (METHODS.md, section 3): an
MLP over points, residual MLP blocks that see what they work on beside a max over everything, and max pooling at last.
"Everything" is causal here, and told in bands of age (this frame, just before, earlier ...), each a maximum: order in
time without a clip's beginning, and nothing that was computed changes when the window slides.

Points are pooled over each body's frame before the residual blocks, and not after them: blocks over every single point
cost ten times as much, and were too slow to train on a CPU (docs/decisions/0015).
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.points import CONFIDENCE, NUMBERS, WINDOW, V

BANDS = (1, 2, 4, 8)
"""Lengths in frames of the bands of age: the newest frame, the two before it, the four before those, and eight."""
REMEMBERED = sum(BANDS)
SPREAD = (12.0, 12.0, 2.0, 10.0, 10.0)
"""What a point's numbers are multiplied by: people fill little of [0, 1], and a unit of spread trains faster."""
MOST = 8192


def band_maxima(maxima: Tensor) -> Tensor:
    """Frame maxima (N, T, C) >= 0 to the maxima over each band of age, (N, T, bands * C); 0 before the beginning."""
    out, over, before = [maxima], maxima, 1
    for length in BANDS[1:]:
        # Each band is twice as long as the one before it, and begins where that ends.
        # This is their maximum, but for a rounding; the gradient of torch.maximum takes ten times as long.
        over = over + functional.relu(_earlier(over, length // 2) - over)
        out.append(_earlier(over, before))
        before += length
    return torch.cat(out, dim=2)


def _earlier(frames: Tensor, by: int) -> Tensor:
    return functional.pad(frames, (0, 0, by, 0))[:, : frames.shape[1]]


class Contexts(Protocol):
    """Where a frame's contexts come from: the frames of a clip, or what a stream remembers."""

    def __call__(self, level: int, maxima: Tensor) -> Tensor:
        """Maxima (N, T, C) of the newest frames at a level to the maxima over each band of age, (N, T, bands * C)."""
        ...


class ClipContexts:
    """Contexts of streams that are given whole, from their first frame."""

    def __call__(self, level: int, maxima: Tensor) -> Tensor:
        """See `Contexts`; the levels need not be told apart."""
        del level
        return band_maxima(maxima)


class StreamContexts:
    """Contexts of one stream that comes frame by frame: a ring of maxima for each level."""

    def __init__(self) -> None:
        self._rings: dict[int, Tensor] = {}

    def advance(self, frames: int) -> None:
        """Let time pass; the frames between hold nothing."""
        for level, ring in self._rings.items():
            kept = max(len(ring) - frames, 0)
            self._rings[level] = torch.cat((ring.new_zeros(len(ring) - kept, ring.shape[1]), ring[:kept]))

    def __call__(self, level: int, maxima: Tensor) -> Tensor:
        """See `Contexts`; N and T are 1."""
        newest = maxima[0]
        ring = self._rings.get(level)
        if ring is None:
            ring = newest.new_zeros(REMEMBERED, newest.shape[1])
        self._rings[level] = ring = torch.cat((newest, ring[1:]))  # by age, youngest first
        return torch.cat([part.amax(0) for part in torch.split(ring, list(BANDS))])[None, None]


class Block(nn.Module):
    """Residual MLP over bodies, each beside the bands of its scene."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, 2 * width)
        self.context = nn.Linear(width * len(BANDS), 2 * width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.back = nn.Linear(2 * width, width)

    def forward(self, bodies: Tensor, bands: Tensor) -> Tensor:
        """Bodies (N, T, M, C) with the bands of their scene (N, T, bands * C) to bodies (N, T, M, C)."""
        # Adding a context before the first non-linearity equals concatenating it, and is computed once a frame.
        inner = functional.relu(self.own(self.norm(bodies)) + self.context(bands)[:, :, None])
        return functional.relu(bodies + self.back(self.dropout(inner)))


class PointSet(nn.Module):
    """Points to features of bodies and of scenes.

    Args:
        width: of the points' features that are max pooled.
        blocks: residual blocks over bodies.
        features: F, the width of bodies and of the scene's feature.
        classes: K labels of the classifier that training begins with.
        text_dim: D.
        dropout: in the blocks and the heads, in training.

    Raises:
        ModelError: a size is out of range.
    """

    def __init__(
        self,
        width: int = 24,
        blocks: int = 3,
        features: int = 128,
        classes: int = 1,
        text_dim: int = 384,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {
            "width": width, "blocks": blocks, "features": features, "classes": classes, "text_dim": text_dim
        }  # fmt: skip
        for name, size in self.sizes.items():
            if not 1 <= size <= MOST:
                raise ModelError(f"point set: {name} is {size}; expected 1 to {MOST}")
        self.features = features
        # Each joint its own map: an MLP on the joint's number alone would have to learn that neighbours differ.
        self.embed = nn.Parameter(torch.randn(V, NUMBERS, width) / math.sqrt(NUMBERS))
        self.joint = nn.Parameter(torch.randn(V, width) * 0.3)
        self.time = nn.Linear(2, width)
        self.sum = nn.Parameter(torch.randn(V, NUMBERS + 1, features) / math.sqrt(V * NUMBERS))
        self.lift = nn.Linear(width, features)
        self.register_buffer("spread", torch.tensor(SPREAD), persistent=False)
        self.blocks = nn.ModuleList(Block(features, dropout) for _ in range(blocks))
        self.classify = nn.Sequential(nn.LayerNorm(features), nn.Dropout(dropout), nn.Linear(features, classes))
        self.to_text = nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, 2 * features), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(2 * features, text_dim),
        )  # fmt: skip

    def forward(
        self, points: Tensor, phase: Tensor, joints: Tensor | None = None, contexts: Contexts | None = None
    ) -> Tensor:
        """The next frames of N streams.

        Args:
            points: (N, T, M, V', `NUMBERS`) from `models.points.points`.
            phase: (N, T) time indices in [0, 1).
            joints: (V',) int64, which joints these are; all in order by default.
            contexts: what came before; by default nothing, and the T frames are the whole stream.

        Returns:
            (N, T, M, F), at least 0; 0 for bodies that are not there. A frame's depend on it and earlier ones.
        """
        contexts = contexts or ClipContexts()
        bodies, there = self._pooled(points, phase, joints)
        for level, block in enumerate(self.blocks):
            bodies = block(bodies, contexts(level, bodies.amax(2))) * there
        return bodies

    @property
    def reach(self) -> int:
        """Frames before the newest that a window's feature depends on (beside scale and anchor)."""
        return WINDOW - 1 + (REMEMBERED - 1) * len(self.blocks)

    def _pooled(self, points: Tensor, phase: Tensor, joints: Tensor | None) -> tuple[Tensor, Tensor]:
        """Bodies (N, T, M, C) pooled over the points of each, and whether they are there (N, T, M, 1)."""
        n, t, m, v, _ = points.shape
        which = slice(None) if joints is None else joints
        embed, joint, add = self.embed[which], self.joint[which], self.sum[which]
        seen = (points[..., CONFIDENCE : CONFIDENCE + 1] > 0).to(points.dtype)
        spread = torch.cat(((points - 0.5) * self.get_buffer("spread") * seen, seen), dim=4)
        # A sum over points of linear maps is one product; what was not seen adds nothing.
        summed = spread.reshape(n * t * m, -1) @ add.reshape(-1, self.features)
        angle = 2 * math.pi * phase[:, :, None]
        time = self.time(torch.cat((angle.sin(), angle.cos()), dim=2))[:, :, None].expand(n, t, m, -1)
        mine = spread.reshape(n * t * m, v, -1).transpose(0, 1)
        first = torch.baddbmm(joint[:, None], mine[..., :NUMBERS], embed) + time.reshape(n * t * m, -1)
        pooled = (functional.relu(first) * mine[..., NUMBERS:]).amax(0)
        there = seen.amax(3)
        return functional.relu(summed + self.lift(pooled)).view(n, t, m, -1) * there, there

    def text(self, features: Tensor) -> Tensor:
        """f: features (..., F) to unit vectors (..., D)."""
        return functional.normalize(self.to_text(features), dim=-1)


def window_feature(bodies: Tensor) -> Tensor:
    """Bodies (N, T, M, F) to the scene's feature after the last frame (N, F): the max over the last window."""
    return bodies[:, -WINDOW:].amax(dim=(1, 2))
