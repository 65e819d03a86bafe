"""What `posewire reproduce` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from stream.console import make_console
from train.datasets.splits import split_names
from train.papers.published import Table, dataset_names, read_tables
from train.papers.tables import Outcome, beside, cell, comparisons, legend, score, signed

LIST_WIDTH = 100
"""Characters of the longest line of a list, where the terminal is wider."""


def show_table(console: Console, table: Table, outcomes: Sequence[Outcome], lacking: Mapping[str, str]) -> None:
    """Show ours beside the published numbers, what beats what, and what there is no data for."""
    grid = Grid("method", *(column.title for column in table.columns), box=None)
    for row in table.rows:
        cells = [
            beside(cell(row, column.key, outcomes), table.published.get((row.key, column.key)))
            for column in table.columns
        ]
        grid.add_row(row.title, *cells)
    console.print(table.title, style="bold", soft_wrap=True)
    console.print(grid)
    console.print("top-1 over unseen classes, %", soft_wrap=True)
    for note in legend(table, outcomes):
        console.print(note, soft_wrap=True)
    for pair in comparisons(table, outcomes):
        won = sum(one > 0 for one in pair.every)
        mean = sum(pair.every) / len(pair.every)
        console.print(f"{pair.title}: {signed(mean)} points, better in {won} of {len(pair.every)} runs", soft_wrap=True)
    for what, why in lacking.items():
        console.print(f"no data for {what}: {why}", style="yellow", soft_wrap=True)


def summary(table: Table, outcomes: Sequence[Outcome], lacking: Mapping[str, str]) -> dict[str, Any]:
    """All that is shown, for a program: scores in %, differences in points."""
    cells = []
    for row in table.rows:
        for column in table.columns:
            runs = [one for one in outcomes if (one.row, one.column) == (row.key, column.key)]
            published = table.published.get((row.key, column.key))
            scores = {"top1": score([one.top1 for one in runs]), "aligned_top1": score([one.aligned for one in runs])}
            cells.append({
                "row": row.key,
                "column": column.key,
                "metric": row.metric,
                "n": len(runs),
                **{name: one and {"mean": one.mean, "std": one.std} for name, one in scores.items()},
                "published": None if published is None else published.value,
                "published_mark": None if published is None else published.mark or "unverified",
            })  # fmt: skip
    pairs = [{"title": one.title, "differences": dict(one.differences)} for one in comparisons(table, outcomes)]
    return {"table": table.name, "cells": cells, "comparisons": pairs, "lacking": dict(lacking)}


def list_tables() -> int:
    """Show the tables, their rows and columns, and the datasets and their splits; returns the exit code."""
    console = make_console()
    width = min(console.width, LIST_WIDTH)
    for table in read_tables().values():
        console.print(f"{table.name}: {table.title}")
        for what, several in (("rows", table.rows), ("columns", table.columns)):
            console.print(_wrapped(what, [one.key for one in several], width), soft_wrap=True)
    for name in dataset_names():
        console.print(f"dataset {name}", soft_wrap=True)
        console.print(_wrapped("splits", split_names(name), width), soft_wrap=True)
    return 0


def _wrapped(what: str, names: Sequence[str], width: int) -> str:
    """Names behind what they are, in lines of a width; none is broken."""
    head = f"  {what:9}"
    return fill(
        ", ".join(names),
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
