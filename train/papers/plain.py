"""A straightforward reading of the papers' training, to measure and to check ours by.

It does what the released code of SMIE and PGFA does, as far as we know it: two bodies in every clip, of which one is
mostly zeros; a 1x1 convolution to three times the channels and then the product with the graph; dropout by Bernoulli
draws; the whole of SMIE's estimator on every pair of clip and text.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.graph import spatial_adjacency
from models.methods.method import FEATURES
from models.methods.pgfa import SHARPNESS, TEMPERATURE
from models.methods.smie import CONSTRAINT
from models.stgcn import CHANNELS, STRIDES, TEMPORAL_KERNEL, V


class PlainGraph(nn.Module):
    """sum_k (W_k x + b_k) A_k, (N, C, T, V) -> (N, C', T, V), channels first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.from_numpy(spatial_adjacency()), persistent=False)
        self.importance = nn.Parameter(torch.ones_like(self.get_buffer("adjacency")))
        self.mix = nn.Conv2d(inputs, outputs * len(self.importance), 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(x).unflatten(1, (len(self.importance), -1))
        return torch.einsum("nkctv,kvw->nctw", y, self.get_buffer("adjacency") * self.importance).contiguous()


class PlainBlock(nn.Module):
    """Graph convolution, temporal convolution, residual; see `models.stgcn.Block`."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float, *, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.spatial, self.spatial_norm = PlainGraph(inputs, outputs), nn.BatchNorm2d(outputs)
        padding = (TEMPORAL_KERNEL // 2, 0)
        self.temporal = nn.Conv2d(outputs, outputs, (TEMPORAL_KERNEL, 1), (stride, 1), padding)
        self.temporal_norm, self.dropout = nn.BatchNorm2d(outputs), nn.Dropout(dropout)
        self.shortcut: nn.Module = nn.Identity()
        if residual and (inputs != outputs or stride != 1):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, (stride, 1)), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.spatial_norm(self.spatial(x)))
        y = self.dropout(self.temporal_norm(self.temporal(y)))
        return torch.relu(y + self.shortcut(x) if self.residual else y)


class PlainSTGCN(nn.Module):
    """Clips (N, 3, T, V, 2) to features (N, 256), the mean over two bodies; names of weights as in `models.stgcn`."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm1d(3 * V)
        shapes = zip((3, *CHANNELS[:-1]), CHANNELS, STRIDES, strict=True)
        self.blocks = nn.Sequential(
            *(
                PlainBlock(c, d, stride, dropout if i else 0.0, residual=i > 0)
                for i, (c, d, stride) in enumerate(shapes)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        n, c, t, v, m = x.shape
        y = self.input_norm(x.permute(0, 4, 1, 3, 2).reshape(n * m, c * v, t))
        y = self.blocks(y.view(n * m, c, v, t).transpose(2, 3).contiguous())
        features: Tensor = y.mean(dim=(2, 3)).view(n, m, FEATURES).mean(dim=1)
        return features


def plain_estimator(text_dim: int) -> nn.Sequential:
    """SMIE's T on concatenated pairs (N, 256 + D)."""
    return nn.Sequential(
        nn.Linear(FEATURES + text_dim, 1024), nn.ReLU(), nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 1)
    )


def plain_smie(estimator: nn.Module, features: Tensor, masked: Tensor, texts: Tensor, beta: float) -> Tensor:
    """SMIE's loss of features (B, 256) of clips and of their masked copies, and each clip's own text (B, D)."""

    def score(x: Tensor) -> Tensor:
        scores: Tensor = estimator(torch.cat((functional.layer_norm(x, (FEATURES,)), texts), dim=1))
        return scores

    apart = functional.softplus(score(features.roll(1, 0))).mean()
    whole = -functional.softplus(-score(features)).mean() - apart
    without = -functional.softplus(-score(masked)).mean() - apart
    return -whole + CONSTRAINT * functional.relu(beta - (whole - without))


def plain_pgfa(z: Tensor, texts: Tensor, labels: Tensor) -> Tensor:
    """PGFA's loss of projected features (B, D) and each clip's own text (B, D)."""
    s = functional.normalize(z, dim=1) @ functional.normalize(texts, dim=1).T / TEMPERATURE
    q = torch.softmax(SHARPNESS * (labels[:, None] == labels).to(s.dtype), dim=1)
    ways = [(q * (q.log() - torch.log_softmax(side, dim=1))).sum(dim=1).mean() for side in (s, s.T)]
    return (ways[0] + ways[1]) / 2
