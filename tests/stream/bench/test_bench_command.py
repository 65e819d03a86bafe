"""`posewire bench` as users call it; nothing here asks how fast anything is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest
from in_process import Run, in_process

from stream.bench import costs
from stream.bench.child import contend, measure
from stream.bench.compare import bench_peers
from stream.bench.figures import Result, spread
from stream.bench.machine import this_machine
from stream.bench.plan import BenchError, Plan
from stream.bench.report import Report

PNG = b"\x89PNG"


@pytest.fixture
def posewire(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(monkeypatch, capsys)


def figures_of(report: dict, bench: str) -> dict:
    """The figures of a bench, all of which are numbers."""
    figures = report["benches"][bench]["figures"]
    assert figures
    for figure in figures.values():
        assert all(math.isfinite(figure[key]) for key in ("median", "min", "max"))
        assert figure["min"] <= figure["median"] <= figure["max"]
        assert figure["runs"] >= 1
        assert figure["unit"]
    return figures


def test_replay_is_measured_shown_written_drawn_and_described(tmp_path: Path, posewire: Run) -> None:
    out = tmp_path / "out.json"
    done = posewire("bench", "replay", "--seconds", 0.2, "--runs", 2, "--json", out)
    assert done.returncode == 0, done.stderr
    assert "one person, one core" in done.stdout
    report = json.loads(out.read_text())
    assert figures_of(report, "replay")["one person, one core"]["median"] > 0
    assert report["ratios"]["replay_to_real_time"].keys() == {"median", "min", "max", "runs"}
    assert report["ratios"]["replay_to_real_time"]["runs"] == 2
    assert report["machine"]["cores"] >= 1
    bench = report["benches"]["replay"]
    assert bench["took_s"] > 0
    assert len(bench["load"]) == 2
    assert bench["runs"] == 2
    assert all(bar["met"] is None for bar in report["bars"])

    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    page, plot = tmp_path / "performance.md", tmp_path / "performance.png"
    done = posewire("bench", "--from", out, "--doc", page, "--plot", plot)
    assert done.returncode == 0, done.stderr
    assert "one person, one core" in done.stdout
    text = page.read_text()
    assert "(performance.png)" in text
    assert f"| one person, one core | {bench['figures']['one person, one core']['median']:.3g}"[:30] in text
    assert "Where it must stand" not in text, "no bar is about a replay"
    assert report["machine"]["cpu"] in text
    assert plot.read_bytes()[:4] == PNG


def test_reports_are_put_together(tmp_path: Path, posewire: Run) -> None:
    one, two, both = (tmp_path / name for name in ("one.json", "two.json", "both.json"))
    machine = this_machine()
    replay, prompts = Result(ratios={"replay_to_real_time": spread([80.0])}), Result(notes=["said so"])
    one.write_bytes(Report(machine, {"replay": Result(), "prompts": prompts}).as_json())
    two.write_bytes(Report(machine, {"replay": replay}).as_json())
    assert posewire("bench", "--from", one, "--from", two, "--json", both).returncode == 0
    found = json.loads(both.read_text())
    assert found["benches"].keys() == {"replay", "prompts"}
    assert found["benches"]["prompts"]["notes"] == ["said so"]
    assert found["ratios"] == {"replay_to_real_time": {"median": 80, "min": 80, "max": 80, "runs": 1}}
    two.write_bytes(Report(msgspec.structs.replace(machine, cpu="another"), {"replay": replay}).as_json())
    done = posewire("bench", "--from", one, "--from", two)
    assert done.returncode == 2
    assert f"{two}: of another machine than {one}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bench", "nothing"], "bench 'nothing': unknown; expected encoder, prompts"),
        (["bench", "--from", "none.json"], "none.json: cannot be read"),
        (["bench", "replay", "--from", "none.json"], "replay and --from"),
        (["bench", "--from", __file__], "no report"),
        (["bench", "--doc", "/nonexistent/x.md"], "--doc /nonexistent/x.md: cannot be written"),
    ],
)
def test_wrong_use_gets_one_line(arguments: list, expected: str, posewire: Run) -> None:
    done = posewire(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bench_that_fails_says_which() -> None:
    with pytest.raises(BenchError, match="no such one: could not be measured: KeyError"):
        contend("no such one", Plan(seconds=0.01, runs=1))


def test_memory_of_tracks_is_a_line() -> None:
    result = measure("tracks", Plan(seconds=0.05, runs=1))
    line = result.lines["memory of the worker's pipeline"]
    assert len(line.points) == 4
    assert all(y > 10_000 for _, y in line.points)  # KiB: a worker holds a model at least


@pytest.mark.slow
def test_peers_are_compared_in_turns() -> None:
    told: list[str] = []
    result = bench_peers(Plan(seconds=0.01, runs=1), told.append)
    assert "peers: run 1 of 1" in told
    assert {"papers_to_windows_fp32_8", "sliding_to_every_frame_32"} <= result.ratios.keys()
    assert all(one.median > 0 for one in (*result.ratios.values(), *result.figures.values()))


@pytest.mark.slow
def test_a_real_daemon_is_measured(tmp_path: Path, posewire: Run) -> None:
    out = tmp_path / "out.json"
    wish = ("--seconds", 0.2, "--runs", 1, "--cameras", 2, "--most", 2)
    done = posewire("bench", "end-to-end", *wish, "--json", out)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    figures = figures_of(report, "end-to-end")
    for label in ("1 camera x 2", "2 cameras x 2"):
        assert figures[f"{label}, p50"]["median"] > 0
        assert figures[f"{label}, worker"]["median"] >= 0
        assert figures[f"{label}, memory"]["median"] > 10
    assert 0 <= figures["most cameras x 2 held"]["median"] <= 2
    assert report["bars"][-1]["bar"].startswith("1 camera")
    assert report["bars"][-1]["met"] in (True, False)


@pytest.mark.slow
def test_cameras_and_people_have_their_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CAMERAS", (1, 2)), ("PEOPLE", (1, 2)), ("PEOPLE_CAMERAS", 1)):
        monkeypatch.setattr(costs, name, value)
    result = costs.bench_costs(Plan(seconds=0.2, runs=1), lambda _: None)
    assert result.lines["memory by cameras"].slope > 1
    assert len(result.lines["processor time by people"].points) == 2
    assert 0 < result.figures["start to first message"].median < result.figures["start to first decision"].median
