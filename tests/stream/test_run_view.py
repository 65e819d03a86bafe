"""The live table of `posewire run`: what it says, and that what is printed meanwhile stays whole."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from stream.commands.run_view import RunTable, Summary, complaints_above, live_table
from stream.structs import EventData, Quantiles, SourceState

if sys.platform != "win32":
    import termios

ROOT = Path(__file__).parents[2]
START = EventData(
    id="E1", phase="start", kind="action", severity="critical", track=3, name="fall",
    prompt="a person falls to the floor", t=10.0, t_start=9.0, t_end=None, score=0.8, peak=0.8, margin=0.2, reason=None,
)  # fmt: skip
RUNNING = SourceState("running", "", 1200, 7, 29.97)


def summary(sources: dict[str, SourceState]) -> Summary:
    people = {"entrance": 2, "entrance.left": 1, "entrances": 9}
    return Summary(sources, people, {"total": Quantiles(21.4, 48.0)}, {"queue": 7, "pose": 0})


def text(table: RunTable, now: float, *, width: int = 110, lines: int = 40) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(table.render(now, width, lines))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_each_source_has_its_line() -> None:
    table = RunTable("ward", ["entrance", "gym", "late"], 0.0)
    table.beat(summary({"entrance": RUNNING, "gym": SourceState("lost", "no image for 5 s", 10, 0, 0.0)}), 65.0)
    table.event("entrance.left", START, 58.0)  # a source inside a recording counts as its block
    table.event("entrance", msgspec.structs.replace(START, phase="update"), 64.0)
    table.event("nobody", START, 64.0)
    head, entrance, gym, late, *foot = text(table, 66.0)
    assert head.split() == ["source", "state", "frames/s", "people", "last", "event", "dropped"]
    assert entrance.split()[:3] == ["entrance", "running", "30.0"]
    assert "fall 8 s ago" in entrance
    assert entrance.split()[3] == "3"  # all that the block's recording shows
    assert entrance.endswith(" 7")
    assert "lost: no image for 5 s" in gym
    assert late.split() == ["late", "starting"]
    told = " ".join(" ".join(foot).split())
    assert told == "ward up 1 min; latency p50 21 ms, p99 48 ms; dropped queue 7; Ctrl-C stops"
    table.event("entrance", msgspec.structs.replace(START, phase="end", t_end=12.0, reason="gap"), 70.0)
    assert "fall ended 5 s ago" in text(table, 75.0)[1]
    assert "no beat for 10 s" in " ".join(text(table, 75.0))
    assert "up 3 d 2 h" in " ".join(text(table, 3 * 86400 + 7500.0))


def test_a_narrow_and_low_terminal_shows_sources_in_trouble_first() -> None:
    names = [f"cam{number}" for number in range(30)]
    table = RunTable("n", names, 0.0)
    lost = SourceState("lost", "the camera at the end of the corridor gave no image for 5 s", 1, 0, 0.0)
    still = msgspec.structs.replace(RUNNING, detail="the image does not change")
    table.beat(summary(dict.fromkeys(names, RUNNING) | {"cam29": lost, "cam20": still}), 0.0)
    lines = text(table, 1.0, width=60, lines=12)
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].startswith("cam29")
    assert lines[2].startswith("cam20")
    assert "running: the image does not change" in text(table, 1.0, width=140)[21]
    assert lines[7].startswith("24 more sources; n up 1 s;")
    assert len(lines) <= 12


def test_a_recording_that_plays_slower_than_it_should_shows_it_and_is_told_of_once() -> None:
    table = RunTable("n", ["film", "fast", "cam"], 0.0, {"film": 1.0, "fast": 8.0, "cam": 1.0})
    states = dict.fromkeys(("film", "fast", "cam"), RUNNING)

    def beat(pace: dict[str, float]) -> list[str]:
        table.beat(msgspec.structs.replace(summary(states), pace=pace), 1.0)
        return table.slowed()

    assert beat({}) == []
    assert beat({"film": 0.95, "fast": 7.9}) == []
    assert beat({"film": 0.31, "fast": 7.9}) == ["film plays at 0.3x, not 1x: too slow a machine for it"]
    _, film, fast, cam, *_ = text(table, 2.0)
    assert [line.split()[2:4] for line in (film, fast)] == [["30.0", "0.3x"], ["30.0", "7.9x"]]
    assert cam.split()[2:] == ["30.0", "7"]
    assert beat({"film": 0.28, "fast": 2.0}) == ["fast plays at 2.0x, not 8x: too slow a machine for it"]


def test_a_camera_that_was_away_when_the_daemon_stopped_did_not_end() -> None:
    table = RunTable("n", ["away", "there"], 0.0)
    lost, ended = SourceState("lost", "cannot be opened", 0, 0, 0.0), SourceState("ended", "", 0, 0, 0.0)
    table.beat(summary({"away": lost, "there": RUNNING}), 1.0)
    table.beat(summary({"away": ended, "there": ended}), 2.0)
    assert [line.split()[1] for line in text(table, 3.0)[1:3]] == ["lost:", "ended"]


def test_lines_go_above_the_table() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=20, color_system=None)
    table = RunTable("n", ["cam"], time.monotonic())
    with live_table(console, table):
        table.beat(summary({"cam": RUNNING}), time.monotonic())
        console.print("an event")
    said = screen.getvalue()
    assert "an event\n" in said
    assert "running" in said.rpartition("an event")[2]
    assert said.endswith("\x1b[?25h")  # the cursor is back


def test_complaints_of_this_process_and_its_children_become_whole_lines(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=100)
    with (tmp_path / "stderr").open("wb") as stderr:
        with complaints_above(console, stderr.fileno()):
            os.write(stderr.fileno(), b"half a ")
            os.write(stderr.fileno(), b"line\n[red] :fire:\nthe end without a line end")
        os.write(stderr.fileno(), b"after")
    assert screen.getvalue().splitlines() == ["half a line", "[red] :fire:", "the end without a line end"]
    assert (tmp_path / "stderr").read_text() == "after"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_the_table_and_whole_lines_above_it(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        f'[node]\nstate = "{tmp_path}/state"\n'
        f'[publish]\nevents = "ipc://{tmp_path}/e"\nquery = "ipc://{tmp_path}/q"\n'
        f'[[sources]]\nkind = "file"\nname = "demo"\npath = "{ROOT / "stream/demo/Seq1_10.csv"}"\nspeed = 3.0\n'
    )
    main, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (30, 100))
    command = [sys.executable, "-m", "stream.cli", "run", "--config", str(config)]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT)
    os.close(terminal)
    said = b""
    while True:
        try:
            said += os.read(main, 65_536)
        except OSError:  # the last one that had it open is gone
            break
    os.close(main)
    assert process.wait(60) == 0
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode()).splitlines()]
    assert any(line.split()[:2] == ["demo", "running"] for line in lines)
    assert any(re.match(r"\d\d:\d\d:\d\d .* start +kick .*ALARM$", line) for line in lines)
    assert "posewire: all sources have ended" in lines
    assert said.rstrip().endswith(b"\x1b[?25h")  # the cursor is back
