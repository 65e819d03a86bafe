"""The picture of a report; needs matplotlib, the extra "plots"."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

from stream.bench.figures import Curve, Line, Result
from stream.bench.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY = "#2b6cb0", "#718096"
Panel = tuple[str, "Callable[[Axes], None]"]


def picture(report: Report) -> bytes:
    """A PNG with a panel for each curve and line, and one for the ratios."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [panel for name, result in report.benches.items() for panel in _panels(name, result)]
    if report.ratios:
        panels.append(("peers, times as long as ours", lambda axes: _ratios(axes, report)))
    columns = min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(5 * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (title, draw) in zip(every, panels, strict=False):
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
        draw(axes)
    for axes in every[len(panels) :]:
        axes.set_axis_off()
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _panels(bench: str, result: Result) -> list[Panel]:
    """Curves of the same axes share a panel."""
    shared: dict[tuple[str, str], dict[str, Curve]] = {}
    for name, one in (result.curves | result.lines).items():
        shared.setdefault((one.x, one.y), {})[name] = one
    return [(bench, lambda axes, curves=curves: _curves(axes, curves)) for curves in shared.values()]  # type: ignore[misc]


def _curves(axes: Axes, curves: dict[str, Curve]) -> None:
    for name, one in curves.items():
        axes.plot(*zip(*one.points, strict=True), marker="o", markersize=4, label=name)
    axes.set_xlabel(one.x)
    axes.set_ylabel(one.y)
    if all(isinstance(one, Line) for one in curves.values()):
        axes.set_ylim(bottom=0)
    else:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.legend(fontsize=7, frameon=False)


def _ratios(axes: Axes, report: Report) -> None:
    ratios = [(name, one) for name, one in report.ratios.items() if name != "replay_to_real_time"]
    for row, (_, one) in enumerate(ratios):
        axes.plot([one.min, one.max], [row, row], color=GREY, linewidth=3)
        axes.plot(one.median, row, "o", color=BLUE)
    axes.set_yticks(range(len(ratios)), [name.replace("_", " ") for name, _ in ratios], fontsize=6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.invert_yaxis()
