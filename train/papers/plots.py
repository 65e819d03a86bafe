"""Pictures of an experiment; needs matplotlib, the extra "plots"."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from train.judging.plots import BLUE, RED, PlotError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = NDArray[Any]
TITLE, LEGEND = 30, 60
"""Characters of a class's name that are shown, beside a matrix and in a legend."""
FEW = 3
"""Points of a curve that each have a tick of their own."""
MOST_POINTS = 4000
"""Clips on a map; of more, every so many-th is drawn."""


def curves(log: Path, title: str) -> Figure:
    """Loss and validation over the steps.

    Args:
        log: of a run (see `train.runs`): the step, the loss, and validated shares 0..1.
        title: what was trained.

    Raises:
        PlotError: it cannot be read.
    """
    try:
        with log.open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        values = np.array([[float(cell) for cell in row] for row in rows]).reshape(len(rows), len(head))
    except (OSError, ValueError) as error:
        raise PlotError(f"{log}: no log of a training ({error}); expected lines of a step, a loss, scores") from error
    from matplotlib.ticker import MaxNLocator

    figure = _figure(7, 4.2)
    axes = figure.add_subplot()
    axes.plot(values[:, 0], values[:, 1], color=BLUE, marker=".")
    axes.set_xlabel(head[0])
    if len(values) <= FEW:
        axes.set_xticks(values[:, 0])
        axes.set_xlim(0, 1.1 * values[:, 0].max(initial=1))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel(head[1], color=BLUE)
    if (values[:, 1] >= 0).all():
        axes.set_ylim(0, 1.05 * values[:, 1].max(initial=1e-9))
    if len(head) > 2:
        other = axes.twinx()
        for column, line in zip(range(2, len(head)), ("-", "--", ":", "-."), strict=False):
            other.plot(values[:, 0], 100 * values[:, column], line, color=RED, marker=".")
        other.set_ylabel("held-out clips of seen classes named rightly, %", color=RED)
        other.set_ylim(0, 100)
    axes.set_title(title, fontsize=10)
    return figure


def confusion(figures: Mapping[str, Any], title: str) -> Figure:
    """Confusion of the unseen classes, each row a share of that class's clips.

    Args:
        figures: an experiment's, see `train.papers.experiment.run`.
        title: what was judged.
    """
    names = figures["confusion"]["classes"]
    counts = np.asarray(figures["confusion"]["counts"], np.float64)
    size = len(names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ticks = [_short(name) for name in names]
    room = 0.075 * max(map(len, ticks))
    side = max(0.36 * size, 2.6)
    figure = _figure(side + room + 1.8, side + room + 0.8)
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(size), ticks, rotation=90, fontsize=8)
    labels = [f"{tick} ({int(total)})" for tick, total in zip(ticks, counts.sum(axis=1), strict=True)]
    axes.set_yticks(range(size), labels, fontsize=8)
    axes.set_xlabel("called")
    axes.set_ylabel("class (clips)")
    if size <= 25:
        for row, column in np.argwhere(shares >= 0.005).tolist():
            ink = "white" if shares[row, column] > 0.5 else "black"
            text = f"{100 * shares[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=7)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="share of the class's clips")
    figure.suptitle(f"{title}\ntop-1 {100 * figures['top1']:.1f} % of {figures['n']} clips", fontsize=10)
    return figure


def embedding_map(
    embedded: FloatArray, labels: Sequence[int], names: Sequence[str], title: str, anchors: FloatArray | None = None
) -> Figure:
    """Clips in the plane in which they differ most (principal components), by class, with the classes' texts.

    Args:
        embedded: (N, E) embedded clips.
        labels: of N clips, rows of `names`.
        names: of K classes.
        title: what was embedded.
        anchors: (K, E) the texts in the same space, or None where they are not in it. They are centred by their own
            mean, as the clips are: the two lie apart, which would leave nothing else to see.
    """
    clips, plane = _principal(np.asarray(embedded, np.float64))
    rows = np.asarray(labels, np.int64)
    chosen = np.arange(0, len(rows), 1 + (len(rows) - 1) // MOST_POINTS)
    longest = min(max(map(len, names)), LEGEND)
    figure = _figure(8.2 + 0.06 * max(longest - TITLE, 0), max(5.2, 0.21 * len(names) + 1))
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        ink, marker = _ink(row), "ov^sDPX"[row // 20 % 7]
        points = clips[chosen[rows[chosen] == row]]
        label = _short(name, LEGEND)
        axes.scatter(points[:, 0], points[:, 1], s=14, color=ink, marker=marker, alpha=0.65, linewidths=0, label=label)
    if anchors is not None:
        texts = (np.asarray(anchors, np.float64) - np.mean(anchors, axis=0)) @ plane
        texts *= np.abs(clips).max() / max(np.abs(texts).max(), 1e-9) * 0.9
        for row, (x, y) in enumerate(texts.tolist()):
            axes.scatter(x, y, s=150, color=_ink(row), marker="*", edgecolors="black", linewidths=0.8, zorder=3)
        axes.scatter(
            [],
            [],
            s=60,
            color="white",
            marker="*",
            edgecolors="black",
            linewidths=0.8,
            label="its text (centred, scaled)",
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", "datalim")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False, markerscale=1.6)
    axes.set_title(title, fontsize=10)
    return figure


def _principal(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(N, 2) coordinates along the two directions of most variance, and these (E, 2); signs are fixed."""
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((points.shape[1], 2))
    plane[:, : min(2, len(directions))] = directions[:2].T
    strongest = plane[np.abs(plane).argmax(axis=0), [0, 1]]
    plane *= np.where(strongest < 0, -1.0, 1.0)
    return centred @ plane, plane


def _ink(row: int) -> Any:
    from matplotlib import colormaps

    return colormaps["tab20"]((2 * row % 20 + row // 10 % 2) / 19.5)


def _short(name: str, most: int = TITLE) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # here, since it is not always installed

    return Figure(figsize=(width, height), layout="constrained")
