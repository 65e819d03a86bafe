"""What `posewire replay` shows while it works and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from stream.console import clock, event_line, plural, withheld_counts, withheld_line
from stream.events import Suppressions
from stream.messages import Message
from stream.pipeline import Output
from stream.replay import Summary
from stream.sources.base import RecordedSource
from stream.structs import EventData
from stream.types import NANOSECONDS

SHOWN = 3
"""Withheld starts that are shown one by one."""


class ReplayView:
    """Event lines above a progress bar.

    Args:
        console: where to.
        complaints: where errors go.
        files: how many will be replayed.
    """

    def __init__(self, console: Console, complaints: Console, files: int) -> None:
        self._console = console
        self._complaints = complaints
        self._done = 0
        self._t0: dict[str, float] = {}
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[frames]} frames", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self.progress.add_task("", total=files, frames=0)
        self._frames = 0

    def begin(self, source: RecordedSource) -> None:
        """A file begins."""
        self.progress.update(self._task, description=source.name, completed=self._done)

    def advance(self, source: RecordedSource, frames: int) -> None:
        """This many more of its frames are done."""
        self._frames += frames
        self.progress.update(self._task, completed=self._done + source.progress, frames=self._frames)

    def note(self, text: str) -> None:
        """Show a note about a recording."""
        self._console.print(f"note: {text}", style="yellow", soft_wrap=True)

    def end(self, _source: RecordedSource, fault: str) -> None:
        """It ended."""
        self._done += 1
        self.progress.update(self._task, completed=self._done)
        if fault:
            self._complaints.print(f"posewire: {fault}", style="red", soft_wrap=True)

    def put(self, output: Output) -> None:
        """Note when each source begins: event lines count from there."""
        self._t0.setdefault(output.source, output.t / NANOSECONDS)

    def event(self, message: Message) -> None:
        """Show an event message."""
        data, source = message.envelope.data, message.envelope.source
        if isinstance(data, EventData):
            self._console.print(event_line(source, data, self._t0.get(source, 0.0)), soft_wrap=True)

    def withheld(self, suppressions: Suppressions) -> None:
        """Tell why nothing was raised where something might have been: counts of all, and the last few."""
        if told := withheld_counts(suppressions.by_rule):
            self._console.print(f"starts withheld: {told}", style="dim", soft_wrap=True)
        for one in list(suppressions.recent)[-SHOWN:]:
            when = clock(one.t / NANOSECONDS - self._t0.get(one.source, 0.0))
            line = withheld_line(when, one.name, one.source, one.track, one.score, one.reason.replace("_", " "))
            self._console.print(line, style="dim", soft_wrap=True)


def print_summary(console: Console, summary: Summary, out: Path | None, report: Path | None) -> None:
    """Show what a replay did and where its files are."""
    rate = f", {summary.media_s / summary.wall_s:.0f} times real time" if summary.wall_s > 0 else ""
    people = sum(summary.people.values())
    whole = summary.files == summary.total
    files = plural(summary.files, "file") if whole else f"{summary.files} of {plural(summary.total, 'file')} complete"
    console.print(
        f"\n{files}, {plural(summary.frames, 'frame')}, {summary.media_s:.1f} s recorded, "
        f"{plural(people, 'person track')}; took {summary.wall_s:.1f} s{rate}",
        style="bold",
    )
    found = ", ".join(f"{name} {count}" for name, count in summary.events.most_common())
    console.print(f"{plural(sum(summary.events.values()), 'event')}" + (f": {found}" if found else ""))
    left_out = {name: count for name, count in summary.counts.items() if name not in ("frames", "windows", "filling")}
    left_out = {name: count for name, count in left_out.items() if not name.startswith("suppressed_")}  # told apart
    if left_out:
        told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(left_out.items()))
        console.print(f"not used: {told}", style="dim")
    for what, path in (("events", out), ("report", report)):
        if path:
            console.print(f"{what}: {path}", soft_wrap=True)


def titles(sources: Sequence[RecordedSource]) -> str:
    """A heading for the report of these sources."""
    names = [source.name for source in sources]
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} and {len(names) - 1} more"
