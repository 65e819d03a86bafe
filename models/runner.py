"""Running a function of arrays on a backend: as it is, or, on CUDA, as graphs that were recorded of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.backend import Backend

Float32Array = NDArray[np.float32]
Work = Callable[..., Tensor]
"""Tensors on the backend's device to a float32 tensor there; what else it changes, it changes in place."""
Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""Makes of a function without arguments one that repeats what it did."""
RECORDED_AFTER = 3
"""Runs of a shape before it is recorded: what libraries set up on their first runs must not be part of a recording."""


class Runner(Protocol):
    """Runs a function of arrays.

    Attributes:
        recorded: whether there is a recording for each shape of the arrays, of which there should be few then; and
            the tensors that the function changes must never be exchanged for others.
    """

    recorded: bool

    def __call__(self, *arrays: NDArray[Any]) -> Float32Array:
        """The function's result for these arrays."""
        ...


class Eager:
    """Runs a function as it is.

    Args:
        work: the function.
        device: where it runs.
    """

    recorded = False

    def __init__(self, work: Work, device: str) -> None:
        self._work, self._device = work, device

    def __call__(self, *arrays: NDArray[Any]) -> Float32Array:
        with torch.inference_mode():
            result = self._work(*(torch.from_numpy(array).to(self._device) for array in arrays))
            return np.asarray(result.cpu().numpy(), np.float32)


class Recorded:
    """Runs a function by replaying a recording of it: one launch rather than one for each of its sixty kernels.

    The arrays go through page-locked memory, and the result is waited for once.

    Args:
        work: the function.
        record: what records it, such as a `CudaRecorder`.
        device: where it runs.
    """

    recorded = True

    def __init__(self, work: Work, record: Record, device: str = "cuda") -> None:
        self._work, self._record, self._device = work, record, device
        self._recordings: dict[tuple[tuple[int, ...], ...], _Recording] = {}

    def __call__(self, *arrays: NDArray[Any]) -> Float32Array:
        shapes = tuple(array.shape for array in arrays)
        with torch.inference_mode():
            if shapes not in self._recordings:
                self._recordings[shapes] = _Recording(self._work, self._record, self._device, arrays)
            return self._recordings[shapes].run(arrays)


class _Recording:
    """A function recorded for arrays of one shape."""

    def __init__(self, work: Work, record: Record, device: str, arrays: tuple[NDArray[Any], ...]) -> None:
        self._staged = [torch.from_numpy(array).clone() for array in arrays]
        if device == "cuda":
            self._staged = [tensor.pin_memory() for tensor in self._staged]
        self._inputs = [tensor.to(device) for tensor in self._staged]
        self._repeat = record(lambda: work(*self._inputs))

    def run(self, arrays: tuple[NDArray[Any], ...]) -> Float32Array:
        """The result for arrays of the recorded shape."""
        for array, staged, target in zip(arrays, self._staged, self._inputs, strict=True):
            staged.copy_(torch.from_numpy(array))
            target.copy_(staged, non_blocking=True)
        return np.array(self._repeat().cpu().numpy(), np.float32)


class CudaRecorder:
    """Records functions as CUDA graphs, which share their memory: they are never replayed at the same time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """A function is run a few times first: it must do the same when it is run again."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(RECORDED_AFTER):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            result = work()

        def repeat() -> Tensor:
            graph.replay()
            return result

        return repeat


def runner(work: Work, backend: Backend) -> Runner:
    """What runs a function on a backend."""
    return Recorded(work, CudaRecorder()) if backend.device == "cuda" else Eager(work, backend.device)
