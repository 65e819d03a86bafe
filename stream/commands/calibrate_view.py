"""What `posewire calibrate` tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from stream.calibration import CONFIDENCE, Material, Point, hours_needed, upper_rate
from stream.console import plural
from stream.verdict import Judged, Status

STYLES = {Status.CALIBRATED: "", Status.QUIET: "dim", Status.FIXED: "dim", Status.UNREACHABLE: "red"}


def duration(hours: float) -> str:
    """Hours in the unit that fits them."""
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.1f} min" if hours >= 1 / 60 else f"{3600 * hours:.1f} s"


def figures(
    judged: Sequence[Judged], curves: Sequence[Sequence[Point]], material: Material, wish: float
) -> dict[str, Any]:
    """All that was found, as JSON has it."""
    return {
        "wished_per_hour": wish,
        "confidence": CONFIDENCE,
        "hours": round(material.hours, 6),
        "hours_seen": round(sum(tape.seen_s for tape in material.normal) / 3600, 6),
        "hours_needed": round(hours_needed(wish), 4) if wish else None,
        "recordings": len(material.normal),
        "regression_clips": sum(len(tapes) for tapes in material.clips.values()),
        "prompts": [
            {
                "name": one.prompt.name,
                "status": one.status.value,
                "enter": one.thresholds.enter,
                "exit": one.thresholds.exit,
                "enter_before": one.before.enter,
                "exit_before": one.before.exit,
                "false_alarms": one.outcome.false_alarms,
                "per_hour": round(one.per_hour, 4),
                "at_most_per_hour": round(one.at_most, 4),
                "raised_again": list(one.outcome.raised),
                "found": one.outcome.found if one.positives else None,
                "positives": one.positives,
                "remark": one.remark,
                "curve": [
                    {"enter": point.enter, "false_alarms": point.false_alarms, "recall": point.recall}
                    for point in (curves[k] if curves else ())
                ],
            }
            for k, one in enumerate(judged)
        ],
    }


def show(console: Console, told: dict[str, Any]) -> None:
    """Show what was found as a table, and how far it can be trusted."""
    table = Table(box=None)
    table.add_column("prompt")
    for name in ("enter", "exit", "false alarms", "an hour", "at most*", "found"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in told["prompts"]:
        status = Status(one["status"])
        changed = status is Status.CALIBRATED
        enter = f"{one['enter_before']:.2f} -> {one['enter']:.2f}" if changed else f"{one['enter']:.2f}"
        found = "" if one["found"] is None else f"{one['found']} of {one['positives']}"
        remark = "" if changed else one["remark"]
        if one["raised_again"]:
            remark = f"raises again: {', '.join(one['raised_again'])}; {remark}"
        table.add_row(
            one["name"],
            enter,
            f"{one['exit']:.2f}",
            str(one["false_alarms"]),
            f"{one['per_hour']:.2f}",
            f"{one['at_most_per_hour']:.2f}",
            found,
            remark,
            style=STYLES[status],
        )
    console.print(table)
    hours, wish, needed = told["hours"], told["wished_per_hour"], told["hours_needed"]
    console.print(
        f"{plural(told['recordings'], 'recording')}, {duration(hours)} (somebody in view: "
        f"{duration(told['hours_seen'])}), "
        f"{plural(told['regression_clips'], 'filed false alarm')}; wished: at most {wish:g} false alarms an hour",
        style="bold",
        soft_wrap=True,
    )
    console.print(
        "* with 95 % confidence, if the days to come are like these recordings (exact Poisson limit)",
        style="dim",
        soft_wrap=True,
    )
    if needed is None or hours < needed:
        at_least = "no end of them" if needed is None else f"at least {duration(needed)}"
        console.print(
            f"too short to promise {wish:g} an hour: even without a single false alarm, {duration(hours)} tell only "
            f"that there are at most {upper_rate(0, hours):.2g} an hour; expected {at_least}",
            style="yellow",
            soft_wrap=True,
        )
