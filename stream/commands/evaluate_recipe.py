"""`posewire eval zero-shot --recipe`: the figures of an experiment, trained first where it is not yet."""

from __future__ import annotations

from pathlib import Path

from stream.commands.options import OptionError
from stream.commands.outputs import STDOUT, check_outputs, replace_file, write_figures
from stream.commands.train import Experiment, conduct
from stream.commands.train_view import show_experiment
from stream.console import make_console


def evaluate_recipe(experiment: Experiment, *, json: Path | None, plot: Path | None) -> int:
    """Show and write what an experiment reaches on the unseen classes; returns the exit code.

    Args:
        experiment: which.
        json: where to write the figures; "-" for standard output.
        plot: where to draw the confusion matrix, a .png file.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    check_outputs({"--json": json, "--plot": plot})
    check_picture(plot)
    console = make_console(stderr=json == STDOUT)
    _, figures = conduct(experiment)
    show_experiment(console, str(experiment), figures, generalised=experiment.generalised)
    write_figures(console, figures, json)
    if plot is not None:
        from train.judging.plots import png
        from train.papers.plots import confusion

        replace_file(plot, png(confusion(figures, str(experiment))))
        console.print(f"picture: {plot}", soft_wrap=True)
    return 0


def check_picture(path: Path | None) -> None:
    """Refuse what is no name of a picture, and pictures where nothing can draw them.

    Raises:
        OptionError: it is no name of a .png file.
        PosewireError: matplotlib is not installed.
    """
    if path is None:
        return
    from train.judging.plots import require_matplotlib

    if path == STDOUT:
        raise OptionError("--plot -: a picture cannot be shown there; expected the name of a file")
    if path.suffix.lower() != ".png":
        raise OptionError(f"--plot {path}: expected the name of a .png file")
    require_matplotlib()
