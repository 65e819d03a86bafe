"""`posewire train`: one experiment of the papers, and what its commands have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from models.frame50 import FRAMES
from stream.commands.evaluate_view import percent
from stream.commands.options import OptionError
from stream.commands.outputs import check_checkpoint, check_folders, saving
from stream.commands.train_view import draw, show_experiment, training_bar
from stream.console import make_console
from stream.errors import PosewireError
from train.datasets.described import Kind
from train.papers.open_dataset import default_protocol, open_division

if TYPE_CHECKING:
    from torch import nn

    from train.papers.options import Embed, Mask, Options
    from train.papers.parts import Division

ENCODERS = ("stgcn", "shiftgcn")
REMEMBERED = ("seed", "texts", "top1", "aligned_top1", "validation")
"""Figures that a checkpoint tells of its training."""
WINDOW = 2.0
"""Seconds of a checkpoint's windows, if nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What `posewire train` is told; see `train.papers.experiment.Options` for most of it.

    Attributes:
        data: what there is of the dataset, see `train.papers.open_dataset`.
        protocol: who is learned from; None for the dataset's usual one.
        encoder, mask: None for the usual ones.
        fp32: whether to compute in float32 where bfloat16 is faster, too.
        threads: of torch.
    """

    recipe: str
    data: Path
    dataset: str
    split: str
    run: Path
    text_model: str
    protocol: str | None = None
    seed: int = 0
    encoder: str | None = None
    texts: str = "name"
    mask: str | None = None
    epochs: int | None = None
    pretrain_epochs: int | None = None
    fp32: bool = False
    generalised: bool = False
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.recipe}, {self.dataset} {self.split}, seed {self.seed}"

    def options(self) -> Options:
        """For `train.papers.experiment`.

        Raises:
            ModelError, OptionError: there is no such recipe, encoder, kind of texts or mask.
        """
        from models.methods import method_class
        from train.papers.options import Mask, Options
        from train.papers.precision import fast_bf16

        method_class(self.recipe)
        encoder, mask = self.encoder or "stgcn", self.mask or "paper"
        check_choice("--encoder", encoder, ENCODERS)
        check_choice("--texts", self.texts, get_args(Kind))
        check_choice("--mask", mask, get_args(Mask))
        return Options(
            recipe=self.recipe,
            seed=self.seed,
            texts=cast(Kind, self.texts),
            text_model=self.text_model,
            encoder=encoder,
            epochs=self.epochs,
            pretrain_epochs=self.pretrain_epochs,
            mask=cast("Mask", mask),
            bf16=fast_bf16() and not self.fp32,
            generalised=self.generalised,
            run=self.run,
        )

    def division(self, report: Callable[[int, int], None] | None = None, workers: int = 1) -> Division:
        """The data; `report` is told of the clips read."""
        protocol = self.protocol or default_protocol(self.dataset)
        return open_division(
            self.dataset,
            self.data,
            self.split,
            protocol,
            seed=self.seed,
            store=self.run,
            workers=workers,
            report=report,
        )


def train_recipe(experiment: Experiment, *, out: Path | None, window: float | None, plot: Path | None) -> int:
    """Train, judge and show; returns the exit code.

    Args:
        experiment: what to train.
        out: folder for a checkpoint, if wanted.
        window: seconds of its windows; None for `WINDOW`.
        plot: folder for pictures, if wanted.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    check_folders({"--out": out, "--plot": plot})
    check_checkpoint(out)
    if window is not None and out is None:
        raise OptionError("--window: is of a checkpoint; expected --out too")
    if plot is not None:
        from train.judging.plots import require_matplotlib

        if plot.suffix.lower() == ".png":
            raise OptionError(f"--plot {plot}: several pictures are drawn; expected the name of a folder")
        require_matplotlib()
    console = make_console()
    division, figures = conduct(experiment, to_serve=out is not None)
    show_experiment(console, str(experiment), figures)
    embed = embedder(experiment.text_model)
    if out is not None:
        from train.papers.experiment import fitted
        from train.papers.serve import calibrate_recipe, export_recipe

        trained = fitted(division, experiment.options(), embed)
        with saving(out):
            export_recipe(
                out,
                cast("nn.Module", trained.encoder),
                trained.method,
                recipe=experiment.recipe,
                encoder_name=experiment.options().encoder,
                division=division,
                texts=trained.texts,
                text_model=experiment.text_model,
                embed=embed,
                training={name: figures[name] for name in REMEMBERED},
                rate_hz=round(FRAMES / (window or WINDOW), 3),
                **calibrate_recipe(*trained.validation)._asdict(),
            )
        console.print(f"checkpoint: {out}", soft_wrap=True)
    if plot is not None:
        with saving(plot):
            draw(division, experiment.options(), embed, figures, str(experiment), plot)
        console.print(f"pictures: {plot}", soft_wrap=True)
    return 0


def conduct(experiment: Experiment, *, to_serve: bool = False) -> tuple[Division, dict[str, Any]]:
    """Run an experiment, or read what it found; with its data. One that is to be served needs clips, not features.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    options = experiment.options()
    _check_given(experiment)
    check_folders({"--run": experiment.run})
    import torch

    from train.papers.experiment import run
    from train.runs import ResumeError

    torch.set_num_threads(experiment.threads)
    with training_bar() as progress:
        task = progress.add_task("reading", total=None)
        division = experiment.division(lambda done, total: progress.update(task, total=total, completed=done))
        if division.train.inputs.ndim == 2:
            _check_features(experiment, to_serve)

        def report(what: str, step: int, steps: int, loss: float, scores: Mapping[str, float] | None) -> None:
            said = "".join(f", {name} {percent(share)} %" for name, share in (scores or {}).items())
            if scores or not step % 10:
                progress.update(task, total=steps, completed=step, description=f"{what}: loss {loss:.3f}{said}")

        try:
            with saving(experiment.run):
                return division, run(division, options, embedder(experiment.text_model), report)
        except ResumeError as error:
            raise PosewireError(str(error)) from error


def _check_given(experiment: Experiment) -> None:
    """Refuse options that mean nothing to the recipe."""
    from models.methods import METHODS, method_class

    kind = method_class(experiment.recipe)
    if experiment.mask is not None and not kind.needs_masked:
        those = ", ".join(name for name in METHODS if method_class(name).needs_masked)
        raise OptionError(f"--mask: means nothing to {experiment.recipe}, which has no key frames; it is for {those}")
    if experiment.pretrain_epochs is not None and kind.end_to_end:
        raise OptionError(
            f"--pretrain-epochs: means nothing to {experiment.recipe}, which trains its encoder itself; "
            "expected --epochs alone"
        )


def _check_features(experiment: Experiment, to_serve: bool) -> None:
    """Refuse options that need an encoder."""
    if to_serve:
        raise OptionError(f"--out: {experiment.data} has features, and nothing can be served without their encoder")
    for option, given in (("--encoder", experiment.encoder), ("--pretrain-epochs", experiment.pretrain_epochs)):
        if given is not None:
            raise OptionError(f"{option}: {experiment.data} has features, of an encoder that is trained already")


@cache
def embedder(name: str) -> Embed:
    """What makes vectors of texts; the text model is loaded when the first is wanted, and each text embedded once."""
    from models.text import DEFAULT_MODEL, TextEmbedder

    otherwise = f"give --text-model {DEFAULT_MODEL}, which needs no network"
    model = cache(lambda: TextEmbedder(name, otherwise=otherwise))
    known: dict[str, Any] = {}

    def embed(texts: Any) -> Any:
        if missing := [text for text in dict.fromkeys(texts) if text not in known]:
            known.update(zip(missing, model().embed(missing), strict=True))
        return np.stack([known[text] for text in texts])

    return embed


def check_choice(option: str, given: str, known: Sequence[str]) -> None:
    """Refuse what is not known.

    Raises:
        OptionError: `given` is none of `known`.
    """
    if given not in known:
        raise OptionError(f"{option} {given}: expected one of {', '.join(known)}")
