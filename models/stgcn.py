"""The papers' encoder: ST-GCN with thin channels, 821,380 parameters, receptive field 153 frames.

Source: the encoder of SMIE (Zhou et al., ACM MM 2023) and PGFA (2025), after Yan et al. (AAAI 2018): ten blocks of
graph convolution, batch norm, ReLU, 9-frame temporal convolution, batch norm, dropout and residual.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.graph import JOINTS, spatial_adjacency

CHANNELS = (16, 16, 16, 16, 32, 32, 32, 64, 64, 256)
STRIDES = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
FEATURES = CHANNELS[-1]
"""Dimension of a clip's feature."""
TEMPORAL_KERNEL = 9


class Block(nn.Module):
    """Graph convolution, temporal convolution, residual: (N, C, T, V) -> (N, C', T / stride, V).

    Args:
        inputs: C.
        outputs: C'.
        stride: step of the temporal convolution.
        dropout: probability of dropping a value before the residual is added.
        residual: whether the input is added to the output (by 1x1 convolution where the shape changes).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float, *, residual: bool) -> None:
        super().__init__()
        adjacency = torch.from_numpy(spatial_adjacency())
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.importance = nn.Parameter(torch.ones_like(adjacency))
        self.spatial = nn.Conv2d(inputs, len(adjacency) * outputs, 1)
        self.spatial_norm = nn.BatchNorm2d(outputs)
        self.temporal = nn.Conv2d(
            outputs, outputs, (TEMPORAL_KERNEL, 1), (stride, 1), padding=(TEMPORAL_KERNEL // 2, 0)
        )
        self.temporal_norm = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.residual = residual
        self.shortcut: nn.Module | None = None
        if residual and (inputs != outputs or stride != 1):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, (stride, 1)), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        graph = self.get_buffer("adjacency") * self.importance  # (K, V, V)
        n, _, t, v = x.shape
        y = self.spatial(x).view(n, len(graph), -1, t, v)  # (N, K, C', T, V)
        y = torch.einsum("nkctv,kvw->nctw", y, graph)
        y = torch.relu(self.spatial_norm(y))
        y = self.dropout(self.temporal_norm(self.temporal(y)))
        if self.residual:
            y = y + (x if self.shortcut is None else self.shortcut(x))
        return torch.relu(y)


class STGCN(nn.Module):
    """Clips to features: (N, 3, T, V=25) or (N, 3, T, V, M) -> (N, 256), the mean over bodies where there are several.

    Args:
        dropout: probability in every block but the first (the papers use 0.5).
    """

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm1d(3 * len(JOINTS))
        inputs = (3, *CHANNELS[:-1])
        self.blocks = nn.Sequential(
            *(
                Block(c, channels, stride, dropout if i else 0.0, residual=i > 0)
                for i, (c, channels, stride) in enumerate(zip(inputs, CHANNELS, STRIDES, strict=True))
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        bodies = 1
        if x.dim() == 5:
            bodies = x.shape[4]
            x = x.permute(0, 4, 1, 2, 3).flatten(0, 1)  # (N * M, C, T, V)
        n, c, t, v = x.shape
        x = self.input_norm(x.permute(0, 1, 3, 2).reshape(n, c * v, t))
        x = x.view(n, c, v, t).permute(0, 1, 3, 2)
        features: Tensor = self.blocks(x).mean(dim=(2, 3))
        return features.view(-1, bodies, FEATURES).mean(dim=1)


class TextAlignedSTGCN(nn.Module):
    """ST-GCN and PGFA's linear map to the text space: (N, 3, T, V) -> (N, D), unit norm.

    Args:
        text_dim: D, the dimension of the text vectors.
        dropout: see `STGCN`.
    """

    def __init__(self, text_dim: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = STGCN(dropout)
        self.projection = nn.Linear(FEATURES, text_dim)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.projection(self.encoder(x)), dim=1)
