"""The picture of `posewire calibrate`; needs matplotlib, the extra "plots"."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from stream.calibration import Calibration, Point, probabilities
from stream.commands.options import OptionError
from stream.verdict import Judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED, GREY = "#2b6cb0", "#c53030", "#718096"
BINS = 50


def check_matplotlib() -> None:
    """Refuse to draw without matplotlib.

    Raises:
        OptionError: it is not installed.
    """
    if find_spec("matplotlib") is None:
        raise OptionError('--plot: needs matplotlib; expected posewire with the extra "plots"')


def picture(
    calibration: Calibration, judged: Sequence[Judged], curves: Sequence[Sequence[Point]], wish: float
) -> bytes:
    """A PNG: for each prompt the windows' scores beside its false alarms, against recall where that is known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = len(judged)
    figure = Figure(figsize=(9, 0.7 + 2.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 2, squeeze=False)
    for k, one in enumerate(judged):
        _scores(axes[k, 0], calibration, one, k)
        _trade(axes[k, 1], one, curves[k], wish)
    axes[-1, 0].set_xlabel("probability of a window")
    pairs = [pair for each in axes.flat for pair in zip(*each.get_legend_handles_labels(), strict=True)]
    handles = {name: handle for handle, name in pairs}
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=len(handles),
        frameon=False,
        fontsize=8,
    )
    file = BytesIO()
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def _scores(axes: Axes, calibration: Calibration, one: Judged, k: int) -> None:
    count = len(calibration.prompts)
    edges = np.linspace(0, 1, BINS + 1).tolist()
    normal = probabilities(calibration.material.normal, count)[:, k]
    axes.hist(normal, edges, color=BLUE, alpha=0.7, label="windows, normal")
    positive = calibration.material.positive.get(one.prompt.name, ())
    if positive:
        axes.hist(probabilities(positive, count)[:, k], edges, color=RED, alpha=0.5, label="windows, positive")
    axes.axvline(one.before.enter, color=GREY, linestyle=":", label="enter before")
    axes.axvline(one.thresholds.enter, color="black", label="enter now")
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, 1)
    axes.set_ylabel("windows")
    axes.set_title(one.prompt.name, loc="left", fontsize=10, fontweight="bold")


def _trade(axes: Axes, one: Judged, curve: Sequence[Point], wish: float) -> None:
    rates = [point.false_alarms / one.hours for point in curve]
    recalls = [point.recall for point in curve]
    axes.set_ylabel("false alarms an hour")
    axes.axhline(wish, color=GREY, linestyle="--", label="wished")
    if one.positives:
        shares = [100 * recall for recall in recalls if recall is not None]
        axes.plot(shares, rates, color=BLUE, marker=".", label="other thresholds")
        axes.plot(100 * one.outcome.found / one.positives, one.per_hour, "o", color="black", label="now")
        axes.set_xlim(-3, 103)
        axes.set_xlabel(f"found, % of {one.positives}")
    else:
        axes.plot([point.enter for point in curve], rates, color=BLUE, marker=".", label="other thresholds")
        axes.plot(one.thresholds.enter, one.per_hour, "o", color="black", label="now")
        axes.set_xlim(0, 1.02)
        axes.set_xlabel("enter")
    axes.set_ylim(bottom=0, top=max(1.3 * wish, 1.1 * max(rates, default=0.0)))
