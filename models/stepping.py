"""The layers of the streaming encoder as matrices, and where each finds its inputs in what is remembered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.causal import Block

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ring:
    """Where in the last rows of a track a layer finds its inputs.

    Attributes:
        rows: kept of one track; row n of the track is at place n modulo this.
        new: rows that each group of frames adds.
        every: rows to one output; the first output ends at row `every - 1` of the new ones.
        inputs: (inputs,) which rows an output takes, counted from the one that it ends at.
    """

    rows: int
    new: int
    every: int
    inputs: IntArray

    @classmethod
    def of(cls, new: int, every: int, kernel: int, apart: int, groups: int) -> Ring:
        """Of a layer whose outputs see `kernel` rows, so many rows apart, where `groups` at most come at once."""
        return cls((kernel - 1) * apart + groups * new, new, every, -apart * np.arange(kernel)[::-1])

    def added(self, first: IntArray, groups: int) -> IntArray:
        """Places (N, new) that are written, where `first` (N,) is the number of a track's first new row."""
        return np.asarray((first[:, None] + np.arange(groups * self.new)) % self.rows)

    def taken(self, first: IntArray, groups: int) -> IntArray:
        """Places (N, outputs, inputs) that are read."""
        ends = np.arange(self.every - 1, groups * self.new, self.every)
        return np.asarray((first[:, None, None] + (ends[:, None] + self.inputs)) % self.rows)


@dataclass(frozen=True, slots=True)
class Layer:
    """A block as matrices, and where its inputs are remembered.

    Attributes:
        scale, shift: (C,) the batch norm; it is not folded further, since zeros stand for what was before a track.
        temporal, mix: (inputs C, H) and (H, C), each with its bias.
    """

    ring: Ring
    scale: Tensor
    shift: Tensor
    temporal: Tensor
    temporal_bias: Tensor
    mix: Tensor
    mix_bias: Tensor


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A batch norm as scale and shift."""
    state = {name: value.detach().double() for name, value in norm.state_dict().items()}
    scale = state["weight"] / torch.sqrt(state["running_var"] + getattr(norm, "eps", 0.0))
    return scale, state["bias"] - scale * state["running_mean"]


def folded(norm: nn.Module, layer: nn.Module) -> tuple[Tensor, Tensor]:
    """A batch norm and the pointwise layer after it as one matrix (in, out) and its bias."""
    scale, shift = _affine(norm)
    state = {name: value.detach().double() for name, value in layer.state_dict().items()}
    weight = state["weight"][:, :, 0]
    return (weight * scale).T.float().contiguous(), (state["bias"] + weight @ shift).float()


def layer_of(block: nn.Module, ring: Ring) -> Layer:
    """A block of the causal encoder as matrices.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(block, Block):
        raise TypeError(f"{type(block).__name__}; expected a block of the causal encoder")
    scale, shift = _affine(block.norm)
    temporal, mix = block.temporal, block.mix
    if temporal.bias is None or mix.bias is None:
        raise TypeError("a block's layers without bias; expected both with one")
    return Layer(
        ring,
        scale.float(),
        shift.float(),
        temporal.weight.detach().permute(2, 1, 0).flatten(0, 1).contiguous(),
        temporal.bias.detach().clone(),
        mix.weight.detach()[:, :, 0].T.contiguous(),
        mix.bias.detach().clone(),
    )
