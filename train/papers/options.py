"""How an experiment is done, and where what it makes is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from train.datasets.described import Kind
from train.papers.parts import Division
from train.papers.precision import fast_bf16
from train.papers.recipes import Schedule, pretrain_schedule, schedule

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit vectors (K, D) float32."""
Report = Callable[[str, int, int, float, dict[str, float] | None], None]
"""What goes on; step, steps, loss, and the scores where there was a validation."""
Mask = Literal["paper", "released", "none"]
FIGURES = "figures.json"
VERSION = 1
"""Raised whenever the same settings would give another result, so that what is kept of before is not taken for it."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an experiment is done.

    Attributes:
        recipe: a name in `models.methods.METHODS`.
        seed: of everything random.
        texts: kind of description of the classes.
        text_model: name of the text model, for the record; `Embed` is it.
        encoder: "stgcn" or "shiftgcn".
        epochs, pretrain_epochs: instead of the schedules'.
        mask: reading of the key-frame mask (SMIE); "none" leaves its hinge out.
        generalised: whether seen and unseen classes are also told apart together.
        bf16: whether encoders are trained in bfloat16, which the papers do not; by default where that is faster.
        run: folder of all experiments.
    """

    recipe: str
    seed: int = 0
    texts: Kind = "name"
    text_model: str = "all-mpnet-base-v2"
    encoder: str = "stgcn"
    epochs: int | None = None
    pretrain_epochs: int | None = None
    mask: Mask = "paper"
    generalised: bool = False
    bf16: bool = field(default_factory=fast_bf16)
    run: Path = Path("runs/papers")


def shared_folder(division: Division, options: Options) -> Path:
    """Folder of what all recipes of one seed on one division share: the encoders."""
    return options.run / division.dataset / division.split.replace("/", "-") / f"seed-{options.seed}"


def folder_of(division: Division, options: Options) -> Path:
    """Folder of an experiment, named by its recipe and by what is not as usual."""
    usual = Options(options.recipe)
    said = [
        str(getattr(options, name)).rsplit("/", 1)[-1]
        for name in ("texts", "text_model", "encoder", "mask")
        if getattr(options, name) != getattr(usual, name)
    ]
    return shared_folder(division, options) / "-".join([options.recipe, *said])


def fitting_schedule(division: Division, options: Options) -> Schedule:
    """How the method is fitted."""
    return _shortened(schedule(options.recipe, division.dataset, len(division.train)), options.epochs)


def pretraining_schedule(division: Division, options: Options) -> Schedule:
    """How the encoder is pretrained."""
    return _shortened(pretrain_schedule(division.dataset, len(division.train)), options.pretrain_epochs)


def _shortened(given: Schedule, epochs: int | None) -> Schedule:
    if epochs is None:
        return given
    return replace(given, epochs=epochs, warm_up=round(given.warm_up * epochs / given.epochs))
