"""What `posewire eval anomaly` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from stream.commands.evaluate_view import percent
from stream.console import plural


def show_labelled(console: Console, figures: Mapping[str, Any]) -> None:
    """Show how each label fares, and what the scores are worth."""
    table = Table("label", "clips", "median score", "alarms %", box=None)
    for label, row in figures["per_label"].items():
        positive = label in figures["positive"]
        style, mark = ("bold", " *") if positive else ("", "")
        table.add_row(label + mark, str(row["clips"]), f"{row['product']:.2f}", percent(row["alarms"]), style=style)
    console.print(table)
    by_score = figures["by_score"]
    console.print(
        f"{plural(figures['clips'], 'clip')}, {figures['positives']} of them positive (*): AUROC "
        f"{percent(figures['auroc'])} %, AP {percent(figures['ap'])} % "
        f"(unlike normal {percent(by_score['ood'])} %, like the prompts {percent(by_score['prompt'])} %, "
        f"their product {percent(by_score['product'])} %)",
        style="bold",
        soft_wrap=True,
    )
    console.print(
        f"accuracy {percent(figures['eer_accuracy'])} % where errors of both kinds are as frequent, "
        f"{percent(figures['accuracy'])} % (balanced {percent(figures['balanced_accuracy'])} %) at the threshold that "
        "95 % of other people's normal clips stay under; "
        f"normal: {plural(figures['normal_clips'], 'clip')}, divided by {figures['folds']['by']}",
        soft_wrap=True,
    )


def show_frames(console: Console, figures: Mapping[str, Any]) -> None:
    """Show what the scores of frames are worth."""
    by_score = figures["by_score"]
    console.print(
        f"{plural(figures['videos'], 'video')}, {plural(figures['frames'], 'frame')}, {figures['positive_frames']} of "
        f"them positive: AUROC {percent(figures['auroc'])} %, AP {percent(figures['ap'])} % "
        f"(unlike normal {percent(by_score['ood'])} %, like the prompts {percent(by_score['prompt'])} %)",
        style="bold",
        soft_wrap=True,
    )


def show_protocol(console: Console, conditions: Mapping[str, Any]) -> None:
    """Show every number that has a mean over seeds, a line for each condition, encoder and figure."""
    table = Table("condition", "encoder", "figure", "mean", "± seeds", box=None)
    for condition, teams in conditions.items():
        for team, figures in teams.items():
            for name, value in _leaves(figures):
                table.add_row(condition, team, name, f"{value['mean']:.3f}", f"{value['std']:.3f}")
    console.print(table)


def _leaves(figures: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, float]]]:
    for name, value in figures.items():
        if isinstance(value, Mapping) and set(value) == {"mean", "std"}:
            yield path + name, value
        elif isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}, ")
