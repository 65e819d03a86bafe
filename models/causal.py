"""The streaming encoder: a causal temporal network over whole skeletons, as a clip at once or step by step.

A frame's inputs (`models.normaliser`) and the velocities of its joints are one vector; residual blocks of causal
temporal convolutions follow. An output depends on its own frame and earlier ones only, so the network can be stepped as
a stream comes in, and gives what the whole clip gives (tests hold the two together to 1e-5).

One output for every `STRIDE` = 4 frames, of the newest of them; each depends on `RECEPTIVE_FIELD` = 50 frames, the
length of a window. Stepping with remembered inputs: Hedegaard et al., "Continual Inference Networks" (ECCV 2022). What
serves the tracks of many cameras, each at its own phase, is `models.track_states`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.normaliser import INPUTS, POSE

KERNELS = (5, 5, 5, 5, 5, 3)
STRIDES = (1, 2, 1, 2, 1, 1)
STRIDE = 4
"""Frames to one output."""
RECEPTIVE_FIELD = 50
"""Frames that one output depends on: one for the velocities, 49 for the convolutions."""
POSE_SIZE = POSE.stop - POSE.start


@dataclass(slots=True)
class State:
    """What N streams must remember between steps.

    Attributes:
        pose: (N, 3 V) joints of the last frame.
        started: (N,) whether there was one.
        inputs: for each block, its last inputs, (N, channels, kernel - stride).
    """

    pose: Tensor
    started: Tensor
    inputs: list[Tensor]


class Block(nn.Module):
    """Batch norm, causal convolution, GELU, pointwise layer; plus each output's newest input.

    Args:
        channels: width.
        hidden: width between the two layers.
        kernel: frames that an output sees.
        stride: frames to one output.
        dropout: before the sum, in training.
    """

    def __init__(self, channels: int, hidden: int, kernel: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.norm = nn.BatchNorm1d(channels)
        self.temporal = nn.Conv1d(channels, hidden, kernel, stride)
        self.mix = nn.Conv1d(hidden, channels, 1)
        self.dropout = nn.Dropout(dropout)

    @property
    def memory(self) -> int:
        """Past inputs that the convolution needs."""
        return self.kernel - self.stride

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (N, C, T) after `past` (N, C, memory) to outputs (N, C, T / stride) and the next `past`."""
        # What is remembered is normalised: before a stream's start there are zeros, whatever the norm's offset.
        y = torch.cat((past, self.norm(x)), dim=2)
        following = y[:, :, y.shape[2] - self.memory :]
        y = self.mix(nn.functional.gelu(self.temporal(y)))
        return x[:, :, self.stride - 1 :: self.stride] + self.dropout(y), following


class CausalEncoder(nn.Module):
    """Normalised frames to features, one for every four frames.

    Args:
        channels: width of the blocks.
        hidden: width inside of them.
        features: F of the features.
        dropout: in the blocks, in training.
    """

    def __init__(self, channels: int = 192, hidden: int = 320, features: int = 384, dropout: float = 0.1) -> None:
        super().__init__()
        self.channels = channels
        self.sizes = {"channels": channels, "hidden": hidden, "features": features}
        self.norm = nn.BatchNorm1d(INPUTS + POSE_SIZE)
        self.embed = nn.Conv1d(INPUTS + POSE_SIZE, channels, 1)
        self.blocks = nn.ModuleList(
            Block(channels, hidden, kernel, stride, dropout) for kernel, stride in zip(KERNELS, STRIDES, strict=True)
        )
        self.head = nn.Sequential(nn.BatchNorm1d(channels), nn.Conv1d(channels, features, 1), nn.GELU())

    def init(self, streams: int) -> State:
        """The state before the first frame."""
        parameter = self.embed.weight
        return State(
            parameter.new_zeros(streams, POSE_SIZE),
            torch.zeros(streams, dtype=torch.bool, device=parameter.device),
            [
                parameter.new_zeros(streams, self.channels, kernel - stride)
                for kernel, stride in zip(KERNELS, STRIDES, strict=True)
            ],
        )

    def forward(self, x: Tensor) -> Tensor:
        """A whole clip from its first frame: (N, T, `INPUTS`) to features (N, F, T / 4); T a multiple of 4."""
        features, _ = self.step(x, self.init(len(x)))
        return features

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The next frames of N streams.

        Args:
            x: (N, T, `INPUTS`) normalised frames, T a multiple of 4.
            state: of the same N streams.

        Returns:
            Features (N, F, T / 4) and the state after them.

        Raises:
            ValueError: T is not a multiple of 4.
        """
        if x.shape[1] == 0 or x.shape[1] % STRIDE:
            raise ValueError(f"{x.shape[1]} frames; expected a multiple of {STRIDE}")
        x = x.transpose(1, 2)
        pose = x[:, POSE]
        first = torch.where(state.started[:, None], state.pose, pose[:, :, 0])
        velocity = pose - torch.cat((first[:, :, None], pose[:, :, :-1]), dim=2)
        y = self.embed(self.norm(torch.cat((x, velocity), dim=1)))
        following = []
        for block, past in zip(self.blocks, state.inputs, strict=True):
            y, kept = block(y, past.to(y.dtype))
            following.append(kept)
        return self.head(y), State(pose[:, :, -1], torch.ones_like(state.started), following)
