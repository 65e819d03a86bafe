"""The picture of a report; needs matplotlib, the extra "plots"."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

from stream.bench.figures import Curve, Line, Result, Spread
from stream.bench.plan import BOUND_MS
from stream.bench.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY = "#2b6cb0", "#718096"
HEADROOM = 1.08
"""How far an axis from 0 goes, as a share of the highest point."""
APART = 1.3
"""How many times as large the next tick of an axis is, at least, lest their labels overlap."""
Panel = tuple[str, "Callable[[Axes], None]"]


def picture(report: Report) -> bytes:
    """A PNG with a panel for each curve and line, and one for the ratios."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = panels_of(report)
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


def panels_of(report: Report) -> list[Panel]:
    """The title of each panel, no two the same, and what draws it."""
    panels = [panel for name, result in report.benches.items() for panel in _panels(name, result)]
    peers = {name: one for name, one in report.ratios.items() if name != "replay_to_real_time"}
    if peers:
        panels.append(("peers, times as long as ours", lambda axes: _ratios(axes, peers)))
    return panels


def _panels(bench: str, result: Result) -> list[Panel]:
    """Curves of the same axes share a panel."""
    shared: dict[tuple[str, str], dict[str, Curve]] = {}
    for name, one in (result.curves | result.lines).items():
        shared.setdefault((one.x, one.y), {})[name] = one
    panels: list[Panel] = []
    for (x, y), curves in shared.items():
        title = next(iter(curves)) if len(curves) == 1 else f"{y} by {x}"
        panels.append((f"{bench}: {title}", lambda axes, curves=curves: _curves(axes, curves)))  # type: ignore[misc]
    return panels


def _curves(axes: Axes, curves: dict[str, Curve]) -> None:
    for name, one in curves.items():
        axes.plot(*zip(*one.points, strict=True), marker="o", markersize=4, label=name)
    axes.set_xlabel(one.x)
    axes.set_ylabel(one.y)
    if "p99" in one.y:
        axes.axhline(BOUND_MS, color=GREY, linewidth=0.8, linestyle="--")
    if all(isinstance(one, Line) for one in curves.values()):
        axes.set_ylim(0, HEADROOM * max(y for one in curves.values() for _, y in one.points) or 1.0)
    else:
        from matplotlib.ticker import LogFormatter

        axes.set_xscale("log")
        axes.set_yscale("log")
        at: list[float] = []
        for x in sorted({x for one in curves.values() for x, _ in one.points}):
            if not at or x > APART * at[-1]:
                at.append(x)
        axes.set_xticks(at, [f"{x:g}" for x in at], minor=False)
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))
    if len(curves) > 1:
        axes.legend(fontsize=7, frameon=False)


def _ratios(axes: Axes, ratios: dict[str, Spread]) -> None:
    from matplotlib.ticker import LogFormatter

    for row, one in enumerate(ratios.values()):
        axes.plot([one.min, one.max], [row, row], color=GREY, linewidth=3)
        axes.plot(one.median, row, "o", color=BLUE)
    axes.set_yticks(range(len(ratios)), [name.replace("_", " ") for name in ratios], fontsize=6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(LogFormatter())
    axes.invert_yaxis()
