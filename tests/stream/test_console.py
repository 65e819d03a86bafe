"""What a person sees: texts as they are, in the styles that were asked for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from stream.commands.replay_view import ReplayView, print_summary
from stream.console import event_line, make_console, plural
from stream.events import Suppression, Suppressions
from stream.replay import Summary
from stream.structs import EventData
from stream.types import NANOSECONDS

STRANGE = "[red]x[/red] :fire: [/nothing]"


def test_texts_that_look_like_markup_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    make_console().print(STRANGE, style="yellow")
    make_console(stderr=True).print(STRANGE, style="red")
    assert capsys.readouterr() == (f"{STRANGE}\n", f"{STRANGE}\n")


def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm-256color")
    console = make_console()
    console.file = io.StringIO()
    return console


def test_on_a_terminal_they_have_their_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal(monkeypatch)
    console.print(STRANGE, style="red")
    event = EventData("id", "start", "action", "critical", 1, "fall", "falls", 2.0, 1.0, None, 0.5, 0.5, 0.1, None)
    console.print(event_line(STRANGE, event))
    plain, line = console.file.getvalue().splitlines()
    assert plain == f"\x1b[31m{STRANGE}\x1b[0m"
    assert STRANGE in line
    assert "\x1b[1;31mfall" in line


def test_notes_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    console = make_console()
    ReplayView(console, console, 1).note("the time of [a] jumps")
    counts = {"frames": 5, "windows": 4, "filling": 3, "low_coverage": 2}
    summary = Summary(total=6, frames=1, media_s=2.0, wall_s=1.0, counts=counts)
    summary.people["a"] = 1
    print_summary(console, summary, Path("[o]"), None)
    out = capsys.readouterr().out
    assert "note: the time of [a] jumps" in out
    assert "0 of 6 files complete, 1 frame, 2.0 s recorded, 1 person track; took 1.0 s, 2 times real time" in out
    assert "0 events\nnot used: low coverage 2\nevents: [o]\n" in out
    assert "withheld" not in out
    assert [plural(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_starts_that_were_withheld_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    console = make_console()
    view = ReplayView(console, console, 1)
    view.withheld(Suppressions())
    assert capsys.readouterr().out == ""
    suppressions = Suppressions()
    for seconds, name, track, reason in (
        (1, "fall", 3, "margin"), (2, "fall", 3, "outside_zone"), (3, "wave", -1, "margin"), (4, "fall", 4, "margin"),
    ):  # fmt: skip
        suppressions.add(Suppression(name, "cam", track, seconds * NANOSECONDS, reason, 0.75))
    view.withheld(suppressions)
    assert capsys.readouterr().out.splitlines() == [
        "starts withheld: fall: margin 2, outside zone 1; wave: margin 1",
        "  0:02.00  fall                cam, person 3  score 0.75: outside zone",
        "  0:03.00  wave                cam  score 0.75: margin",
        "  0:04.00  fall                cam, person 4  score 0.75: margin",
    ]


def test_the_line_of_an_end_tells_the_events_id_where_it_can_be_asked_for() -> None:
    start = EventData("01K6", "start", "action", "alert", 1, "fall", "falls", 2.0, 1.0, None, 0.5, 0.5, 0.1, None)
    end = EventData("01K6", "end", "action", "alert", 1, "fall", "falls", 2.0, 1.0, 1.5, 0.1, 0.5, 0.1, "below_exit")
    assert "01K6" not in event_line("cam", start, with_id=True).plain
    assert event_line("cam", end, with_id=True).plain.endswith(" (below_exit)  01K6")
    assert event_line("cam", end).plain.endswith(" (below_exit)")
