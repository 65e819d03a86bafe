"""What `posewire eval` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stream.console import make_console, plural

Figures = Mapping[str, Any]


def show_zero_shot(console: Console, figures: Figures) -> None:
    """Show how each label fares, and all of them."""
    table = Table("label", "clips", "right %", "else most often called", "nearest known action", box=None)
    for label, share in figures["per_class"].items():
        counts = figures["confusion"][label]
        wrong = max((other for other in counts if other != label), key=counts.__getitem__, default="")
        most = f"{wrong} ({counts[wrong]})" if wrong else ""
        known = f"{figures['familiarity'][label]:.2f}"
        table.add_row(label, str(sum(counts.values())), percent(share), most, known)
    console.print(table)
    spread = figures["spread"]
    console.print(
        f"{plural(figures['n'], 'clip')}, {plural(len(figures['per_class']), 'label')}: "
        f"top-1 {within(figures['top1'], spread['top1'])}, top-3 {within(figures['top3'], spread['top3'])} "
        "(labels weigh equally; ±: resampled people)",
        style="bold",
        soft_wrap=True,
    )
    if abstain := figures["abstain"]:
        accepted, rejected = abstain["accepted"], abstain["rejected"]
        console.print(
            f"with half of the labels as prompts: {within(rejected['mean'], rejected['std'])} of the other clips are "
            f"rejected where {percent(accepted['mean'])} % of theirs are accepted ({plural(figures['seeds'], 'seed')})",
            soft_wrap=True,
        )


def show_few_shot(console: Console, figures: Figures) -> None:
    """Show accuracy by number of examples."""
    table = Table("examples", "accuracy", box=None)
    for shots, value in figures["shots"].items():
        table.add_row(shots, within(value["mean"], value["std"]))
    console.print(table)
    console.print(
        f"{plural(figures['n'], 'clip')}, {plural(figures['labels'], 'label')}; people divided "
        f"{plural(figures['seeds'], 'time')}, labels weigh equally",
        style="bold",
        soft_wrap=True,
    )
    if left_out := max(figures["left_out"]):
        console.print(
            f"up to {plural(left_out, 'label')} left out: not done by both halves", style="yellow", soft_wrap=True
        )


def show_stream(console: Console, figures: Figures) -> None:
    """Show how each label fares, and all of them."""
    table = Table("label", "true", "found", "F1 %", "precision %", "recall %", "nearest known action", box=None)
    for label, row in figures["per_label"].items():
        rates = (percent(row[name]) for name in ("f1", "precision", "recall"))
        known = f"{figures['familiarity'][label]:.2f}"
        table.add_row(label, str(row["true"]), str(row["found"]), *rates, known)
    console.print(table)
    alarms, delay = figures["false_alarms_per_hour"], figures["delay_ms_median"]
    spread = figures["spread"]["event_f1"]
    console.print(
        f"{plural(figures['recordings'], 'recording')}, {figures['hours']:.2f} h, "
        f"{plural(figures['events'], 'event')}: "
        f"event F1 {percent(figures['event_f1'])} ± {percent(spread)} %, "
        f"precision {percent(figures['event_precision'])} %, recall {percent(figures['event_recall'])} %, "
        f"frame F1 {percent(figures['frame_f1'])} %, "
        f"false alarms an hour {'-' if alarms is None else f'{alarms:.0f}'}, "
        f"median delay {'-' if delay is None else f'{delay:.0f} ms'} (labels weigh equally; ±: resampled people)",
        style="bold",
        soft_wrap=True,
    )


@contextmanager
def bar(what: str) -> Iterator[Progress]:
    """A progress bar on standard error, where that is a terminal."""
    console = make_console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def percent(share: float | None) -> str:
    """A fraction in %, without the sign; "-" for None."""
    return "-" if share is None else f"{100 * share:.1f}"


def within(mean: float, std: float) -> str:
    """Mean and standard deviation of a fraction, in %."""
    return f"{percent(mean)} ± {percent(std)} %"
