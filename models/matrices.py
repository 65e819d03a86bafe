"""The streaming network as matrices: what serves, on any backend, windows and steps alike.

Batch norms are folded into their neighbours where nothing lies between. A convolution is one matrix product of all its
inputs, (rows, kernel * C) by (kernel * C, H), rows being the outputs of all windows or tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.backend import CPU, Backend
from models.causal import POSE_SIZE, Block
from models.normaliser import INPUTS, POSE
from models.streaming import POOLED, StreamingNetwork, padded

AT_ONCE = 32
"""Windows that a CPU computes at once, though more may come: what they need between two layers stays in its cache."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A product and what is added: (rows, C) to (rows, H).

    Attributes:
        matrix: (C, H).
        bias: (H,).
    """

    matrix: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.matrix)


@dataclass(frozen=True, slots=True)
class Layer:
    """A block of the encoder.

    Attributes:
        kernel, stride: rows that an output sees, and rows from one output to the next.
        scale, shift: (C,) the batch norm; it is not folded further, since zeros stand for what was before a stream.
        temporal, mix: the two layers, (kernel C, H) and (H, C).
    """

    kernel: int
    stride: int
    scale: Tensor
    shift: Tensor
    temporal: Linear
    mix: Linear

    def normed(self, y: Tensor, out: Tensor | None = None) -> Tensor:
        """What the layer sees of rows (..., C), and what is remembered of them."""
        return torch.addcmul(self.shift, y, self.scale, out=out)

    def __call__(self, seen: Tensor, newest: Tensor) -> Tensor:
        """Inputs (rows, kernel C), normed, and the newest of each as it is, (rows, C), to outputs (rows, C)."""
        return newest + self.mix(nn.functional.gelu(self.temporal(seen)))


class Matrices:
    """A trained network, ready to serve. Its results are float32 on every backend.

    Args:
        network: with its trained weights, in evaluation mode; it is moved to the backend's device.
        backend: where it runs, and in what numbers the encoder computes; what is read off its features is float32.

    Attributes:
        backend: see above.
        channels, features: C within the encoder, F of the features.
        embed, layers, head: the encoder, from inputs and velocities (`INPUTS` + `POSE_SIZE`) to features.

    Raises:
        TypeError: a block is none of the causal encoder.
    """

    def __init__(self, network: StreamingNetwork, backend: Backend = CPU) -> None:
        self.backend = backend
        self._network = network.to(backend.device)
        encoder = network.encoder
        self.channels, self.features = encoder.channels, network.own.in_features
        self.embed = self._linear(*_folded(encoder.norm, encoder.embed))
        self.layers = tuple(self._layer(block) for block in encoder.blocks)
        self.head = self._linear(*_folded(encoder.head[0], encoder.head[1]))

    def __call__(self, x: Tensor, *, whole: bool = False) -> Tensor:
        """Windows as `StreamingNetwork.forward` takes them, (N, T, `INPUTS`) float32, to what `judge` gives, (N, ...).

        On the CPU they are computed in parts of `AT_ONCE`.
        """
        if self.backend.device == "cpu" and len(x) > AT_ONCE:
            return torch.cat([self(part, whole=whole) for part in torch.split(x, AT_ONCE)])
        outputs = self._outputs(x.to(self.backend.device))
        # As in `StreamingNetwork.forward`: the first output has seen next to nothing.
        return self.judge((outputs[:, 1:] if whole else outputs[:, -POOLED:]).float().mean(dim=1))

    def judge(self, features: Tensor) -> Tensor:
        """See `StreamingNetwork.judge`."""
        return self._network.judge(features)

    def _outputs(self, x: Tensor) -> Tensor:
        """(N, T, `INPUTS`) to features (N, T / 4, F)."""
        n, missing = len(x), padded(x.shape[1])
        frames = missing + x.shape[1]
        inputs = x.new_zeros(n, frames, INPUTS + POSE_SIZE)
        inputs[:, :missing, :INPUTS] = x[:, :1]
        inputs[:, missing:, :INPUTS] = x
        torch.sub(inputs[:, 1:, POSE], inputs[:, :-1, POSE], out=inputs[:, 1:, INPUTS:])
        y = self.embed(inputs.flatten(0, 1).to(self.backend.dtype))
        for layer in self.layers:
            before = layer.kernel - layer.stride
            rows, outputs = before + frames, frames // layer.stride
            memory = y.new_zeros(n, rows, self.channels)
            layer.normed(y.view(n, frames, -1), out=memory[:, before:])
            strides = (rows * self.channels, layer.stride * self.channels, 1)
            seen = memory.as_strided((n, outputs, layer.kernel * self.channels), strides)
            newest = y.view(n, frames, -1)[:, layer.stride - 1 :: layer.stride]
            y, frames = layer(seen.flatten(0, 1), newest.flatten(0, 1)), outputs
        return nn.functional.gelu(self.head(y)).view(n, frames, -1)

    def _layer(self, block: nn.Module) -> Layer:
        if not isinstance(block, Block):
            raise TypeError(f"{type(block).__name__}; expected a block of the causal encoder")
        temporal, mix = block.temporal, block.mix
        if temporal.bias is None or mix.bias is None:
            raise TypeError("a block's layers without bias; expected both with one")
        scale, shift = _affine(block.norm)
        return Layer(
            block.kernel,
            block.stride,
            self._held(scale),
            self._held(shift),
            self._linear(temporal.weight.detach().permute(2, 1, 0).flatten(0, 1), temporal.bias),
            self._linear(mix.weight.detach()[:, :, 0].T, mix.bias),
        )

    def _linear(self, matrix: Tensor, bias: Tensor) -> Linear:
        return Linear(self._held(matrix), self._held(bias))

    def _held(self, tensor: Tensor) -> Tensor:
        return tensor.detach().clone().to(self.backend.device, self.backend.dtype).contiguous()


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A batch norm as scale and shift, in double precision."""
    state = {name: value.detach().double() for name, value in norm.state_dict().items()}
    scale = state["weight"] / torch.sqrt(state["running_var"] + getattr(norm, "eps", 0.0))
    return scale, state["bias"] - scale * state["running_mean"]


def _folded(norm: nn.Module, layer: nn.Module) -> tuple[Tensor, Tensor]:
    """A batch norm and the pointwise layer after it as one matrix (in, out) and its bias."""
    scale, shift = _affine(norm)
    state = {name: value.detach().double() for name, value in layer.state_dict().items()}
    weight = state["weight"][:, :, 0]
    return (weight * scale).T, state["bias"] + weight @ shift
