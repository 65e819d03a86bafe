"""The peer made of the blocks of `continual-inference` (Hedegaard et al., ECCV 2022), with our weights; extra "bench".

Two networks: ours, layer by layer and with its very weights, whose outputs are ours to rounding; and the papers' ST-GCN
with continual temporal convolutions, as that library's authors publish it ("CoST-GCN", 2022), with the shapes of
`models.stgcn` and no strides in time (theirs has none either: a strided one answers every fourth frame only).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import continual as co
import torch
from torch import Tensor, nn

from models.causal import Block, CausalEncoder
from models.normaliser import INPUTS, POSE
from models.stgcn import CHANNELS, TEMPORAL_KERNEL, GraphConvolution, V

logging.getLogger("continual").setLevel(logging.ERROR)  # it warns of each stride
STEP_INPUTS = INPUTS + POSE.stop - POSE.start


class ContinualBlock(nn.Module):
    """A block of `models.causal` made of their layers.

    Args:
        block: the block to copy.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        hidden, channels, kernel = block.temporal.weight.shape
        temporal = co.Conv1d(channels, hidden, kernel, stride=block.stride, padding=block.memory)
        mix = co.Conv1d(hidden, channels, 1)
        temporal.load_state_dict(block.temporal.state_dict())
        mix.load_state_dict(block.mix.state_dict())
        self.norm, self.temporal, self.act, self.mix = block.norm, temporal, nn.GELU(), mix

    def forward_step(self, x: Tensor) -> Tensor | None:
        """The next frame (N, C) to the next output, or None while a stride swallows it."""
        y = self.temporal.forward_step(self.norm(x))
        if not isinstance(y, Tensor):
            return None
        mixed: Tensor = self.mix.forward_step(self.act(y))
        return x + mixed


class ContinualEncoder(nn.Module):
    """`models.causal.CausalEncoder` made of their layers, stepped frame by frame.

    Args:
        encoder: ours, whose weights it shares.
    """

    def __init__(self, encoder: CausalEncoder) -> None:
        super().__init__()
        self.norm, self.embed, self.head = encoder.norm, encoder.embed, encoder.head
        self._blocks = [ContinualBlock(block) for block in encoder.blocks if isinstance(block, Block)]
        self.blocks = nn.ModuleList(self._blocks)

    def forward_step(self, x: Tensor) -> Tensor | None:
        """The next frame with its velocities, (N, `STEP_INPUTS`), to features (N, F), or None in between."""
        y: Tensor = self.embed(self.norm(x)[:, :, None])[:, :, 0]
        for block in self._blocks:
            after = block.forward_step(y)
            if after is None:
                return None
            y = after
        features: Tensor = self.head(y[:, :, None])[:, :, 0]
        return features


def encoder_stepper(encoder: CausalEncoder, streams: int) -> Callable[[], object]:
    """A call that steps so many streams by one frame."""
    peer = ContinualEncoder(encoder).eval()
    x = torch.randn(streams, STEP_INPUTS)
    return lambda: peer.forward_step(x)


def graph_stepper(streams: int) -> Callable[[], object]:
    """A call that steps an ST-GCN of their blocks by one frame of so many streams."""
    layers: list[nn.Module] = []
    for c, channels in zip((3, *CHANNELS[:-1]), CHANNELS, strict=True):
        inside = co.Sequential(
            co.forward_stepping(GraphConvolution(c, channels)),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            co.Conv2d(channels, channels, (TEMPORAL_KERNEL, 1), padding=(TEMPORAL_KERNEL // 2, 0)),
            nn.BatchNorm2d(channels),
        )
        if layers and c == channels:
            layers.append(co.Residual(inside))
        elif layers:
            shortcut = co.Sequential(co.Conv2d(c, channels, (1, 1)), nn.BatchNorm2d(channels))
            layers.append(co.BroadcastReduce(shortcut, inside, auto_delay=True))
        else:  # the first block has no residual
            layers.append(inside)
        layers.append(nn.ReLU())
    network = co.Sequential(*layers).eval().requires_grad_(False)
    x = torch.randn(streams, 3, V)
    return lambda: network.forward_step(x)
