"""`posewire report-false`: what is filed is heeded from then on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq
from in_process import Run
from poses import frame, person
from small_model import make_model, record, write_config

from stream.regression_clips import read
from stream.sources.recording import RecordingWriter
from stream.types import NANOSECONDS

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "stream" / "demo"
PUNCHES = DEMO / "Seq1_10.csv"


def test_a_false_alarm_of_a_replay_is_not_raised_again_after_calibrating(posewire: Run, tmp_path: Path) -> None:
    posewire("replay", PUNCHES, "--speed", "max", "--out", "o.ndjson")
    events = [json.loads(line)["data"] for line in (tmp_path / "o.ndjson").read_text().splitlines()]
    end = next(event for event in events if event["name"] == "punch" and event["phase"] == "end")
    (tmp_path / "mine.toml").write_text("")
    mine = ("--config", "mine.toml")

    result = posewire("report-false", end["id"], "--recording", PUNCHES, "--note", "stretching", *mine)
    assert result.returncode == 0, result.stderr
    (filed,), _ = read(tmp_path / "regressions")
    assert (filed.clip.name, filed.clip.note) == ("punch", "stretching")
    assert filed.clip.t_start == pytest.approx(end["t_start"])
    assert filed.clip.t_end == pytest.approx(end["t_end"])
    assert "is filed already" in posewire("report-false", end["id"], "--recording", PUNCHES, *mine).stderr

    result = posewire("calibrate", "--check", *mine)
    assert result.returncode == 1
    assert f"raised  {filed.clip.stem}  stretching" in result.stdout
    assert f"1 filed false alarm, raised again as it is: {filed.clip.stem}" in posewire("check", *mine).stdout

    # What is normal here holds no punch: it is the clip alone that the threshold has to heed.
    result = posewire("calibrate", DEMO / "Ges01_wavehand.csv", "--out", "new.toml", *mine)
    assert result.returncode == 0, result.stderr
    assert "1 filed false alarm" in result.stdout
    result = posewire("calibrate", "--check", "--config", "new.toml")
    assert result.returncode == 0, result.stdout
    assert f"silent  {filed.clip.stem}" in result.stdout
    assert "none raised again" in posewire("check", "--config", "new.toml").stdout


def test_a_false_alarm_of_a_rule_is_tried_again(posewire: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[[rules]]\nname = 'somebody'\npeople_at_least = 1\n")
    mine = ("--config", "mine.toml")
    posewire("replay", PUNCHES, "--speed", "max", "--out", "o.ndjson", *mine)
    events = [json.loads(line)["data"] for line in (tmp_path / "o.ndjson").read_text().splitlines()]
    end = next(event for event in events if event["name"] == "somebody" and event["phase"] == "end")
    result = posewire("report-false", end["id"], "--recording", PUNCHES, *mine)
    assert result.returncode == 0, result.stderr
    assert "posewire calibrate --check tries it" in result.stdout
    stem = f"somebody-{end['id']}"
    for rules, code, told in (
        ("people_at_least = 1", 1, f"raised  {stem}"),
        ("people_at_least = 2", 0, f"silent  {stem}"),
        ("people_at_least = 1\nfor_s = 600", 0, "not tried: needs 600 s, holds "),
        ("people_at_least = 1\nsources = ['other']", 0, f"silent  {stem}"),
    ):
        (tmp_path / "mine.toml").write_text(f"[[rules]]\nname = 'somebody'\n{rules}\n")
        result = posewire("calibrate", "--check", *mine)
        assert (result.returncode, told in result.stdout) == (code, True), result.stdout
        again = f"raised again as it is: {stem}" if code else "none raised again"
        assert again in posewire("check", *mine).stdout
    (tmp_path / "mine.toml").write_text("")
    assert (
        f"not tried: of no prompt or rule that is configured  {stem}" in posewire("calibrate", "--check", *mine).stdout
    )


def test_a_false_alarm_of_an_anomaly_is_tried_again(posewire: Run, tmp_path: Path) -> None:
    texts = "prompts = ['a person punches', 'a person kicks']\n"
    (tmp_path / "mine.toml").write_text(f"[anomaly]\nenabled = true\n{texts}")
    mine = ("--config", "mine.toml")
    posewire("replay", PUNCHES, "--speed", "max", "--out", "o.ndjson", *mine)
    events = [json.loads(line)["data"] for line in (tmp_path / "o.ndjson").read_text().splitlines()]
    end = next(event for event in events if event["kind"] == "anomaly" and event["phase"] == "end")
    assert posewire("report-false", end["id"], "--recording", PUNCHES, *mine).returncode == 0
    for changes, code, told in (
        ("enabled = true", 1, "raised"),
        ("enabled = true\nenter = 1.0\nexit = 0.999999", 0, "silent"),
        ("", 0, "not tried: [anomaly] is not enabled"),
    ):
        (tmp_path / "mine.toml").write_text(f"[anomaly]\n{texts}{changes}\n")
        result = posewire("calibrate", "--check", *mine)
        assert (result.returncode, result.stdout.split("  ")[0]) == (code, told)


def test_a_rules_clip_that_shows_it_was_over_needs_no_more(posewire: Run, tmp_path: Path) -> None:
    place = tmp_path
    with RecordingWriter(place / "x.pwr") as writer:
        for i in range(900):
            writer.write(frame(i * NANOSECONDS // 30, *([person()] if 150 <= i < 300 else []), seq=i))
    rule = "[[rules]]\nname = 'somebody'\npeople_at_least = 1\n"
    make_model(place / "model")
    config = write_config(place, rule)
    posewire("replay", "x.pwr", "--speed", "max", "--out", "o.ndjson", "--config", config)
    events = [json.loads(line)["data"] for line in (place / "o.ndjson").read_text().splitlines()]
    end = next(event for event in events if event["name"] == "somebody" and event["phase"] == "end")
    assert posewire("report-false", end["id"], "--recording", "x.pwr", "--config", config).returncode == 0
    assert "raised  somebody" in posewire("calibrate", "--check", "--config", config).stdout
    config = write_config(place, f"{rule}for_s = 600")
    assert "silent  somebody" in posewire("calibrate", "--check", "--config", config).stdout


def test_events_that_are_not_there_are_one_line(posewire: Run, tmp_path: Path) -> None:
    make_model(tmp_path / "model")
    write_config(tmp_path)
    record(tmp_path / "x.pwr", ("stand", 3.0))
    off = write_config(tmp_path / "model", "[regressions]", 'path = ""')
    for arguments, message in (
        (["X", "--recording", "x.pwr"], "raises none of this id, but 0 others"),
        (["X", "--recording", "none.pwr"], "none.pwr: no such file"),
        (["X"], "nobody answers at ipc://"),
        (["X", "--note", "a\nb"], "expected one line of at most 1000 characters"),
        (["X", "--recording", "x.pwr", "--query", "ipc://y"], "not with --recording"),
    ):
        result = posewire("report-false", *arguments, "--config", "test.toml")
        assert result.returncode == 2, arguments
        assert message in result.stderr, result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert "regressions.path is empty" in posewire("report-false", "X", "--config", off).stderr
    assert not (tmp_path / "regressions").exists()


def test_a_false_alarm_of_a_running_daemon_is_filed(posewire: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("d")  # short enough for unix sockets
    make_model(place / "model")
    record(place / "scene.pwr", ("stand", 4.0), ("wave", 4.0), ("stand", 4.0), seed=2)
    record(place / "clip.pwr", ("wave", 2.5), seed=1)
    config = write_config(
        place, "[[sources]]", 'kind = "file"\nname = "cam"\npath = "scene.pwr"\nspeed = 4\nloop = true'
    )  # fmt: skip
    assert posewire("teach", "kick", place / "clip.pwr", "--config", config).returncode == 0
    context = zmq.Context()
    events = context.socket(zmq.SUB)
    events.setsockopt(zmq.SUBSCRIBE, b"action/")
    events.connect(f"ipc://{place}/e")
    process = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "run", "--config", str(config)],
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(place)},
    )
    try:
        end = None
        while end is None or end["phase"] != "end":
            assert events.poll(60_000)
            end = json.loads(events.recv_multipart()[1])["data"]
        deadline = time.monotonic() + 60
        # The second after the end belongs to it: until then there is nothing to be had.
        while (result := posewire("report-false", end["id"], "--note", "waves", "--config", config)).returncode:
            assert "is unknown, goes on or is too old" in result.stderr
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(60)
        context.destroy(linger=0)
    (filed,), unused = read(place / "regressions")
    assert (filed.clip.event, filed.clip.kind, filed.clip.name, unused) == (end["id"], "action", "kick", [])
    with filed.open() as source:
        frames = list(source)
    assert frames[0].t / 1e9 <= end["t_start"] - 1
    assert frames[-1].t / 1e9 >= end["t_end"]
    assert {one.source for one in frames} == {"cam.scene"}
    assert posewire("calibrate", "--check", "--config", config).returncode == 1
