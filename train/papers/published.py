"""The papers' tables as `published.toml` has them: what is run for each, and what was published."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from stream.errors import PosewireError

Metric = Literal["top1", "aligned_top1"]


class TableError(PosewireError):
    """There is no such table, row or column: one line that lists those there are."""


@dataclass(frozen=True, slots=True)
class Published:
    """A number of a paper.

    Attributes:
        value: in %; None where it was published and could not be checked.
        mark: "img", read off the published table; "2nd", quoted by a later paper; "noted", in our notes without a word
            on how it was read; "" without a value.
    """

    value: float | None
    mark: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a method, and how it is told the classes.

    Attributes:
        key, title: for options and for people.
        recipe: a name in `models.methods.METHODS`.
        metric: which figure of an experiment counts.
        texts: kind of text.
        mask: SMIE's key frames, as of `train.papers.experiment.Options`.
    """

    key: str
    title: str
    recipe: str
    metric: Metric = "top1"
    texts: str = "name"
    mask: str = "paper"


@dataclass(frozen=True, slots=True)
class Column:
    """A dataset, and the splits whose figures are averaged."""

    key: str
    title: str
    dataset: str
    splits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a paper, or ours.

    Attributes:
        name, title, source: what it is.
        encoder, protocol: of all its experiments.
        aligned: whether each method is also shown with PGFA's alignment.
        published: by (key of a row, key of a column).
    """

    name: str
    title: str
    source: str
    encoder: str
    protocol: str
    aligned: bool
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    published: Mapping[tuple[str, str], Published]

    def only(self, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> Table:
        """The table with those rows (by key or recipe) and columns (by key or dataset) alone; () for all.

        Raises:
            TableError: there is no such row or column.
        """
        for wanted, kind, known in (
            (rows, "row", {row.key: row.recipe for row in self.rows}),
            (columns, "column", {column.key: column.dataset for column in self.columns}),
        ):
            if lacking := [name for name in wanted if name not in {*known, *known.values()}]:
                told = ", ".join(known)
                raise TableError(f"{self.name} has no {kind} {lacking[0]!r}; expected one of {told}")
        kept = tuple(row for row in self.rows if not rows or {row.key, row.recipe} & set(rows))
        left = tuple(one for one in self.columns if not columns or {one.key, one.dataset} & set(columns))
        shown = {(row.key, column.key) for row in kept for column in left} & self.published.keys()
        published = {place: number for place, number in self.published.items() if place in shown}
        return replace(self, rows=kept, columns=left, published=published)


def read_table(name: str) -> Table:
    """One table.

    Raises:
        TableError: there is none of that name.
    """
    known = read_tables()
    if name not in known:
        raise TableError(f"table {name!r}: expected one of {', '.join(known)}")
    return known[name]


@cache
def read_tables() -> dict[str, Table]:
    """All tables by name."""
    text = files(__package__).joinpath("published.toml").read_text(encoding="utf-8")
    return {name: _table(name, entry) for name, entry in tomllib.loads(text).items()}


def dataset_names() -> list[str]:
    """All datasets of all tables."""
    return list(dict.fromkeys(column.dataset for table in read_tables().values() for column in table.columns))


def _table(name: str, entry: Mapping[str, Any]) -> Table:
    columns = tuple(Column(**{**one, "splits": tuple(one["splits"])}) for one in entry["columns"])
    keys = {column.key for column in columns}
    rows: list[Row] = []
    published: dict[tuple[str, str], Published] = {}
    for row in entry["rows"]:
        known = {column: Published(value, row["mark"]) for column, value in row.get("published", {}).items()}
        known |= dict.fromkeys(row.get("unverified", ()), Published(None, ""))
        if lacking := known.keys() - keys:
            raise ValueError(f"published.toml: {name}, {row['key']}: no column {sorted(lacking)[0]!r}")
        published |= {(row["key"], column): number for column, number in known.items()}
        rows.append(Row(**{key: value for key, value in row.items() if key not in ("published", "unverified", "mark")}))
    return Table(
        name=name,
        title=entry["title"],
        source=entry["source"],
        encoder=entry["encoder"],
        protocol=entry["protocol"],
        aligned=entry.get("aligned", False),
        rows=tuple(rows),
        columns=columns,
        published=published,
    )
