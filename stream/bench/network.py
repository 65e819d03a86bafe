"""The network under test: the shipped one, what goes into it, and how much it computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from models.checkpoint import WEIGHTS, load, read_manifest, read_tensors
from models.graph import JOINTS
from models.normaliser import INPUTS
from models.streaming import StreamingNetwork
from stream.bench.clock import per_call
from stream.bench.plan import BenchError

Float32Array = NDArray[np.float32]

FRAMES = 50
"""Frames in a window."""
GEMM_SIZES = (512, 1024, 2048)
SHIPPED = Path(__file__).parents[2] / "models" / "weights" / "default"


def shipped_network() -> StreamingNetwork:
    """The model that ships, in evaluation mode.

    Raises:
        ModelError: it cannot be read.
    """
    manifest = read_manifest(SHIPPED)
    network = StreamingNetwork(**manifest.arguments)  # type: ignore[arg-type]  # numbers, which it checks
    weights = read_tensors(SHIPPED / WEIGHTS, manifest.weights_sha256)
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return network.eval().requires_grad_(False)


def inputs(streams: int, frames: int, device: str = "cpu") -> Tensor:
    """Made-up normalised frames, (streams, frames, `INPUTS`): what is in them does not change what they cost."""
    return torch.randn(streams, frames, INPUTS, generator=torch.Generator().manual_seed(streams)).to(device)


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of all matrix products and convolutions of a call, a multiply-add as two."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def stepper(streams: int, frames: int, device: str = "cpu") -> Callable[[], Float32Array]:
    """A call that steps so many tracks by so many frames each, from joints to judged features, as the daemon does.

    Raises:
        ModelError: the shipped model cannot be read, or the device is not there.
    """
    states = load(SHIPPED, device).track_states(frames)
    if states is None:
        raise BenchError(f"{SHIPPED}: cannot be stepped; expected a streaming model")
    x, mask = people(streams, frames)
    keys = range(streams)
    return lambda: states.step(keys, x.transpose(0, 2, 3, 1), mask)


def people(number: int, frames: int) -> tuple[Float32Array, Float32Array]:
    """Made-up people as windows have them: joints (number, 3, frames, V) in metres, masks (number, frames, V)."""
    x = np.random.default_rng(number).normal(0, 0.5, (number, 3, frames, len(JOINTS))).astype(np.float32)
    return x, np.ones((number, frames, len(JOINTS)), np.float32)


def gemm_peak(dtype: torch.dtype, seconds: float, runs: int, device: str = "cpu") -> list[float]:
    """Measured peak of matrix products in FLOP/s: in each run that of the square size that does best.

    Args:
        dtype, device: of the matrices.
        seconds: how long each size is tried in each run.
        runs: number of runs.
    """
    rates: list[list[float]] = []
    for size in GEMM_SIZES:
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        out = torch.empty_like(a)
        took = per_call(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), seconds, runs, settled(device))  # type: ignore[misc]
        rates.append([2 * size**3 / each for each in took])
    return [max(run) for run in zip(*rates, strict=True)]


def settled(device: str) -> Callable[[], object]:
    """Waits until a device has done what it was given."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None
