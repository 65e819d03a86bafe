"""Where a network runs and in what numbers, and which of the ways that this machine has is the fastest."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from models.errors import ModelError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WORTH = 1.25
"""How many times as fast another backend must be to be taken in place of the first: within that, it is noise."""
TRIED = 16
"""People whose windows or steps are timed, as many as a busy turn has."""
TURNS, TURN_S = 5, 0.03
"""How often each backend is timed in turns, and for how long at least."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a network runs, and in what numbers.

    Attributes:
        device: "cpu" or "cuda".
        precision: of the matrix products, "fp32", "bf16" or "fp16"; what comes out is float32.
    """

    device: str = "cpu"
    precision: str = "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and activations."""
        return PRECISIONS[self.precision]

    def __str__(self) -> str:
        return f"{self.device} {self.precision}"


CPU = Backend()


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend, and what was measured to choose it; `reason` is empty where there was no other."""

    backend: Backend
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.backend} ({self.reason})" if self.reason else str(self.backend)


def backends(device: str = "auto", precision: str = "fp32") -> list[Backend]:
    """The backends of this machine that may be meant, the CPU's first.

    Args:
        device: "auto" for any, "cpu" or "cuda".
        precision: "auto" for any that it computes faster than in software, or one of `PRECISIONS`.

    Raises:
        ModelError: there is none, or no such device or precision.
    """
    if device not in DEVICES:
        raise ModelError(f"device {device!r}: expected {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    if precision != "auto" and precision not in PRECISIONS:
        raise ModelError(f"precision {precision!r}: expected auto, {', '.join(PRECISIONS)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("device 'cuda': torch sees no CUDA device here; use auto or cpu")
    found = []
    if device != "cuda":
        found.append(Backend())
        # Without the instructions each number is converted in software, which is slower than float32.
        if precision == "bf16" or _cpu_has_bf16():
            found.append(Backend("cpu", "bf16"))
    if device != "cpu" and torch.cuda.is_available():
        found.extend(Backend("cuda", name) for name in ("fp32", "fp16"))
        if torch.cuda.is_bf16_supported():
            found.append(Backend("cuda", "bf16"))
    meant = [one for one in found if precision in ("auto", one.precision)]
    if not meant:
        had = ", ".join(dict.fromkeys(one.precision for one in found))
        raise ModelError(f"precision {precision!r}: not to be had here; expected auto or one of {had}")
    return meant


def choose(candidates: Sequence[Backend], trial: Callable[[Backend], Callable[[], object]]) -> Choice:
    """The fastest of some backends, by a short measurement if there are several.

    Args:
        candidates: one or more; the first is kept unless another is `WORTH` times as fast.
        trial: for a backend the work to time, with the result on the CPU. One of which it raises RuntimeError, as of a
            device that is full, is left out.

    Raises:
        ModelError: none of several works.
    """
    if len(candidates) == 1:
        return Choice(candidates[0])
    seconds, failed = _measure(candidates, trial)
    gc.collect()  # networks and graphs that were tried hold each other, and memory of the device
    if not seconds:
        raise ModelError(f"no device can be used: {failed}")
    choice = decide(list(seconds), list(seconds.values()))
    return Choice(choice.backend, f"{choice.reason}; {failed}" if failed else choice.reason)


def _measure(
    candidates: Sequence[Backend], trial: Callable[[Backend], Callable[[], object]]
) -> tuple[dict[Backend, float], str]:
    """Seconds of each backend that works, and what is wrong with the others."""
    works: dict[Backend, Callable[[], object]] = {}
    failed = []
    for backend in candidates:
        try:
            work = trial(backend)
            work()
        except RuntimeError as error:
            failed.append(f"{backend}: {(str(error).splitlines() or ['failed'])[0]}")
            continue
        works[backend] = work
    took: dict[Backend, list[float]] = {backend: [] for backend in works}
    for _ in range(TURNS):
        for backend, work in works.items():
            took[backend].append(_time(work))
    return {backend: median(times) for backend, times in took.items()}, "; ".join(failed)


def decide(candidates: Sequence[Backend], seconds: Sequence[float]) -> Choice:
    """The backend to take, and why, when each takes so many seconds; see `choose`."""
    best = min(range(len(seconds)), key=seconds.__getitem__)
    chosen = best if seconds[0] >= WORTH * seconds[best] else 0
    told = ", ".join(f"{backend} {1e3 * each:.2f} ms" for backend, each in zip(candidates, seconds, strict=True))
    why = "the fastest" if chosen == best else f"no other is {WORTH:g} times as fast"
    return Choice(candidates[chosen], f"{why} for {TRIED} people: {told}")


def _time(work: Callable[[], object]) -> float:
    """Seconds a call."""
    calls, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < TURN_S:
        work()
        calls += 1
    return took / calls


def _cpu_has_bf16() -> bool:
    """Whether the processor has instructions for products of bfloat16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16", "sve_bf16", "bf16"))
