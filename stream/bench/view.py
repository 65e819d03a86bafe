"""What a terminal shows of a report."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from stream.bench.bars import Verdict
from stream.bench.figures import YES_NO, Figure, Result, Spread
from stream.bench.report import Report


def number(value: float) -> str:
    """A number to three digits or more, without an exponent: `0.0123`, `4.56`, `12,300`."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.2e}"


def spread_cells(spread: Spread) -> tuple[str, str, str]:
    """Median, range and runs."""
    between = f"{number(spread.min)} to {number(spread.max)}" if spread.runs > 1 else ""
    return number(spread.median), between, f"{spread.runs}"


def figure_cells(figure: Figure) -> tuple[str, str, str, str]:
    """Median, range, runs and unit."""
    if figure.unit == YES_NO:
        return "yes" if figure.median else "no", "", f"{figure.runs}", ""
    return (*spread_cells(figure), figure.unit)


def verdict_cells(verdict: Verdict) -> tuple[str, str, str, str]:
    """Bar, bound, value, and whether it is met."""
    if verdict.value is None:
        return verdict.bar, verdict.bound, "", "not measured"
    value = f"{number(verdict.value)} {verdict.unit}" if verdict.unit != YES_NO else "yes" if verdict.value else "no"
    return verdict.bar, verdict.bound, value, "met" if verdict.met else "missed"


def result_tables(name: str, result: Result) -> Iterator[Table]:
    """What one bench found."""
    if result.figures:
        table = _table(name, "what", "median", "range", "runs", "unit")
        for what, figure in result.figures.items():
            table.add_row(what, *figure_cells(figure))
        yield table
    if result.lines:
        table = _table(f"{name}: slopes", "what", "slope", "unit", "at 0", "r2")
        for what, line in result.lines.items():
            table.add_row(what, number(line.slope), f"{line.y} by {line.x}", number(line.intercept), f"{line.r2:.3f}")
        yield table
    if result.ratios:
        table = _table(f"{name}: ratios", "what", "median", "range", "runs")
        for what, ratio in result.ratios.items():
            table.add_row(what, *spread_cells(ratio))
        yield table


def bar_table(report: Report) -> Table:
    """How each bar is met, of those that were measured."""
    table = _table("bars", "bar", "bound", "measured", "")
    for verdict in report.bars:
        if verdict.met is not None:
            table.add_row(*verdict_cells(verdict), style="" if verdict.met else "red")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="right" if column in {"median", "range", "runs", "slope", "at 0", "r2"} else "left"
        )
    return table
