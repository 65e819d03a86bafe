"""Tables of what the methods reach: ours beside the published numbers, and what beats what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from train.papers.published import Published, Row, Table

MARKS = {
    "img": "read off the published table",
    "2nd": "as quoted by a later paper",
    "noted": "from notes that do not say how it was read",
}
UNVERIFIED = "(unverified) published, but nobody here could check the number"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One experiment as one row of a table counts it.

    Attributes:
        row, column: keys.
        split, seed: of the experiment.
        top1, aligned: shares of the unseen clips named rightly, plain and with PGFA's alignment, 0..1.
        unseen: number of classes to choose from.
    """

    row: str
    column: str
    split: str
    seed: int
    top1: float
    aligned: float
    unseen: int

    @property
    def run(self) -> tuple[str, str, int]:
        """What experiments of different rows have in common."""
        return self.column, self.split, self.seed


@dataclass(frozen=True, slots=True)
class Score:
    """Mean and sample standard deviation over n runs, in %; the deviation is None for one run."""

    mean: float
    std: float | None
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.std is None else f"{self.mean:.1f} ± {self.std:.1f}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing against another on the same runs.

    Attributes:
        title: "A over B".
        differences: A minus B in points, of each run that has both, by column.
    """

    title: str
    differences: Mapping[str, tuple[float, ...]]

    @property
    def every(self) -> tuple[float, ...]:
        """The differences of all columns."""
        return tuple(one for values in self.differences.values() for one in values)


def score(values: Sequence[float]) -> Score | None:
    """Of shares 0..1; None of none."""
    if not values:
        return None
    points = 100 * np.asarray(values, np.float64)
    return Score(float(points.mean()), float(points.std(ddof=1)) if len(points) > 1 else None, len(points))


def cell(row: Row, column: str, outcomes: Sequence[Outcome]) -> Score | None:
    """What a row reaches in a column, by its own metric."""
    return score([_counted(row, one) for one in outcomes if (one.row, one.column) == (row.key, column)])


def comparisons(table: Table, outcomes: Sequence[Outcome]) -> list[Comparison]:
    """Alignment against none for each method, then SMIE, PGFA and the best of the others against each other.

    The best of the others is the one of the highest mean over the columns, known only afterwards: a comparison with it
    is in its favour.
    """
    rows = {row.key: [one for one in outcomes if one.row == row.key] for row in table.rows}
    found: dict[str, Comparison] = {}
    for row in {(row.recipe, row.mask): row for row in table.rows}.values():
        title = f"{row.title} with alignment over without"
        found[title] = _compare(title, rows[row.key], rows[row.key], _aligned, _plain)
    mine = {row.recipe: row for row in table.rows if row.mask != "none"}
    others = [row for row in mine.values() if row.recipe not in ("smie", "pgfa")]
    best = max(others, key=lambda row: _mean(rows[row.key]), default=None)
    pairs = [(mine.get("smie"), mine.get("pgfa")), (mine.get("smie"), best), (mine.get("pgfa"), best)]
    for one, other in pairs:
        if one is not None and other is not None:
            for value, how in ((_plain, ""), (_aligned, ", both aligned")):
                title = f"{one.title} over {other.title}{' (best of the others)' if other is best else ''}{how}"
                found[title] = _compare(title, rows[one.key], rows[other.key], value, value)
    return [one for one in found.values() if one.every]


def markdown(table: Table, outcomes: Sequence[Outcome], lacking: Mapping[str, str]) -> str:
    """All tables of one table: scores beside the published ones, with alignment, and the comparisons.

    Args:
        table: what was to be run.
        outcomes: what was run.
        lacking: what could not be run, by its title, and what it would need.
    """
    parts = [f"**{table.title}**: top-1 over the unseen classes, %. Source: {table.source}."]
    parts.append(_grid(["method", *(one.title for one in table.columns)], _scores(table, outcomes)))
    parts.append(" ".join(f"{note[0].upper()}{note[1:]}." for note in legend(table, outcomes)))
    if table.aligned:
        parts.append("**With alignment** (PGFA, equations 6 to 11; it sees all test clips at once): plain → aligned.")
        parts.append(_grid(["method", *(one.title for one in table.columns)], _arrows(table, outcomes)))
    if pairs := comparisons(table, outcomes):
        parts.append("**What beats what**: mean difference in points over the same runs (runs won of all).")
        head = ["comparison", *(one.title for one in table.columns), "all"]
        keys = [one.key for one in table.columns]
        rows = [[one.title, *(_won(one.differences.get(key, ())) for key in keys), _won(one.every)] for one in pairs]
        parts.append(_grid(head, rows))
    if lacking:
        parts.append("No data for:\n\n" + "\n".join(f"- {what}: {why}" for what, why in lacking.items()))
    return "\n\n".join(parts) + "\n"


def legend(table: Table, outcomes: Sequence[Outcome]) -> list[str]:
    """What the scores and all that stands in brackets beside them mean, in phrases; nothing that is not there."""
    scores = [cell(row, one.key, outcomes) for row in table.rows for one in table.columns]
    spread = any(one is not None and one.std is not None for one in scores)
    mean = "mean ± standard deviation over the runs" if spread else "over the runs"
    told = [f"{mean} (splits x seeds), {len(outcomes)} in all"]
    numbers = table.published.values()
    if marks := sorted({one.mark for one in numbers if one.value is not None}):
        meant = "; ".join(f"[{mark}] {MARKS[mark]}" for mark in marks)
        told.append(f"in brackets: the published number and ours minus it, in points; {meant}")
    if any(one.value is None for one in numbers):
        told.append(UNVERIFIED)
    return told


def beside(ours: Score | None, published: Published | None) -> str:
    """Our score with the published one and the difference, as far as there are any."""
    if published is None:
        return "-" if ours is None else str(ours)
    if published.value is None:
        return f"{'-' if ours is None else ours} (unverified)"
    told = f"{published.value:.2f} [{published.mark}]"
    return f"- ({told})" if ours is None else f"{ours} ({told}, {signed(ours.mean - published.value)})"


def signed(points: float) -> str:
    """A difference with its sign."""
    return f"{points:+.1f}".replace("-", MINUS)


def _scores(table: Table, outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    for row in table.rows:
        cells = [beside(cell(row, one.key, outcomes), table.published.get((row.key, one.key))) for one in table.columns]
        yield [row.title, *cells]
    chance = [{f"{100 / one.unseen:.1f}": None for one in outcomes if one.column == key.key} for key in table.columns]
    yield ["chance", *(" or ".join(values) or "-" for values in chance)]


def _arrows(table: Table, outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    for row in table.rows:
        cells = []
        for column in table.columns:
            runs = [one for one in outcomes if (one.row, one.column) == (row.key, column.key)]
            plain, aligned = score([one.top1 for one in runs]), score([one.aligned for one in runs])
            cells.append("-" if plain is None or aligned is None else f"{plain.mean:.1f} → {aligned}")
        yield [row.title, *cells]


def _compare(
    title: str,
    ours: Sequence[Outcome],
    others: Sequence[Outcome],
    mine: Callable[[Outcome], float],
    theirs: Callable[[Outcome], float],
) -> Comparison:
    against = {one.run: one for one in others}
    differences: dict[str, tuple[float, ...]] = {}
    for one in ours:
        if one.run in against:
            difference = 100 * (mine(one) - theirs(against[one.run]))
            differences[one.column] = (*differences.get(one.column, ()), difference)
    return Comparison(title, differences)


def _won(differences: Sequence[float]) -> str:
    if not differences:
        return "-"
    won = sum(one > 0 for one in differences)
    return f"{signed(float(np.mean(differences)))} ({won} of {len(differences)})"


def _mean(outcomes: Sequence[Outcome]) -> float:
    columns = {one.column for one in outcomes}
    means = [np.mean([one.top1 for one in outcomes if one.column == column]) for column in sorted(columns)]
    return float(np.mean(means)) if means else -1.0


def _counted(row: Row, outcome: Outcome) -> float:
    return outcome.top1 if row.metric == "top1" else outcome.aligned


def _plain(outcome: Outcome) -> float:
    return outcome.top1


def _aligned(outcome: Outcome) -> float:
    return outcome.aligned


def _grid(head: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
