"""What benches measure: figures with their spread, lines through points, ratios; all that is written as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

YES_NO = "1 or 0"
"""Unit of what is so, or is not."""


class Spread(msgspec.Struct, frozen=True):
    """Median, smallest and largest of several runs."""

    median: float
    min: float
    max: float
    runs: int


class Figure(Spread, frozen=True, kw_only=True):
    """A spread of something.

    Attributes:
        unit: of the three numbers.
    """

    unit: str


class Curve(msgspec.Struct, frozen=True):
    """Points, in the order of x.

    Attributes:
        x, y: what they are, with units.
        points: (x, y) of each.
    """

    x: str
    y: str
    points: tuple[tuple[float, float], ...]


class Line(Curve, frozen=True):
    """The least-squares line through points.

    Attributes:
        slope, intercept: of the line.
        r2: share of the variance of y that it explains; 1 where y does not vary.
    """

    slope: float
    intercept: float
    r2: float


class Result(msgspec.Struct):
    """What one bench found.

    Attributes:
        figures: by name.
        lines: by name, where y should grow with x in proportion.
        curves: by name, where it need not.
        ratios: by name, of a peer's cost to ours.
        notes: what else a reader must know.
        date: when it began, local time in ISO 8601.
        took_s: how long it took.
        load: the machine's load average over a minute at the start and at the end.
        others: share of the machine's processors that everything else took meanwhile; None where that is unknown.
        seconds, runs: how long each figure was measured, and how often.
    """

    figures: dict[str, Figure] = {}
    lines: dict[str, Line] = {}
    curves: dict[str, Curve] = {}
    ratios: dict[str, Spread] = {}
    notes: list[str] = []
    date: str = ""
    took_s: float = 0.0
    load: tuple[float, float] = (0.0, 0.0)
    others: float | None = None
    seconds: float = 0.0
    runs: int = 0

    def add(self, name: str, unit: str, values: Sequence[float]) -> None:
        """Add a figure of which each run gave a value."""
        found = spread(values)
        self.figures[name] = Figure(found.median, found.min, found.max, found.runs, unit=unit)


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest of one value or more, to six digits."""
    low, middle, high = (float(f"{each:.6g}") for each in (min(values), statistics.median(values), max(values)))
    return Spread(middle, low, high, len(values))


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Spread of the ratios of runs that were made in turns: the first to the first, the second to the second ..."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def curve(x: str, y: str, points: Sequence[tuple[float, float]]) -> Curve:
    """Points, put in order."""
    return Curve(x, y, tuple(sorted((float(a), float(f"{b:.6g}")) for a, b in points)))


def fit(x: str, y: str, points: Sequence[tuple[float, float]]) -> Line:
    """The least-squares line through two points or more, of different x."""
    ordered = curve(x, y, points).points
    xs, ys = [p[0] for p in ordered], [p[1] for p in ordered]
    slope, intercept = statistics.linear_regression(xs, ys)
    mean = statistics.fmean(ys)
    total = sum((each - mean) ** 2 for each in ys)
    rest = sum((each - slope * at - intercept) ** 2 for at, each in zip(xs, ys, strict=True))
    r2 = 1 - rest / total if total else 1.0
    return Line(x, y, ordered, slope, intercept, r2)
