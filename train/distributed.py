"""One process or several: what `torchrun` starts trains as one."""

from __future__ import annotations

import os
from datetime import timedelta
from types import TracebackType
from typing import Self

import torch
from torch import distributed, nn

PATIENCE = timedelta(days=2)
"""How long processes wait for each other: the first one makes the pool, which takes hours, while the others wait."""


class Group:
    """The processes that train together; used as a context.

    One process trains alone, on the GPU if there is one. Started by `torchrun`, each takes a GPU of its own where there
    are any (NCCL), else they share the CPU (gloo).

    Attributes:
        rank, size: this process's number, and how many there are.
        device: "cuda", "cuda:1" ... or "cpu".
    """

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        cuda = torch.cuda.is_available()
        self.device = "cpu" if not cuda else "cuda" if self.size == 1 else f"cuda:{local}"

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and talks."""
        return self.rank == 0

    def __enter__(self) -> Self:
        if self.size > 1:
            if self.device != "cpu":
                torch.cuda.set_device(self.device)
            distributed.init_process_group("gloo" if self.device == "cpu" else "nccl", timeout=PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size > 1:
            distributed.destroy_process_group()

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over the processes."""
        return nn.parallel.DistributedDataParallel(module) if self.size > 1 else module

    def mean(self, value: float) -> float:
        """Mean of a number over the processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total) / self.size

    def barrier(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            distributed.barrier()
