"""Shift-GCN, whose published weights know NTU RGB+D's actions, in plain PyTorch: 0.77 M parameters.

Source: Cheng et al., "Skeleton-Based Action Recognition With Shift Graph Convolutional Network" (CVPR 2020), and the
released code and weights (github.com/kchengiva/Shift-GCN, CC BY-NC 4.0), whose parameter names are kept. Nothing is
convolved over joints or frames: channels are shifted between joints (a fixed permutation) and along time (a learned
fractional delay for each channel), and mixed by 1x1 convolutions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.graph import JOINTS

V = len(JOINTS)
BODIES = 2
CHANNELS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
STRIDES = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
FEATURES = CHANNELS[-1]
"""Dimension of a clip's feature."""
FRAME_STEP = 4
"""The number of frames must be a multiple of this, the product of the strides."""
BLOCK = 64
"""Frames that a temporal shift makes with one matrix product; a multiple of the strides."""

# Inside the network a batch is one tensor (C, V, N, T) with N the bodies of all clips: shifting over joints then copies
# whole rows, and mixing channels and shifting along time are single (batched) matrix products.


class TemporalShift(nn.Module):
    """Delay each channel by a learned number of frames, with linear interpolation and zeros outside of the clip.

    Args:
        channels: C.
        stride: every how many frames there is an output; with 2, half a frame is added to the delays.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.xpos = nn.Parameter(torch.zeros(channels), requires_grad=False)
        """The published op's shift over joints: kept within 1e-8 of zero in its training, and so not applied."""
        self.ypos = nn.Parameter(torch.empty(channels).uniform_(-1, 1))
        """(C,) how many frames later the input is read."""

    def forward(self, x: Tensor) -> Tensor:
        c, v, n, t = x.shape
        rows = x.view(c, v * n, t)
        late = (self.ypos + (0.5 if self.stride > 1 else 0.0))[:, None, None]
        reach = math.ceil(float(late.detach().abs().max()))
        parts = []
        for start in range(0, t, BLOCK):
            stop = min(start + BLOCK, t)
            low, high = max(start - reach, 0), min(stop + reach, t)
            source = torch.arange(low, high, device=x.device)[None, :, None]
            target = torch.arange(start, stop, self.stride, device=x.device)[None, None, :]
            matrix = torch.relu(1 - (source - target - late).abs())  # (C, frames read, frames made)
            parts.append(torch.bmm(rows[:, :, low:high], matrix.to(x.dtype)))
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)).view(c, v, n, -1)


class Pointwise(nn.Module):
    """1x1 convolution: (C, V, N, T) -> (D, V, N, T).

    Args:
        inputs: C.
        outputs: D.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1) * (2 / outputs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.addmm(self.bias[:, None], self.weight.flatten(1), x.reshape(len(x), -1))
        return mixed.view(-1, *x.shape[1:])


class ChannelNorm(nn.BatchNorm1d):
    """Batch norm of (C, V, N, T) over all but its channels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(1, len(x), -1)).view(x.shape)


class SpatialShift(nn.Module):
    """Shift over joints, mix the channels, shift back: (C, V, N, T) -> (D, V, N, T).

    Args:
        inputs: C.
        outputs: D.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.Linear_weight = nn.Parameter(torch.randn(inputs, outputs) / outputs**0.5)
        self.Linear_bias = nn.Parameter(torch.zeros(1, 1, outputs))
        self.Feature_Mask = nn.Parameter(torch.zeros(1, V, inputs))
        self.shift_in = nn.Parameter(shift_index(inputs, 1), requires_grad=False)
        self.shift_out = nn.Parameter(shift_index(outputs, -1), requires_grad=False)
        self.bn = nn.BatchNorm1d(V * outputs)
        self.down = nn.Sequential(Pointwise(inputs, outputs), ChannelNorm(outputs)) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        c, v, n, t = x.shape
        d = self.Linear_weight.shape[1]
        source = _row(self.shift_in, c).view(v, c).T.flatten()
        y = x.reshape(c * v, n * t).index_select(0, source).view(c, v, n, t)
        y = y * (torch.tanh(self.Feature_Mask[0].T) + 1).to(y.dtype)[:, :, None, None]
        y = torch.addmm(self.Linear_bias[0, 0, :, None], self.Linear_weight.T, y.view(c, -1))
        y = y.view(d * v, n * t).index_select(0, _row(self.shift_out, d))  # joint by joint, as the batch norm has it
        y = self.bn(y[None]).view(v, d, n, t).transpose(0, 1)
        return torch.relu_((x if self.down is None else self.down(x)) + y)


def shift_index(channels: int, direction: int) -> Tensor:
    """The published shift: channel c of joint v is read from joint v + direction * c (modulo V); (V * C,) int64."""
    joint, channel = torch.arange(V)[:, None], torch.arange(channels)[None, :]
    return ((joint + direction * channel) % V * channels + channel).flatten()


def _row(index: Tensor, channels: int) -> Tensor:
    """From places in (V, C), as the weights have them, to places in (C, V)."""
    return index % channels * V + index // channels


class TemporalPart(nn.Module):
    """Shift along time, mix the channels, shift again: (C, V, N, T) -> (C, V, N, T / stride)."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.bn = ChannelNorm(channels)
        self.shift_in = TemporalShift(channels)
        self.temporal_linear = Pointwise(channels, channels)
        self.shift_out = TemporalShift(channels, stride)
        self.bn2 = ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.temporal_linear(self.shift_in(self.bn(x))))
        normed: Tensor = self.bn2(self.shift_out(y))
        return normed


class PointwiseShortcut(nn.Module):
    """1x1 convolution of every second frame, and batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Pointwise(inputs, outputs)
        self.bn = ChannelNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.conv(x[..., ::2]))
        return normed


class Unit(nn.Module):
    """One block: (C, V, N, T) -> (D, V, N, T / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.gcn1 = SpatialShift(inputs, outputs)
        self.tcn1 = TemporalPart(outputs, stride)
        self.first = first
        self.residual = PointwiseShortcut(inputs, outputs) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.tcn1(self.gcn1(x))
        if not self.first:
            y = y + (x if self.residual is None else self.residual(x))
        return torch.relu_(y)


class ShiftGCN(nn.Module):
    """Clips to class logits: (N, 3, T, V=25, M=2) -> (N, classes); a missing body is all zeros.

    Args:
        classes: number of actions; 60 and 120 are published.
    """

    def __init__(self, classes: int = 120) -> None:
        super().__init__()
        self.data_bn = nn.BatchNorm1d(BODIES * V * 3)
        inputs = (3, *CHANNELS[:-1])
        for i, (c, channels, stride) in enumerate(zip(inputs, CHANNELS, STRIDES, strict=True)):
            self.add_module(f"l{i + 1}", Unit(c, channels, stride, first=i == 0))
        self.fc = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """Features (N, 256): the mean over joints, frames and bodies. T must be a multiple of 4."""
        n, c, t, v, m = x.shape
        if (c, v, m) != (3, V, BODIES) or t == 0 or t % FRAME_STEP:
            raise ValueError(f"expected clips (N, 3, T, {V}, {BODIES}), T a multiple of 4, got {tuple(x.shape)}")
        y = self.data_bn(x.permute(0, 4, 3, 1, 2).reshape(n, m * v * c, t)).view(n * m, v, c, t)
        rows = torch.arange(n * m, device=x.device)
        if not self.training:
            # Missing bodies all look the same: one of them is computed for all.
            for body in range(m):
                missing = rows[body::m][~x[..., body].flatten(1).any(1)]
                rows[missing] = missing[:1]
            kept, rows = torch.unique(rows, return_inverse=True)
            y = y[kept]
        y = y.permute(2, 1, 0, 3).contiguous()  # (C, V, N, T)
        for i in range(len(CHANNELS)):
            y = self.get_submodule(f"l{i + 1}")(y)
        pooled: Tensor = y.mean(dim=(1, 3), dtype=torch.float32).T
        return pooled[rows].view(n, m, FEATURES).mean(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(x))
        return logits
