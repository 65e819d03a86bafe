"""`posewire eval` as a person runs it, with a small network of random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Run
from small_model import write_random

from stream.layouts import KINECT_V1_JOINTS
from train.stream_metrics import StreamScores

ROOT = Path(__file__).parents[2]
LABELS = ("clap", "jump", "kick", "wave")
BACKGROUND = ("a person stands still", "a person walks", "a person does something else")
PROMPTS = {label: [f"a person {label}s", f"someone {label}s"] for label in LABELS}
META = json.dumps({"fps": 30, "units": "mm"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that ships the vectors of all texts here, clips, recordings, and prompts."""
    root = tmp_path_factory.mktemp("eval")
    texts = tuple(dict.fromkeys([*LABELS, *(t for group in PROMPTS.values() for t in group), *BACKGROUND]))
    write_random(root / "model", LABELS, texts, BACKGROUND[:1])
    arrays: dict[str, Any] = {"joint_names": np.array(KINECT_V1_JOINTS), "meta": META}
    labels = np.tile(LABELS, 8)
    write(
        root / "clips.npz", joints=people(32 * 40), offsets=np.arange(33) * 40, label=labels,
        subject=np.repeat(["s1", "s2", "s3", "s4"], 8), **arrays,
    )  # fmt: skip
    names = np.array(["none", *LABELS])
    frames = {"frame_label": np.tile(np.repeat([0, 1, 0, 2], 75), 3), "label_names": names}
    arrays |= {"offsets": np.arange(4) * 300, "subject": np.array(["s1", "s2", "s3"])}
    write(root / "framed.npz", joints=people(900), **arrays, **frames)
    tags = {"tag_sequence": np.arange(3), "tag_frame": np.full(3, 150), "tag_label": np.array(LABELS[:3])}
    write(root / "tagged.npz", joints=people(900), **arrays, **tags)
    (root / "prompts.json").write_text(json.dumps(PROMPTS))
    return root


def write(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def people(frames: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 300, (20, 3)) + np.array([0, 0, 2500])
    pose[[0, 2], 1] = 0, 500
    return (pose + rng.normal(0, 30, (frames, 20, 3))).astype(np.int16)


def evaluated(
    posewire: Run, folder: Path, kind: str, data: str, *more: object, out: str = "out.json"
) -> dict[str, Any]:
    path = folder / out
    arguments = ("--data", folder / data, "--model", folder / "model", "--json", path, *more)
    result = posewire("eval", kind, *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert f"figures: {path}" in result.stdout
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def test_zero_shot(posewire: Run, folder: Path) -> None:
    plot = folder / "zero.png"
    figures = evaluated(posewire, folder, "zero-shot", "clips.npz", "--plot", plot)
    assert set(figures) >= {
        "top1", "top3", "n", "per_class", "confusion", "spread", "abstain", "familiarity", "prompts", "seeds",
    }  # fmt: skip
    assert 0 <= figures["top1"] <= figures["top3"] <= 1
    assert (figures["n"], figures["seeds"]) == (32, 3)
    assert figures["top1"] == pytest.approx(np.mean(list(figures["per_class"].values())))
    assert {label: sum(counts.values()) for label, counts in figures["confusion"].items()} == dict.fromkeys(LABELS, 8)
    assert figures["prompts"] == {label: [label] for label in LABELS}
    assert figures["abstain"]["accepted"]["mean"] >= 0.8
    assert plot.read_bytes()[:4] == b"\x89PNG"
    described = evaluated(
        posewire, folder, "zero-shot", "clips.npz", "--prompts", folder / "prompts.json", "--seeds", 2
    )
    assert described["prompts"] == PROMPTS
    assert described["seeds"] == 2


def test_few_shot_is_the_same_again(posewire: Run, folder: Path) -> None:
    figures = evaluated(posewire, folder, "few-shot", "clips.npz", "--plot", folder / "few.png")
    assert list(figures["shots"]) == ["1", "3", "5", "10"]
    assert all(set(value) == {"mean", "std"} and 0 <= value["mean"] <= 1 for value in figures["shots"].values())
    assert (figures["n"], figures["labels"], figures["seeds"]) == (32, 4, 5)
    assert figures == evaluated(
        posewire, folder, "few-shot", "clips.npz", "--prompts", folder / "prompts.json", out="b.json"
    )


@pytest.mark.parametrize(("data", "framed"), [("framed.npz", True), ("tagged.npz", False)])
def test_stream(posewire: Run, folder: Path, data: str, framed: bool) -> None:
    figures = evaluated(posewire, folder, "stream", data, "--plot", folder / "stream.png")
    assert set(figures) > set(StreamScores.__dataclass_fields__)
    assert figures["recordings"] == 3
    assert figures["hours"] == pytest.approx(3 * 299 / 30 / 3600)
    assert list(figures["prompts"]) == (["clap", "jump"] if framed else ["clap", "jump", "kick"])
    assert (figures["frame_f1"] is not None) == framed
    few = evaluated(posewire, folder, "stream", data, "--most", 1, "--seeds", 3, "--seed", 7)
    assert few["recordings"] == 1


def test_json_on_standard_output_stands_there_alone(posewire: Run, folder: Path) -> None:
    result = posewire("eval", "few-shot", "--data", folder / "clips.npz", "--model", folder / "model", "--json", "-")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["n"] == 32
    assert "accuracy" in result.stderr


def test_what_is_wrong_is_one_line(posewire: Run, folder: Path, tmp_path: Path) -> None:
    clips, model = folder / "clips.npz", ("--model", folder / "model")
    (tmp_path / "one.json").write_text(json.dumps({"wave": "a person waves"}))
    write(tmp_path / "alone.npz", **(dict(np.load(clips)) | {"subject": np.array(["s1"] * 32)}))
    write(tmp_path / "same.npz", **(dict(np.load(clips)) | {"label": np.array(["wave"] * 32)}))
    for arguments, message in (
        (("zero-shot", "--data", tmp_path / "no.npz"), "not found"),
        (("zero-shot", "--data", clips, "--prompts", tmp_path / "one.json"), "lacks 'clap', 'jump', 'kick'"),
        (("zero-shot", "--data", tmp_path / "same.npz"), "expected two labels or more"),
        (("zero-shot", "--data", clips, "--model", tmp_path), "cannot be read"),
        (("few-shot", "--data", tmp_path / "alone.npz"), "expected at least two"),
        (("zero-shot", "--data", tmp_path), "is a folder; expected an .npz archive, or give --recipe"),
        (("few-shot", "--data", tmp_path), "is a folder; expected an .npz archive"),
        (("stream", "--data", clips), "holds trimmed clips"),
        (("stream", "--data", clips, "--json", clips), "would overwrite an input"),
        (("few-shot", "--data", clips, "--plot", tmp_path / "no" / "a.png"), "its folder does not exist"),
        (("few-shot", "--data", clips, "--plot", "-"), "expected the name of a file"),
        (("few-shot", "--data", clips, "--plot", tmp_path / "a.pdf"), "expected the name of a .png file"),
    ):
        result = posewire("eval", *arguments, *(() if "--model" in arguments else model))
        assert result.returncode == 2, arguments
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""


def test_a_device_is_written_to_as_it_is(posewire: Run, folder: Path) -> None:
    arguments = ("--data", folder / "clips.npz", "--model", folder / "model", "--json", "/dev/null")
    assert posewire("eval", "few-shot", *arguments).returncode == 0
    assert not Path("/dev/null").is_file()


def test_help_needs_neither_torch_nor_the_training_code() -> None:
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom stream.cli import app\n"
        "assert CliRunner().invoke(app, ['eval', 'stream', '--help']).exit_code == 0\n"
        "print([name for name in ('torch', 'numpy', 'train', 'scipy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert result.stdout.strip() == "[]", result.stderr
