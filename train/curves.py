"""A picture of a run: loss and validation over the steps; needs matplotlib, the extra "plots"."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

from train.judging.plots import BLUE, RED, png
from train.runs import LOG

PICTURE = "log.png"


def draw(folder: Path) -> Path | None:
    """Draw the log of a run into its folder; None, and nothing, where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    with (folder / LOG).open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    values = [[float(cell) for cell in row] for row in rows]
    steps = [row[0] for row in values]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(steps, [row[1] for row in values], color=BLUE, marker=".", label="loss")
    axes.set_xlabel("step")
    axes.set_ylabel("loss", color=BLUE)
    axes.set_ylim(bottom=0)
    other = axes.twinx()
    for column, (name, line) in enumerate(zip(head[2:], ("-", "--", ":", "-."), strict=False), start=2):
        other.plot(steps, [100 * row[column] for row in values], line, color=RED, label=name)
    other.set_ylabel("validation, %", color=RED)
    other.set_ylim(0, 100)
    other.legend(loc="center right")
    path = folder / PICTURE
    path.write_bytes(png(figure))
    return path
