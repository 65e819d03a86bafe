"""The encoder alone: windows a second in batches, frames a second step by step, share of the machine's peak."""

from __future__ import annotations

from statistics import median

import torch

from models.backend import Backend, backends
from models.matrices import Matrices
from stream.bench.clock import per_call
from stream.bench.contenders import SERVED
from stream.bench.figures import Result, curve
from stream.bench.network import FRAMES, count_flops, gemm_peak, inputs, settled, shipped_network, stepper
from stream.bench.plan import Plan
from stream.console import plural

BATCHES = (1, 8, 32, 128)


def bench_encoder(plan: Plan) -> Result:
    """Measure the shipped network on one thread, and on a GPU where there is one."""
    result = Result()
    with torch.inference_mode():
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            for backend in backends(device, "auto"):
                _measure(result, plan, backend)
            _step(result, plan, device)
    return result


def _measure(result: Result, plan: Plan, backend: Backend) -> None:
    network, label, device = Matrices(shipped_network(), backend), str(backend), backend.device
    settle = settled(device)
    peaks = gemm_peak(backend.dtype, plan.seconds / 6, plan.runs, device)
    windows, took, flops = [], {}, {}
    for batch in BATCHES:
        x = inputs(batch, FRAMES, device)
        flops[batch] = count_flops(lambda x=x: network(x))  # type: ignore[misc]
        took[batch] = per_call(lambda x=x: network(x), plan.seconds, plan.runs, settle)  # type: ignore[misc]
        result.add(f"{label}, batch {batch}, windows", "windows/s", [batch / each for each in took[batch]])
        windows.append((batch, result.figures[f"{label}, batch {batch}, windows"].median))
    # Before and after: a machine that is busy for a moment must not make its peak look low.
    peaks += gemm_peak(backend.dtype, plan.seconds / 6, plan.runs, device)
    result.add(f"{label}, GEMM peak", "GFLOP/s", [peak / 1e9 for peak in peaks])
    for batch in BATCHES:
        share = [100 * flops[batch] / each / max(peaks) for each in took[batch]]
        result.add(f"{label}, batch {batch}, share of GEMM peak", "%", share)
    if label == "cpu fp32":
        result.add("work of a window", "MFLOP", [flops[1] / 1e6])
    result.curves[f"{label}, windows"] = curve("windows in a batch", "windows a second", windows)


def _step(result: Result, plan: Plan, device: str) -> None:
    for frames, what in (
        (SERVED, f"{device} fp32, a decision every {SERVED} frames"),
        (1, f"{device} fp32, every frame decided"),
    ):
        costs = []
        for streams in BATCHES:
            step = stepper(streams, frames, device)
            took = [each / frames for each in per_call(step, plan.seconds, plan.runs)]
            told = f"{what}, {plural(streams, 'stream')}"
            result.add(told, "frames/s of each", [1 / each for each in took])
            result.add(f"{told}, a frame", "µs", [1e6 * each / streams for each in took])
            costs.append((streams, 1e6 * median(took) / streams))
            if device == "cpu" and streams == 1:
                result.add(f"{what}, work of a frame", "MFLOP", [count_flops(step) / 1e6 / frames])
        result.curves[what] = curve("streams", "µs a frame and stream", costs)
