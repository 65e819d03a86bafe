"""Pictures of what the judging found; needs matplotlib, the extra "plots"."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.errors import PosewireError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INSTALL_HINT = 'install the extra "plots": pip install ".[plots]" in the checkout'
BLUE, RED, GREY = "#2563a8", "#b3382c", "#777777"


class PlotError(PosewireError):
    """A picture cannot be made: one line that says why."""


def require_matplotlib() -> None:
    """Raise a PlotError where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise PlotError(f"--plot: matplotlib is not installed; {INSTALL_HINT}")


def zero_shot(figures: Mapping[str, Any], title: str) -> Figure:
    """Confusion of the labels, each row a share of that label's clips."""
    labels = list(figures["per_class"])
    size = len(labels)
    shares = np.zeros((size, size))
    for row, label in enumerate(labels):
        counts = figures["confusion"][label]
        for other, count in counts.items():
            shares[row, labels.index(other)] = count / sum(counts.values())
    room = 0.07 * min(max(map(len, labels)), 40)
    figure = _figure(max(0.27 * size, 2.5) + room + 2.6, max(0.27 * size, 2.5) + room + 1.4)
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ticks = [label if len(label) <= 40 else label[:39] + "…" for label in labels]
    axes.set_xticks(range(size), ticks, rotation=90, fontsize=8)
    axes.set_yticks(range(size), ticks, fontsize=8)
    axes.set_xlabel("called")
    axes.set_ylabel("label")
    if size <= 15:
        for row, column in np.argwhere(shares >= 0.005).tolist():
            share = shares[row, column]
            ink = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=7)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the label's clips")
    spread = figures["spread"]["top1"]
    axes.set_title(f"{title}: top-1 {_percent(figures['top1'])} ± {_percent(spread)}, {figures['n']} clips")
    return figure


def few_shot(figures: Mapping[str, Any], title: str) -> Figure:
    """Accuracy over the number of examples, with its standard deviation over the seeds."""
    shots = [int(number) for number in figures["shots"]]
    values = list(figures["shots"].values())
    figure = _figure(6, 4.2)
    axes = figure.add_subplot()
    means, stds = ([100 * value[key] for value in values] for key in ("mean", "std"))
    axes.errorbar(shots, means, yerr=stds, marker="o", capsize=4, color=BLUE)
    for number, mean, std in zip(shots, means, stds, strict=True):
        axes.annotate(f"{mean:.1f}", (number, mean + std), xytext=(0, 5), textcoords="offset points", ha="center")
    axes.axhline(100 / figures["labels"], color=GREY, linestyle=":", label=f"chance, {figures['labels']} labels")
    axes.set_xticks(shots)
    axes.set_ylim(0, 108)
    axes.set_xlabel("examples of each label")
    axes.set_ylabel("class-balanced accuracy, %")
    axes.legend(loc="lower right", frameon=False)
    axes.set_title(f"{title}, unseen people, {figures['seeds']} seeds")
    return figure


def stream(figures: Mapping[str, Any], title: str) -> Figure:
    """F1, precision and recall of the events of each label."""
    labels = sorted(figures["per_label"], key=lambda label: figures["per_label"][label]["f1"] or 0.0)
    figure = _figure(7.5, 0.42 * len(labels) + 2.2)
    axes = figure.add_subplot()
    at = np.arange(len(labels))
    rows = [figures["per_label"][label] for label in labels]
    axes.barh(at, [100 * (row["f1"] or 0.0) for row in rows], color=BLUE, alpha=0.75, label="F1")
    for key, marker, ink in (("precision", "|", RED), ("recall", "x", "black")):
        known = [place for place, row in enumerate(rows) if row[key] is not None]
        axes.plot([100 * rows[place][key] for place in known], known, marker, color=ink, label=key, markersize=9)
    axes.set_yticks(at, [f"{label[:40]}  ({row['true']})" for label, row in zip(labels, rows, strict=True)])
    axes.set_xlim(0, 105)
    axes.set_xlabel("% of events within 333 ms of an action point (in brackets: action points)")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    f1, alarms = figures["event_f1"], figures["false_alarms_per_hour"]
    told = "none" if f1 is None else _percent(f1)
    alarmed = "" if alarms is None else f", {alarms:.0f} false alarms an hour"
    axes.set_title(f"{title}: event F1 {told}{alarmed}")
    return figure


def png(figure: Figure) -> bytes:
    """The picture as a file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # here, since it is not always installed

    return Figure(figsize=(width, height), layout="constrained")


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.1f} %"
