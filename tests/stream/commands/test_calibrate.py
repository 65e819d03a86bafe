"""`posewire calibrate` as a person runs it, on recordings of people."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from in_process import Run
from poses import frame
from small_model import make_model, record, write_config

from stream.config_file import load_config
from stream.engine_tape import tape
from stream.service import load_service
from stream.sources.files import open_source
from stream.sources.recording import RecordingWriter
from stream.types import NANOSECONDS, Event, EventKind, Phase

DEMO = Path(__file__).parents[3] / "stream" / "demo"
STRIKES = [DEMO / "Seq1_10.csv", DEMO / "Seq1_11.csv"]


def raised(out: Path) -> set[str]:
    """Names of the events that a replay wrote."""
    return {json.loads(line)["data"]["name"] for line in out.read_text().splitlines()}


def test_the_block_that_is_written_keeps_the_wish_on_the_recordings_it_is_from(posewire: Run, tmp_path: Path) -> None:
    assert posewire("replay", *STRIKES, "--speed", "max", "--out", "before.ndjson").returncode == 0
    assert raised(tmp_path / "before.ndjson") >= {"punch", "kick"}
    wave = f"wave={DEMO / 'Ges01_wavehand.csv'}"
    result = posewire(
        "calibrate", *STRIKES, "--positive", wave, "--out", "new.toml", "--plot", "p.png", "--json", "f.json"
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "too short to promise 0.5 an hour" in result.stdout
    assert "expected at least 6.0 h" in result.stdout
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads((tmp_path / "f.json").read_text())
    found = {one["name"]: one for one in told["prompts"]}
    assert told["recordings"] == 2
    assert {name for name, one in found.items() if one["status"] == "calibrated"} == {"punch", "kick"}
    assert (found["wave"]["found"], found["wave"]["positives"]) == (1, 1)
    assert found["punch"]["found"] is None
    assert found["punch"]["at_most_per_hour"] == pytest.approx(2.9957 / told["hours"], rel=1e-3)
    assert len(found["kick"]["curve"]) == 20

    config = load_config(tmp_path / "new.toml")
    assert [entry.name for entry in config.prompts] == [entry.name for entry in load_config(None).prompts]
    assert config.prompts[1].enter == found["punch"]["enter"]
    assert config.prompts[0].enter is None
    result = posewire("replay", *STRIKES, "--speed", "max", "--out", "after.ndjson", "--config", "new.toml")
    assert result.returncode == 0
    assert raised(tmp_path / "after.ndjson") == set()


def test_a_replay_says_that_it_heeds_the_file_alone(posewire: Run, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[node]\nstate = "state"\n')
    (tmp_path / "state").mkdir()
    replay = ("replay", STRIKES[0], "--speed", "max", "--config", "c.toml")
    note = "prompts were changed while the daemon ran"
    (tmp_path / "state" / "prompts.json").write_text("broken")
    result = posewire(*replay)
    assert (result.returncode, result.stderr) == (0, "")
    assert note not in result.stdout
    (tmp_path / "state" / "prompts.json").write_text('{"version": 1, "removed": ["kick"]}')
    assert note in posewire(*replay).stdout
    assert note not in posewire(*replay, "--prompt", "a person kicks").stdout


def test_a_tape_raises_what_the_pipeline_raises() -> None:
    service = load_service(load_config(None))
    for path in STRIKES:
        outputs: list[object] = []
        with open_source(path, path.stem) as source:
            for one in source:
                outputs += service.pipeline.push([one])
        outputs += service.pipeline.end_source(path.stem)
        wanted = [one for one in outputs if isinstance(one, Event) and one.kind is EventKind.ACTION]
        taped = tape(service.pipeline, open_source(path, path.stem))
        played = taped.play(service.pipeline.new_engine(service.prompts.prompts))
        assert [(one.name, one.phase, one.t) for one in played] == [(one.name, one.phase, one.t) for one in wanted]
        assert any(one.phase is Phase.START for one in played)
        seen = sum(name == "see" for name, _ in taped.calls)
        assert seen < len([one for one in outputs if type(one).__name__ == "Tracked"]) / 2
        assert taped.recorded_s == pytest.approx(taped.seen_s)


class _Closed:
    """A permit that refuses everything."""

    def check(self, *_asked: object) -> str:
        return "outside_zone"


def test_what_a_zone_refused_is_refused_again_at_any_threshold() -> None:
    service = load_service(load_config(None))
    pipeline = service.pipeline
    before, pipeline.engine.permit = pipeline.engine.permit, _Closed()
    taped = tape(pipeline, open_source(STRIKES[0], "cam"))
    assert len(taped.refusals) == len(taped.scores) * len(service.prompts.prompts)
    engine = pipeline.new_engine([replace(prompt, enter=0.05, exit=0.0) for prompt in service.prompts.prompts])
    assert not taped.play(engine)
    pipeline.engine.permit = before
    taped = tape(pipeline, open_source(STRIKES[0], "cam"))
    assert not taped.refusals
    assert taped.play(pipeline.new_engine(service.prompts.prompts))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a small model and recordings."""
    make_model(tmp_path / "model")
    write_config(tmp_path)
    record(tmp_path / "normal.pwr", ("stand", 4.0))
    with RecordingWriter(tmp_path / "empty.pwr") as writer:
        for number in range(300):
            writer.write(frame(number * NANOSECONDS // 30, seq=number))
    return tmp_path


@pytest.mark.usefixtures("place")
def test_hours_without_anybody_count_too(posewire: Run) -> None:
    result = posewire("calibrate", "empty.pwr", "--json", "-", "--config", "test.toml")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["hours"], told["hours_seen"]) == (pytest.approx(9.967 / 3600, rel=1e-3), 0)
    assert [one["status"] for one in told["prompts"]] == ["quiet"]
    assert "at no threshold more than wished" in result.stderr


def test_a_block_on_standard_output_stands_there_alone(posewire: Run, place: Path) -> None:
    result = posewire("calibrate", "normal.pwr", "--out", "-", "--fa-per-hour", "0", "--config", "test.toml")
    assert tomllib.loads(result.stdout)["prompts"][0]["name"] == "kick"
    assert "expected no end of them" in result.stderr
    assert not (place / "-").exists()


def test_what_cannot_be_calibrated_is_one_line_and_nothing_is_written(posewire: Run, place: Path) -> None:
    (place / "broken.pwr").write_bytes((place / "normal.pwr").read_bytes()[:5000] + b"x" * 3000)
    (place / "regressions").mkdir()
    before = sorted(place.rglob("*"))
    for arguments, message in (
        (["--fa-per-hour", "1"], "no recording of what is normal"),
        (["none.pwr"], "none.pwr: no such file"),
        (["broken.pwr"], "wrong CRC-32"),
        (["normal.pwr", "--positive", "kick"], "expected NAME=PATH"),
        (["normal.pwr", "--positive", "jump=normal.pwr"], "no such prompt; expected one of kick"),
        (["normal.pwr", "--positive", "kick=none.pwr"], "none.pwr: no such file"),
        (["normal.pwr", "--json", "normal.pwr"], "would overwrite an input"),
    ):
        result = posewire("calibrate", *arguments, "--out", "o.toml", "--config", "test.toml")
        assert result.returncode == 2, arguments
        assert message in result.stderr, result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert posewire("calibrate", "normal.pwr", "--check", "--config", "test.toml").returncode == 2
    assert sorted(place.rglob("*")) == before


def test_a_note_of_a_false_alarm_that_is_broken_is_not_passed_over(posewire: Run, place: Path) -> None:
    (place / "regressions").mkdir()
    (place / "regressions" / "x.json").write_text("{")
    for arguments in (["normal.pwr"], ["--check"]):
        result = posewire("calibrate", *arguments, "--config", "test.toml")
        assert result.returncode == 2
        assert "x.json" in result.stderr


@pytest.mark.usefixtures("place")
def test_nothing_filed_is_nothing_raised(posewire: Run) -> None:
    result = posewire("calibrate", "--check", "--config", "test.toml")
    assert result.returncode == 0
    assert "no false alarm is filed" in result.stdout


def test_help_tells_of_both_commands(posewire: Run) -> None:
    result = posewire("calibrate", "--help")
    assert "thresholds" in result.stdout
    assert "normal" in result.stdout
    assert "--fa-per-hour" in posewire("calibrate", "thresholds", "--help").stdout
