"""`posewire reproduce`: the experiments of a table, as far as there is data, beside the published numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from stream.commands.experiments import Group, run_groups
from stream.commands.options import OptionError
from stream.commands.outputs import STDOUT, check_folders, check_outputs, write_figures
from stream.commands.reproduce_view import show_table, summary
from stream.commands.train import Experiment, check_choice
from stream.console import make_console
from stream.errors import PosewireError
from train.datasets.described import Kind
from train.papers.block import check_block, set_block
from train.papers.open_dataset import missing
from train.papers.published import Column, Row, Table, read_table
from train.papers.recipes import LARGE
from train.papers.tables import Outcome, markdown


@dataclass(frozen=True, slots=True)
class Plan:
    """What `posewire reproduce` is told.

    Attributes:
        table: its name.
        data: "NAME=PATH" of datasets, and PATH of the folder of our sets.
        rows, columns: only these; () for all.
        texts: kind of text instead of the table's, or None.
        jobs: processes.
        threads: of torch in each.
    """

    table: str
    data: tuple[str, ...]
    seeds: tuple[int, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    texts: str | None
    text_model: str
    epochs: int | None
    pretrain_epochs: int | None
    fp32: bool
    run: Path
    jobs: int
    threads: int


def reproduce_table(plan: Plan, *, json_out: Path | None, markdown_out: Path | None) -> int:
    """Run, show and write a table; returns the exit code.

    Raises:
        PosewireError, ModelError: something given cannot be used.
    """
    whole = read_table(plan.table)
    table = whole.only(plan.rows, plan.columns)
    check_outputs({"--json": json_out, "--markdown": markdown_out})
    if markdown_out == STDOUT:
        raise OptionError("--markdown -: expected the name of a file; --json - writes figures to standard output")
    if plan.texts is not None:
        check_choice("--texts", plan.texts, get_args(Kind))
    console = make_console(stderr=json_out == STDOUT)
    known, lacking = _data(plan.data, whole, table)
    check_folders({"--run": plan.run})
    groups = list(_groups(plan, table, known))
    if markdown_out is not None:
        planned = len(groups) * len(table.rows)
        check_block(markdown_out, table.name, planned, whole=not (plan.rows or plan.columns))
    outcomes: list[Outcome] = []
    every: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    titles = {row.key: row.title for row in table.rows} | {one.key: one.title for one in table.columns}
    for group, found in run_groups(groups, plan.jobs, plan.run):
        if isinstance(found, str):
            failed[f"{titles[group.column]}, split {group.split}"] = found
            continue
        for row, figures in found:
            if isinstance(figures, str):
                lacking[f"{titles[row]}, {titles[group.column]}"] = figures
                continue
            unseen = len(figures["confusion"]["classes"])
            key = (row, group.column, group.split, group.seed)
            outcomes.append(Outcome(*key, figures["top1"], figures["aligned_top1"], unseen))
            every.append({**dict(zip(("row", "column", "split", "seed"), key, strict=True)), "figures": figures})
    order = list(titles)
    outcomes.sort(key=lambda one: (order.index(one.row), order.index(one.column), one.split, one.seed))
    every.sort(key=lambda one: (order.index(one["row"]), order.index(one["column"]), one["split"], one["seed"]))
    if not outcomes:
        raise PosewireError("\n".join(dict.fromkeys([*failed.values(), *lacking.values()])))
    lacking |= failed
    show_table(console, table, outcomes, lacking)
    write_figures(console, {**summary(table, outcomes, lacking), "experiments": every}, json_out)
    if markdown_out is not None:
        check_block(markdown_out, table.name, len(outcomes), whole=not (plan.rows or plan.columns))
        set_block(markdown_out, table.name, markdown(table, outcomes, lacking))
        console.print(f"tables: {markdown_out}", soft_wrap=True)
    if failed:
        raise PosewireError(f"no figures of {', '.join(failed)}, though there is data (see above)")
    return 0


def _data(given: Sequence[str], whole: Table, table: Table) -> tuple[dict[str, Path], dict[str, str]]:
    """Where each dataset of the table is, and what is needed of those that are nowhere, by title of their columns.

    Raises:
        OptionError: what is given is nothing that the table needs, or nothing is.
    """
    named, folder = _places(given, whole)
    known: dict[str, Path] = {}
    lacking: dict[str, str] = {}
    unfit: dict[Path, str] = {}
    for column in table.columns:
        path = named.get(column.dataset, None if column.dataset in LARGE else folder)
        reason = missing(column.dataset, path, column.splits)
        if reason is not None:
            lacking[column.title] = reason
            if path is not None:
                unfit.setdefault(path, reason)
        elif path is not None:
            known[column.key] = path
    gone = {
        path: f"{path}: not found" for path in (*named.values(), *([folder] if folder else [])) if not path.exists()
    }
    if wrong := [reason for path, reason in {**unfit, **gone}.items() if path not in known.values()]:
        raise OptionError("\n".join(wrong))
    if not known:
        names = ", ".join(dict.fromkeys(column.dataset for column in table.columns))
        what = "PATH, the folder of our sets" if _small(table) else "NAME=PATH"
        raise OptionError(f"{table.name}: no data; expected --data {what}, for one or more of {names}")
    return known, lacking


def _places(given: Sequence[str], table: Table) -> tuple[dict[str, Path], Path | None]:
    """What --data says: the paths of datasets, and the folder of our sets."""
    named: dict[str, Path] = {}
    folder: Path | None = None
    names = list(dict.fromkeys(column.dataset for column in table.columns))
    for text in given:
        name, equals, place = text.partition("=")
        if equals and name.replace("+", "_").isidentifier():
            if name not in names:
                raise OptionError(f"--data {text}: {table.name} has no dataset {name}; it has {', '.join(names)}")
            if name in named:
                raise OptionError(f"--data {text}: {name} is given twice; expected one path of it")
            named[name] = Path(place)
        elif folder is not None:
            raise OptionError(f"--data {text}: expected one folder of our sets; {folder} is given too")
        elif not _small(table):
            raise OptionError(f"--data {text}: expected NAME=PATH with one of {', '.join(names)}")
        else:
            folder = Path(text)
    return named, folder


def _small(table: Table) -> bool:
    """Whether the folder of our sets is of any use."""
    return any(column.dataset not in LARGE for column in table.columns)


def _groups(plan: Plan, table: Table, known: Mapping[str, Path]) -> Iterator[Group]:
    for column in table.columns:
        if column.key in known:
            for split in column.splits:
                for seed in plan.seeds:
                    made = [(row.key, _experiment(plan, table, row, column, split, seed, known)) for row in table.rows]
                    yield Group(column.key, split, seed, tuple(made))


def _experiment(
    plan: Plan, table: Table, row: Row, column: Column, split: str, seed: int, known: Mapping[str, Path]
) -> Experiment:
    return Experiment(
        recipe=row.recipe,
        data=known[column.key],
        dataset=column.dataset,
        split=split,
        run=plan.run,
        text_model=plan.text_model,
        protocol=table.protocol,
        seed=seed,
        encoder=table.encoder,
        texts=plan.texts or row.texts,
        mask=row.mask,
        epochs=plan.epochs,
        pretrain_epochs=plan.pretrain_epochs,
        fp32=plan.fp32,
        threads=plan.threads,
    )
