"""The papers' encoder: ST-GCN with thin channels, 821,380 parameters, receptive field 153 frames.

Source: the encoder of SMIE (Zhou et al., ACM MM 2023) and PGFA (2025), after Yan et al. (AAAI 2018): ten blocks of
graph convolution, batch norm, ReLU, 9-frame temporal convolution, batch norm, dropout and residual.

A clip's feature is the mean over the bodies that are there; the released code takes the mean over two bodies, of which
one is mostly zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.graph import JOINTS, spatial_adjacency

CHANNELS = (16, 16, 16, 16, 32, 32, 32, 64, 64, 256)
STRIDES = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
FEATURES = CHANNELS[-1]
"""Dimension of a clip's feature."""
TEMPORAL_KERNEL = 9
V = len(JOINTS)


class Dropout(nn.Module):
    """Dropout from random bytes: many times faster than Bernoulli draws on a CPU.

    Args:
        p: probability of dropping a value; rounded to 1/256.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropped = round(256 * p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropped:
            return x
        words = torch.empty(x.numel() // 8 + 1, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.dropped
        return x * (kept.to(x.dtype) * (256 / (256 - self.dropped)))


class GraphConvolution(nn.Module):
    """sum_k (W_k x + b_k) A_k: (N, C, T, V) -> (N, C', T, V), with one weight for each entry of the adjacencies.

    Neighbours are summed before channels are mixed: the papers' function, without their transpositions.

    Args:
        inputs: C.
        outputs: C'.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        adjacency = torch.from_numpy(spatial_adjacency())
        subsets = len(adjacency)
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.importance = nn.Parameter(torch.ones_like(adjacency))
        # The sums of the subsets lie side by side along the joints: a kernel dilated by V reads those of one joint.
        self.mix = nn.Conv2d(inputs, outputs, (1, subsets), dilation=(1, V), bias=False)
        self.bias = nn.Parameter(torch.empty(outputs, subsets).uniform_(-1, 1) / inputs**0.5)
        nn.init.uniform_(self.mix.weight, -(inputs**-0.5), inputs**-0.5)  # as a 1x1 convolution of each subset has it

    def forward(self, x: Tensor) -> Tensor:
        graph = self.get_buffer("adjacency") * self.importance  # (K, V, V)
        near = torch.matmul(x, graph.permute(1, 0, 2).flatten(1))  # (N, C, T, K * V)
        mixed: Tensor = self.mix(near)
        return mixed + (self.bias @ graph.sum(dim=1)).to(mixed.dtype)[:, None]


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
        self.spatial = GraphConvolution(inputs, outputs)
        self.spatial_norm = nn.BatchNorm2d(outputs)
        self.temporal = nn.Conv2d(
            outputs, outputs, (TEMPORAL_KERNEL, 1), (stride, 1), padding=(TEMPORAL_KERNEL // 2, 0)
        )
        self.temporal_norm = nn.BatchNorm2d(outputs)
        self.dropout = Dropout(dropout)
        self.residual = residual
        self.shortcut: nn.Module | None = None
        if residual and (inputs != outputs or stride != 1):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, (stride, 1)), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.spatial_norm(self.spatial(x)))
        y = self.dropout(self.temporal_norm(self.temporal(y)))
        if self.residual:
            y = y + (x if self.shortcut is None else self.shortcut(x))
        return torch.relu_(y)


class STGCN(nn.Module):
    """Clips to features: (N, 3, T, V=25) or (N, 3, T, V, M) -> (N, 256).

    With an axis of bodies the feature is the mean over those that are there: not all zeros. A clip of nobody counts as
    one body of zeros.

    Args:
        dropout: probability in every block but the first (the papers use 0.5).
    """

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm1d(3 * V)
        inputs = (3, *CHANNELS[:-1])
        self.blocks = nn.Sequential(
            *(
                Block(c, channels, stride, dropout if i else 0.0, residual=i > 0)
                for i, (c, channels, stride) in enumerate(zip(inputs, CHANNELS, STRIDES, strict=True))
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            return self._bodies(x)
        clips, bodies = len(x), x.shape[4]
        x = x.permute(0, 4, 1, 2, 3)  # (N, M, C, T, V)
        there = x.flatten(2).any(dim=2)
        there[:, 0] |= ~there.any(dim=1)
        if bodies == 1:
            return self._bodies(x[:, 0])
        features = self._bodies(x[there])
        rows = torch.arange(clips, device=x.device)[:, None].expand(-1, bodies)[there]
        total = torch.zeros(clips, FEATURES, device=x.device, dtype=features.dtype).index_add(0, rows, features)
        return total / there.sum(dim=1, keepdim=True)

    def _bodies(self, x: Tensor) -> Tensor:
        """Bodies (N, 3, T, V) to features (N, 256)."""
        n, c, t, v = x.shape
        x = self.input_norm(x.permute(0, 1, 3, 2).reshape(n, c * v, t)).view(n, c, v, t)
        y: Tensor = self.blocks(x.permute(0, 1, 3, 2).contiguous())
        return y.mean(dim=(2, 3), dtype=torch.float32)


class FoldedGraphConvolution(nn.Module):
    """A trained graph convolution and the batch norm after it as one: the same function, for serving.

    Args:
        spatial: the convolution.
        norm: the batch norm.
    """

    def __init__(self, spatial: GraphConvolution, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        state = {name: value.detach() for name, value in norm.state_dict().items()}
        scale = state["weight"] / torch.sqrt(state["running_var"] + norm.eps)
        graph = spatial.get_buffer("adjacency") * spatial.importance.detach()
        bias = spatial.bias.detach() @ graph.sum(dim=1)  # (C', V)
        self.register_buffer("near", graph.permute(1, 0, 2).flatten(1))
        self.register_buffer("weight", spatial.mix.weight.detach() * scale[:, None, None, None])
        shift = state["bias"] - scale * state["running_mean"]
        self.register_buffer("bias", (bias * scale[:, None] + shift[:, None])[:, None])

    def forward(self, x: Tensor) -> Tensor:
        near = torch.matmul(x, self.get_buffer("near"))
        mixed = nn.functional.conv2d(near, self.get_buffer("weight"), dilation=(1, V))
        return mixed + self.get_buffer("bias").to(mixed.dtype)


def fold(network: STGCN) -> None:
    """Fold batch norms and adjacencies of a trained network, in evaluation mode, into their neighbours, in place.

    It gives the same features as before, to rounding, and can no longer be trained or saved.
    """
    for block in network.blocks:
        if isinstance(block, Block) and isinstance(block.spatial, GraphConvolution):
            block.spatial = FoldedGraphConvolution(block.spatial, block.spatial_norm)  # type: ignore[assignment]
            block.temporal = fuse_conv_bn_eval(block.temporal, block.temporal_norm)
            block.spatial_norm = block.temporal_norm = nn.Identity()  # type: ignore[assignment]
            if isinstance(block.shortcut, nn.Sequential):
                block.shortcut = fuse_conv_bn_eval(*block.shortcut)
