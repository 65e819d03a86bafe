"""One way to minimise whatever a recipe minimises: epochs, a schedule, selection on held-out clips of seen classes."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from train.papers.recipes import Schedule
from train.runs import read_state, write_state

JUDGED = 10
"""Validations in a training."""


class Objective(Protocol):
    """What is minimised, and what it is judged by."""

    @property
    def model(self) -> nn.Module:
        """All that is trained."""
        ...

    @property
    def size(self) -> int:
        """Number N of clips to learn from."""
        ...

    def loss(self, rows: np.ndarray[Any, np.dtype[np.int64]], progress: float) -> Tensor:
        """Loss of the clips `rows`, B of 0..N-1; `progress` is the share of the training that is over."""
        ...

    def accuracy(self) -> float:
        """Share of the held-out clips of seen classes that are named rightly, 0..1; the model is in eval mode."""
        ...


class Fitting:
    """Minimises an objective; a trainer for `train.runs.run`.

    Everything random in a step comes from the seed and the step's number, so that a resumed training is the same, to
    the bit where the machine and its number of threads are.

    Args:
        objective: what is minimised; its model is trained in place and on its own device.
        schedule: how.
        seed: of the order of the clips and of all else that is random.
        bf16: whether networks compute in bfloat16.
    """

    def __init__(self, objective: Objective, schedule: Schedule, seed: int, *, bf16: bool = False) -> None:
        self._objective, self._schedule, self._seed, self._bf16 = objective, schedule, seed, bf16
        self._per_epoch = max(1, objective.size // schedule.batch)
        self.steps = schedule.epochs * self._per_epoch
        self.judge_every = self._per_epoch * max(1, schedule.epochs // JUDGED)
        parameters = objective.model.parameters()
        self._device = next(objective.model.parameters()).device.type
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        self._optimiser: torch.optim.Optimizer
        if schedule.optimiser == "sgd":
            self._optimiser = torch.optim.SGD(
                parameters, schedule.lr, momentum=schedule.momentum, weight_decay=schedule.weight_decay
            )
        else:
            self._optimiser = torch.optim.Adam(parameters, schedule.lr, weight_decay=schedule.weight_decay)
        self.step_number = 0
        self.best = -1.0
        self._best_weights: dict[str, Tensor] = {}

    @property
    def settings(self) -> Fitting:
        """How long to train: `steps` and `judge_every`."""
        return self

    def step(self) -> float:
        """One step; returns its loss."""
        epoch, place = divmod(self.step_number, self._per_epoch)
        order = np.random.default_rng([self._seed, epoch]).permutation(self._objective.size)
        batch = self._schedule.batch
        rows = np.sort(order[place * batch : (place + 1) * batch])
        torch.manual_seed(int(np.random.default_rng([self._seed, epoch, place]).integers(2**31)))
        self._optimiser.param_groups[0]["lr"] = self._schedule.lr * self._rate(self.step_number / self._per_epoch)
        self._objective.model.train()
        with torch.autocast(self._device, torch.bfloat16, enabled=self._bf16):
            loss = self._objective.loss(rows, self.step_number / self.steps)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self.step_number += 1
        return float(loss.detach())

    def _rate(self, epoch: float) -> float:
        """The learning rate as a share of the schedule's, at a fraction of epochs."""
        schedule = self._schedule
        if epoch < schedule.warm_up:
            return (epoch + 1 / self._per_epoch) / schedule.warm_up
        if schedule.decay == "none":
            return 1.0
        over = (epoch - schedule.warm_up) / max(schedule.epochs - schedule.warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * over))

    def judge(self) -> dict[str, float]:
        """Accuracy on held-out clips; the best weights so far are kept."""
        self._objective.model.eval()
        with torch.inference_mode():
            accuracy = self._objective.accuracy()
        if accuracy >= self.best:  # of equals the one that has learned longer
            self.best = accuracy
            self._best_weights = {name: value.clone() for name, value in self._objective.model.state_dict().items()}
        return {"held-out seen": accuracy}

    def keep_best(self) -> None:
        """Give the model the weights of its best validation, in eval mode."""
        self._objective.model.load_state_dict(self._best_weights)
        self._objective.model.eval().requires_grad_(False)

    @cached_property
    def _told(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one before."""
        return {**asdict(self._schedule), "seed": self._seed, "bf16": self._bf16, "clips": self._objective.size}

    def save(self, path: Path) -> None:
        """See `train.runs.Trainer`."""
        state = {
            "settings": self._told,
            "step": self.step_number,
            "model": self._objective.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "best": self.best,
            "best_weights": self._best_weights,
        }
        write_state(path, state)

    def restore(self, path: Path) -> None:
        """See `train.runs.Trainer`."""
        state = read_state(path, self._told, self._device)
        self._objective.model.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step_number, self.best, self._best_weights = state["step"], state["best"], state["best_weights"]
