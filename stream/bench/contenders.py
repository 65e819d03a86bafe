"""Ours and its peers, each as one function that is timed in a process of its own.

The peers are what users would run instead: the papers' way (an ST-GCN in eager PyTorch, gradients on, one window at a
time), the loop of skeleton demos (the last window encoded anew with each frame), and the continual networks of the
package `continual-inference`. All on one thread, all by the same clock.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch

from models.backend import Backend
from models.matrices import Matrices
from models.normaliser import NormaliserState, normalise
from models.recipe import ServedRecipe, make_recipe
from models.stgcn import STGCN, V
from stream.bench.clock import per_call
from stream.bench.network import FRAMES, inputs, people, shipped_network, stepper
from stream.bench.plan import STREAMS
from stream.window import WindowSettings

Work = tuple[Callable[[], object], int]
"""A call, and of how many windows or frames it is."""
BATCH = 8
TEXT_DIM = 384
"""Of a recipe's text vectors; no text is scored here."""
RATE_HZ = WindowSettings().rate_hz
SERVED = WindowSettings().stride
"""Frames from one decision of the daemon to the next."""


def _papers() -> Work:
    network, x = STGCN().eval(), torch.randn(1, 3, FRAMES, V)
    return lambda: network(x), 1


def _graph(name: str) -> Work:
    """The papers' network as a recipe's is served: in batches, without gradients, folded."""
    network = make_recipe("smie", "stgcn", TEXT_DIM, {}).eval().requires_grad_(False)
    served, x = ServedRecipe(network, Backend("cpu", name)), torch.randn(BATCH, 3, FRAMES, V, 1)
    return lambda: served(x), BATCH


def _windows(name: str, batch: int) -> Work:
    network, x = Matrices(shipped_network(), Backend("cpu", name)), inputs(batch, FRAMES)
    return lambda: network(x), batch


def _sliding() -> Work:
    """Our network as it is trained, layer by layer; from joints, as the steps that it is held against."""
    network = shipped_network()
    x, mask = people(1, FRAMES)
    joints = x.transpose(0, 2, 3, 1)

    def work() -> None:
        normalised = normalise(joints, mask, NormaliserState.new(1), RATE_HZ)
        network.judge(network(torch.from_numpy(normalised)))

    return work, 1


def _sliding_graph() -> Work:
    """The papers' network, which is what skeleton demos run; from clips that are ready."""
    network, x = STGCN().eval().requires_grad_(False), torch.randn(1, 3, FRAMES, V)
    return lambda: network(x), 1


def _steps(streams: int, frames: int) -> Work:
    return stepper(streams, frames), frames * streams


def _continual(streams: int) -> Work:
    from stream.bench.continual_peer import encoder_stepper

    return encoder_stepper(shipped_network().encoder, streams), streams


def _continual_graph(streams: int) -> Work:
    from stream.bench.continual_peer import graph_stepper

    return graph_stepper(streams), streams


CONTENDERS: dict[str, Callable[[], Work]] = {
    "papers": _papers,
    "graph fp32": lambda: _graph("fp32"),
    "graph bf16": lambda: _graph("bf16"),
    "windows fp32": lambda: _windows("fp32", BATCH),
    "windows bf16": lambda: _windows("bf16", BATCH),
    "sliding": _sliding,
    "sliding graph": _sliding_graph,
    "sliding matrices": lambda: _windows("fp32", 1),
    **{f"every frame {n}": lambda n=n: _steps(n, 1) for n in STREAMS},  # type: ignore[misc]
    **{f"steps {n}": lambda n=n: _steps(n, SERVED) for n in STREAMS},  # type: ignore[misc]
    **{f"continual {n}": lambda n=n: _continual(n) for n in STREAMS[:2]},  # type: ignore[misc]
    **{f"continual graph {n}": lambda n=n: _continual_graph(n) for n in STREAMS[:2]},  # type: ignore[misc]
}
"""By name; "windows", "papers", "graph" and "sliding" are timed by the window, the others by the frame."""


def lacking(name: str) -> str:
    """What must be installed for a contender and is not; empty if nothing."""
    missing = name.startswith("continual") and find_spec("continual") is None
    return 'continual-inference, the extra "bench"' if missing else ""


def contend(name: str, seconds: float) -> float:
    """Seconds that a contender takes for each window or frame, in one run."""
    work, units = CONTENDERS[name]()
    with torch.inference_mode(name != "papers"):
        return per_call(work, seconds, 1)[0] / units
