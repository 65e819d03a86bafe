"""A run of training: a folder with its log and the state to resume from."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from models.whole_file import replacing, write_whole
from train.distributed import Group

STATE, LOG = "state.pt", "log.csv"


class ResumeError(Exception):
    """The folder of a run cannot be continued with these settings."""


class RunSettings(Protocol):
    """What every trainer is told."""

    @property
    def steps(self) -> int:
        """Optimisation steps."""
        ...

    @property
    def judge_every(self) -> int:
        """Steps between validations."""
        ...


class Trainer(Protocol):
    """What can be run."""

    step_number: int

    @property
    def settings(self) -> RunSettings:
        """How long to train."""
        ...

    def step(self) -> float:
        """One optimisation step; returns its loss."""
        ...

    def judge(self) -> dict[str, float]:
        """Validate; returns named scores, 0..1."""
        ...

    def save(self, path: Path) -> None:
        """Write the state that `restore` reads, whole or not at all."""
        ...

    def restore(self, path: Path) -> None:
        """Continue where `save` left off; ResumeError if that was another run."""
        ...


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move a running average of a network's weights towards the network, after its step number `step`."""
    # Early on the average would remember the random start: its memory grows with the run.
    decay = min(decay, step / (step + 10))
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write what a run is resumed from, whole or not at all."""
    with replacing(path) as file:
        torch.save(state, file)


def read_state(path: Path, settings: dict[str, Any], device: str) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises:
        ResumeError: it is of a run with other settings.
    """
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if state["settings"] != settings:
        raise ResumeError(f"{path}: written with other settings; resume with those, or choose another --run")
    return state


Report = Callable[[int, float, dict[str, float] | None], None]


def run(
    trainer: Trainer,
    folder: Path,
    *,
    resume: bool = False,
    until: int | None = None,
    report: Report | None = None,
    group: Group | None = None,
) -> None:
    """Train to the end, writing `log.csv` and the state to resume from into `folder` at each validation.

    Args:
        trainer: what to train.
        folder: made if missing.
        resume: continue from the folder's state, if it has one.
        until: stop after this step (the rest can be resumed later).
        report: called after each step with its number, loss, and the scores where there was a validation.
        group: the processes that train together; the first one validates, writes and reports.

    Raises:
        ResumeError: what the folder holds is damaged, or of another run.
    """
    first = group is None or group.first
    folder.mkdir(parents=True, exist_ok=True)
    state, log = folder / STATE, folder / LOG
    rows: list[list[str]] = []
    if resume and state.exists():
        try:
            trainer.restore(state)
            with log.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file) if row[0] != "step" and int(row[0]) <= trainer.step_number]
        except (OSError, EOFError, RuntimeError, LookupError, ValueError, pickle.UnpicklingError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
            raise ResumeError(f"{folder}: no run that can be resumed ({reason}); choose another --run") from error
    losses: list[float] = []
    last = min(until or trainer.settings.steps, trainer.settings.steps)
    while trainer.step_number < last:
        loss = trainer.step()
        losses.append(loss)
        scores = None
        if first and (trainer.step_number % trainer.settings.judge_every == 0 or trainer.step_number == last):
            scores = trainer.judge()
            rows.append([str(trainer.step_number), f"{np.mean(losses):.5f}", *(f"{s:.5f}" for s in scores.values())])
            losses = []
            table = StringIO(newline="")
            csv.writer(table).writerows([["step", "loss", *scores], *rows])
            write_whole(log, table.getvalue().encode())
            trainer.save(state)
        if first and report is not None:
            report(trainer.step_number, loss, scores)
