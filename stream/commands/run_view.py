"""What `posewire run` shows in a terminal: a compact table of its sources, events scrolling by above it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stream.console import SEVERITY_STYLE
from stream.faults import DOWN
from stream.structs import EventData, Quantiles, SourceState

SILENT_S = 5.0
"""Seconds without a beat of the publisher after which the numbers are shown as old."""
AROUND = 6
"""Lines of a terminal that rows do not get: head, foot, borders and the newest event."""

SLOW = 0.9
"""Share of its speed below which a recorded source is slow."""

_STATE_STYLE = {"running": "green", "ended": "dim", "stopped": "dim"}
_REFRESH_HZ = 4


class Summary(msgspec.Struct, frozen=True):
    """What the publisher's beats tell of the whole daemon (see `stream.daemon.publish.Outlet.summary`)."""

    sources: dict[str, SourceState]
    people: dict[str, int]
    latency_ms: dict[str, Quantiles]
    dropped: dict[str, int]
    pace: dict[str, float] = msgspec.field(default_factory=dict)


@dataclass(slots=True)
class Row:
    """One source of the configuration.

    Attributes:
        speed: at how many times real time it should play, where it is recorded.
        pace: at how many it does; 0 where that is unknown.
        event: its newest, with the time at which it came.
        slow: it has been told of as slow.
    """

    name: str
    speed: float = 1.0
    pace: float = 0.0
    slow: bool = False
    state: SourceState | None = None
    people: int | None = None
    event: EventData | None = None
    event_at: float = 0.0


class RunTable:
    """The table, from what the daemon publishes; other threads may tell it of things while one draws it.

    Args:
        node: name of the daemon.
        sources: names of the configured sources, in order.
        now: monotonic time, s.
        speeds: of those that are recorded, at how many times real time they should play, where that is not 1.
    """

    def __init__(
        self, node: str, sources: Sequence[str], now: float, speeds: Mapping[str, float] | None = None
    ) -> None:
        self._node = node
        self._rows = {name: Row(name, (speeds or {}).get(name, 1.0)) for name in sources}
        self._start = self._heard = now
        self._summary: Summary | None = None

    def beat(self, summary: Summary, now: float) -> None:
        """Take the newest numbers of all sources; the node's own state is not shown."""
        self._heard, self._summary = now, summary
        for name, row in self._rows.items():
            state = summary.sources.get(name)
            row.state = state if is_news(row.state, state) else row.state
            row.pace = summary.pace.get(name, 0.0)
            inside = [count for source, count in summary.people.items() if _block(source, name)]
            row.people = sum(inside) if inside else None

    def event(self, source: str, event: EventData, now: float) -> None:
        """Take a message of an event; sources inside a recording count as the block they came by."""
        if event.phase != "update":
            for name, row in self._rows.items():
                if _block(source, name):
                    row.event, row.event_at = event, now

    def slowed(self) -> list[str]:
        """One line for each recorded source that plays slower than it should and was not told of before."""
        new = [row for row in self._rows.values() if not row.slow and _is_slow(row)]
        for row in new:
            row.slow = True
        return [f"{row.name} plays at {_times(row.pace)}, not {row.speed:g}x: too slow a machine for it" for row in new]

    def render(self, now: float, width: int, lines: int) -> Table:
        """The table as it is at a moment.

        Args:
            now: monotonic time, s.
            width: of the terminal, in characters.
            lines: height of the terminal: where there are more sources, those in trouble are shown first.
        """
        table = Table(
            box=None, pad_edge=False, padding=(0, 1), header_style="bold", caption_justify="left", caption_style="dim"
        )
        table.add_column("source", max_width=max(width // 5, 8), no_wrap=True)
        table.add_column("state", max_width=max(width // 2 - 28, 8), no_wrap=True)
        for name in ("frames/s", "people"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("last event", max_width=max(width // 2 - 24, 8), no_wrap=True)
        table.add_column("dropped", justify="right", no_wrap=True)
        rows, room = list(self._rows.values()), max(lines - AROUND, 3)
        if len(rows) > room:
            rows = sorted(rows, key=_calm)[:room]
        for row in rows:
            table.add_row(*_cells(row, now), style="dim" if self._is_silent(now) else "")
        table.caption = self._caption(now, len(self._rows) - len(rows))
        return table

    def _is_silent(self, now: float) -> bool:
        return now - self._heard > SILENT_S

    def _caption(self, now: float, hidden: int) -> str:
        told = [f"{hidden} more sources"] if hidden else []
        if self._is_silent(now):
            told.append(f"no beat for {_span(now - self._heard)}")
        told.append(f"{self._node} up {_span(now - self._start)}")
        if self._summary is not None:
            if total := self._summary.latency_ms.get("total"):
                told.append(f"latency p50 {total.p50:.0f} ms, p99 {total.p99:.0f} ms")
            if lost := [f"{stage} {count:,}" for stage, count in self._summary.dropped.items() if count]:
                told.append(f"dropped {', '.join(lost)}")
        return "; ".join([*told, "Ctrl-C stops"])


def _block(source: str, name: str) -> bool:
    """Whether a source is the block of this name, or one inside its recording."""
    return source == name or source.startswith(f"{name}.")


def is_news(before: SourceState | None, now: SourceState | None) -> bool:
    """Whether a state is worth showing after another: what was away as the daemon stopped did not end then."""
    return now is None or now.state != "ended" or before is None or before.state not in DOWN


def _is_slow(row: Row) -> bool:
    return 0 < row.pace < SLOW * row.speed


def _calm(row: Row) -> int:
    """How little there is to look at: 0 for a source that does not run, 2 for one that runs well."""
    return 0 if row.state is None or row.state.state != "running" else 1 if row.state.detail else 2


def _cells(row: Row, now: float) -> list[Text]:
    state = row.state
    if state is None:
        return [Text(row.name), Text("starting", style="dim"), *[Text("")] * 2, _event(row, now), Text("")]
    told = f"{state.state}: {state.detail}" if state.detail else state.state
    style = "yellow" if state.detail and state.state == "running" else _STATE_STYLE.get(state.state, "bold red")
    return [
        Text(row.name),
        Text(told, style=style),
        _rate(row, state),
        Text("" if row.people is None else str(row.people)),
        _event(row, now),
        Text(f"{state.dropped:,}" if state.dropped else "0", style="yellow" if state.dropped else "dim"),
    ]


def _rate(row: Row, state: SourceState) -> Text:
    """Frames a second by capture time, and of a recorded source how many times real time it plays."""
    rate = Text(f"{state.rate_hz:.1f}" if state.rate_hz else "")
    return rate.append(f" {_times(row.pace)}", "yellow" if _is_slow(row) else "dim") if row.pace else rate


def _times(pace: float) -> str:
    return f"{pace:.1f}x" if pace >= 0.1 else f"{pace:.2f}x"


def _event(row: Row, now: float) -> Text:
    if row.event is None:
        return Text("")
    over = " ended" if row.event.phase == "end" else ""
    return Text.assemble(
        (row.event.name, SEVERITY_STYLE[row.event.severity]), (f"{over} {_span(now - row.event_at)} ago", "dim")
    )


def _span(seconds: float) -> str:
    """A duration in its two largest units at most: `8 s`, `3 min`, `2 h 05 min`, `4 d 3 h`."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if minutes < 1:
        return f"{max(seconds, 0):.0f} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60:02} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


@contextmanager
def live_table(console: Console, table: RunTable) -> Iterator[None]:
    """Draw the table until the end of the block, while whatever is printed to the console goes above it.

    Args:
        console: a terminal.
        table: what to draw.
    """
    live = Live(
        console=console,
        get_renderable=lambda: table.render(time.monotonic(), console.width, console.height),
        refresh_per_second=_REFRESH_HZ,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live:
        yield


@contextmanager
def complaints_above(console: Console, file: int = 2) -> Iterator[None]:
    """Print what this process and its children write to standard error to the console, line by line.

    Otherwise their lines would be torn apart by a table that is drawn again and again.
    """
    kept, (reader, writer) = os.dup(file), os.pipe()
    os.dup2(writer, file)
    os.close(writer)

    def move() -> None:
        with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                console.print(Text(line.rstrip("\n")), soft_wrap=True)

    mover = threading.Thread(target=move, name="complaints", daemon=True)
    mover.start()
    try:
        yield
    finally:
        os.dup2(kept, file)  # the pipe ends once the children are gone too
        os.close(kept)
        mover.join(timeout=1.0)
