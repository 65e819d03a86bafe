"""`posewire teach` as a person runs it, and what a replay then finds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from in_process import Run, in_process
from poses import frame, person
from small_model import make_model, pose, record, write_config

from models.examples import Examples, load, save
from models.recogniser import Recogniser
from stream.clips import ClipError, embed_clip, read_clip
from stream.commands.options import OptionError
from stream.commands.teach import teach_action
from stream.config_file import load_config
from stream.example_folder import ExampleFolder
from stream.service import load_service
from stream.sources.files import open_source
from stream.sources.recording import RecordingWriter
from stream.tracker import TrackerSettings
from stream.types import NANOSECONDS

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "stream" / "demo"


@pytest.fixture
def posewire(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in `place`, in this process: starting torch anew each time would take most of the time."""
    monkeypatch.chdir(place)
    return in_process(monkeypatch, capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a model, a configuration, and clips of two motions."""
    make_model(tmp_path / "model")
    write_config(tmp_path)
    for motion in ("wave", "squat"):
        for number, seconds in enumerate((1.6, 2.5, 4.0)):
            record(tmp_path / f"{motion}{number}.pwr", (motion, seconds), seed=number)
    return tmp_path


def embedding(path: Path, recogniser: Recogniser) -> np.ndarray:
    return embed_clip(read_clip(open_source(path), TrackerSettings()), recogniser, 0.4)


def test_what_was_taught_is_found_in_a_later_recording_and_only_there(place: Path, posewire: Run) -> None:
    result = posewire(
        "teach", "my_wave", *(f"wave{n}.pwr" for n in range(3)), "--severity", "alert", "--text", "waves at the door",
        "--config", "test.toml",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "my_wave from 3 examples" in result.stdout
    assert "likeness of the examples" in result.stdout
    assert [path.name for path in (place / "examples").iterdir()] == ["my_wave.safetensors"]
    assert posewire("teach", "squats", "squat0.pwr", "--config", "test.toml").returncode == 0

    for name, parts in (
        ("later", [("stand", 3.0), ("wave", 4.0), ("stand", 3.0)]),
        ("other", [("stand", 8.0)]),
        ("third", [("squat", 6.0)]),
    ):
        record(place / f"{name}.pwr", *parts, seed=7)
    out = place / "o.ndjson"
    result = posewire(
        "replay", "later.pwr", "other.pwr", "third.pwr", "--speed", "max", "--out", out, "--config", "test.toml",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "3 prompts" in result.stdout
    events = [json.loads(line) for line in out.read_text().splitlines()]
    found = {(event["source"], event["data"]["name"]) for event in events if event["data"]["phase"] == "start"}
    assert found == {("later", "my_wave"), ("third", "squats")}
    (start,) = [one["data"] for one in events if one["source"] == "later" and one["data"]["phase"] == "start"]
    assert (start["severity"], start["prompt"]) == ("alert", "waves at the door")
    assert 3.0 < start["t_start"] < 5.5
    (end,) = [one["data"] for one in events if one["source"] == "later" and one["data"]["phase"] == "end"]
    assert 6.5 < end["t_end"] < 9.0

    result = posewire("teach", "--list", "--config", "test.toml")
    assert "2 actions known by examples" in result.stdout
    assert "waves at the door" in result.stdout
    result = posewire("check", "--config", "test.toml")
    assert "examples: 2 actions known by examples (my_wave, squats)" in result.stdout
    # --prompt asks for nothing but its text.
    result = posewire("replay", "later.pwr", "--speed", "max", "--prompt", "a person kicks", "--config", "test.toml")
    assert "1 prompt" in result.stdout

    assert posewire("teach", "--forget", "my_wave", "--config", "test.toml").returncode == 0
    assert [path.name for path in (place / "examples").iterdir()] == ["squats.safetensors"]


def test_a_name_is_taught_once_unless_forced(place: Path, posewire: Run) -> None:
    arguments = ("teach", "kick", "wave0.pwr", "--config", "test.toml")
    result = posewire(*arguments)
    assert "kick is a configured prompt: its text and severity stay" in result.stdout
    path = place / "examples" / "kick.safetensors"
    before = path.read_bytes()
    result = posewire(*arguments)
    assert result.returncode == 2
    assert "exists already; expected another name, or --force" in result.stderr
    assert path.read_bytes() == before
    assert posewire(*arguments[:3], "wave1.pwr", "--force", *arguments[3:]).returncode == 0
    assert len(load(path).embeddings) == 2
    service = load_service(load_config(place / "test.toml"))
    assert [prompt.name for prompt in service.prompts.prompts] == ["kick"]


def test_bad_clips_and_options_are_one_line_each_and_nothing_is_written(place: Path, posewire: Run) -> None:
    record(place / "short.pwr", ("wave", 0.2))
    with RecordingWriter(place / "nobody.pwr") as writer:
        for number in range(60):
            writer.write(frame(number * NANOSECONDS // 30, seq=number))
    with RecordingWriter(place / "hidden.pwr") as writer:
        for number in range(60):
            one = frame(number * NANOSECONDS // 30, person(), seq=number)
            one.confidence[:, 5:] = 0.0
            writer.write(one)
    with RecordingWriter(place / "long.pwr") as writer:
        for number in range(62):
            writer.write(frame(number * NANOSECONDS, person(), seq=number))
    (place / "broken.csv").write_text("\n".join([*(DEMO / "Seq1_10.csv").read_text().splitlines()[:50], "1;2"]))
    (place / "many").mkdir()
    for number in range(11):
        record(place / "many" / f"{number}.pwr", ("wave", 1.0))
    for arguments, message in (
        (["x", "many"], "11 examples of x: expected 1 to 10"),
        (["x"], "0 examples of x: expected 1 to 10"),
        (["x", "wave0.pwr", "nobody.pwr"], "nobody.pwr: nobody is seen in it"),
        (["x", "wave0.pwr", "short.pwr"], "short.pwr: its main person is in 6 frames; expected at least 8"),
        (["x", "long.pwr"], "long.pwr: 61 s; expected the action alone"),
        (["x", "hidden.pwr"], "hidden.pwr: 20% of its joints are seen; expected at least 40%"),
        (["x", "wave0.pwr", "broken.csv"], "broken.csv:51: "),
        (["x", "none.pwr"], "none.pwr: no such file"),
        (["a b", "wave0.pwr"], "name 'a b': expected 1 to 64"),
        (["wave0.pwr", "wave1.pwr"], "wave0.pwr: is a file; expected the name of the action first"),
        (["x", "wave0.pwr", "--severity", "loud"], "severity 'loud': expected info, alert, critical"),
        (["x", "wave0.pwr", "--text", "a\nb"], "expected one line of 1 to 300 characters"),
        (["x", "--from-event", "01J"], "nobody answers at ipc://"),
        (["--forget", "x"], "there is no such file"),
    ):
        result = posewire("teach", *arguments, "--config", "test.toml")
        assert result.returncode == 2, arguments
        assert message in result.stderr, result.stderr
        assert len(result.stderr.splitlines()) == 1
    for arguments in ([], ["x", "--list"], ["x", "--forget", "y"]):
        result = posewire("teach", *arguments)
        assert result.returncode == 2
        assert "expected one of NAME with its examples, --list, --forget NAME" in result.stderr
    assert not (place / "examples").exists()


def test_a_long_clip_and_a_short_one_of_one_motion_are_alike(place: Path) -> None:
    recogniser = load_service(load_config(place / "test.toml")).recogniser
    waves = [embedding(place / f"wave{n}.pwr", recogniser) for n in range(3)]
    squats = [embedding(place / f"squat{n}.pwr", recogniser) for n in range(3)]
    assert min(one @ other for one in waves for other in waves) > 0.9
    assert max(one @ other for one in waves for other in squats) < 0.5
    np.testing.assert_allclose([np.linalg.norm(one) for one in waves], 1, rtol=1e-5)


@pytest.mark.parametrize("fps", [12.0, 60.0])
def test_an_embedding_does_not_depend_on_the_frame_rate(place: Path, fps: float) -> None:
    recogniser = load_service(load_config(place / "test.toml")).recogniser
    at30, other = (
        embedding(record(place / f"rate{rate:g}.pwr", ("wave", 3.0), fps=rate), recogniser) for rate in (30.0, fps)
    )
    assert at30 @ other > 0.98


def test_the_person_with_most_frames_is_the_example(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "two.pwr") as writer:
        for number in range(60):
            people = [person(2.0)] * (number < 40) + [pose("wave", number / 30)]
            writer.write(frame(number * NANOSECONDS // 30, *people, seq=number))
    clip = read_clip(open_source(tmp_path / "two.pwr"), TrackerSettings())
    assert clip.joints.shape == (60, 25, 3)
    assert abs(float(clip.joints[:, 0, 0].mean())) < 0.1


def test_frames_out_of_order_are_left_out(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "x.pwr") as writer:
        for number in (0, 1, 2, 2, 1, 3, 4, 5, 6, 7):
            writer.write(frame(number * NANOSECONDS // 30, person(), seq=number))
    clip = read_clip(open_source(tmp_path / "x.pwr"), TrackerSettings())
    assert np.all(np.diff(clip.t) > 0)
    assert len(clip.t) == 8


def test_a_clip_with_a_hole_is_masked_there(tmp_path: Path) -> None:
    recogniser = make_model(tmp_path / "model")
    with RecordingWriter(tmp_path / "x.pwr") as writer:
        for number in (*range(10), *range(40, 50)):
            writer.write(frame(number * NANOSECONDS // 30, person(), seq=number))
    clip = read_clip(open_source(tmp_path / "x.pwr"), TrackerSettings())
    with pytest.raises(ClipError, match="of its joints are seen; expected at least 90%"):
        embed_clip(clip, recogniser, 0.9)
    assert np.isfinite(embed_clip(clip, recogniser, 0.4)).all()


def test_examples_of_another_model_and_bad_files_are_not_used_and_told_of(place: Path, posewire: Run) -> None:
    posewire("teach", "good", "wave0.pwr", "--config", "test.toml")
    good = load(place / "examples" / "good.safetensors")
    save(place / "examples", Examples("old", "old", "info", "0" * 64, good.embeddings))
    save(place / "examples", Examples("thin", "thin", "info", good.model, good.embeddings[:, :1] * 0 + 1))
    (place / "examples" / "bad.safetensors").write_bytes(b"not safetensors")
    (place / "examples" / "notes.txt").write_text("of no interest")
    service = load_service(load_config(place / "test.toml"))
    assert [prompt.name for prompt in service.prompts.prompts] == ["kick", "good"]
    assert len(service.unused) == 3
    result = posewire("check", "--config", "test.toml")
    assert result.returncode == 2
    assert "old.safetensors: not used, was taught with another model; teach it again" in result.stderr
    assert "bad.safetensors: not a safetensors file" in result.stderr
    result = posewire("replay", "wave1.pwr", "--speed", "max", "--config", "test.toml")
    assert "old.safetensors: not used, was taught with another model; teach it again" in result.stdout
    result = posewire("teach", "--list", "--config", "test.toml")
    assert result.returncode == 2
    assert "not used: taught with another model" in result.stdout
    assert "bad.safetensors: not a safetensors file" in result.stderr


def test_a_folder_is_read_again_when_it_changes(place: Path) -> None:
    service = load_service(load_config(place / "test.toml"))
    assert service.refresh() is None
    digest = service.prompts.digest
    wave = np.stack([embedding(place / "wave0.pwr", service.recogniser)])
    path = save(place / "examples", Examples("wave", "waves", "info", service.recogniser.digest, wave))
    prompts, unused = service.refresh()
    assert [prompt.name for prompt in prompts.prompts] == ["kick", "wave"]
    assert not unused
    assert prompts.digest != digest
    assert service.refresh() is None
    path.write_bytes(b"x")
    prompts, unused = service.refresh()
    assert prompts.digest == digest
    assert len(unused) == 1
    path.unlink()
    path.symlink_to("nowhere.safetensors")
    assert len(service.refresh()[1]) == 1
    path.unlink()
    assert service.refresh()[1] == []


def test_no_folder_is_no_examples(tmp_path: Path, posewire: Run) -> None:
    for path in (None, tmp_path / "none"):
        folder = ExampleFolder(path, "0" * 64, 4)
        assert folder.changed()
        assert not folder.changed()
        assert folder.read() == ([], [])
    config = write_config(tmp_path, "[examples]", 'path = ""')
    result = posewire("teach", "x", "y.pwr", "--config", config)
    assert "examples.path is empty" in result.stderr


def test_no_action_is_named_as_the_events_of_anomalies_are(tmp_path: Path) -> None:
    path = tmp_path / "posewire.toml"
    path.write_text("")
    with pytest.raises(OptionError, match=r"anomaly: the events of \[anomaly\] are named so; expected another name"):
        teach_action("anomaly", [], events=[], text=None, severity="info", force=False, query=None, config=path)
