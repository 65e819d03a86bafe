"""`posewire eval anomaly` as a person runs it, with small networks of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Run
from small_model import write_random

from models.pointset import PointSet
from models.pointset_model import ARCHITECTURE, FORMAT, PointSetManifest, save_pointset

TEXTS = ("a person punches", "a person kicks", "a person stands still")
NAMES = (
    "head", "neck", "torso", "left_shoulder", "left_elbow", "left_hand", "right_shoulder", "right_elbow", "right_hand",
    "left_hip", "left_knee", "left_foot", "right_hip", "right_knee", "right_foot",
)  # fmt: skip
LABELS = ("kicking", "pushing", "hugging", "shaking hands")
SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that ship the vectors of all texts here, and clips of two people, in 3-D and in an image."""
    root = tmp_path_factory.mktemp("anomaly")
    vectors = write_random(root / "model", TEXTS, TEXTS, TEXTS[2:])
    network = PointSet(width=8, features=8, classes=3, text_dim=vectors.shape[1])
    said = PointSetManifest(
        format=FORMAT, architecture=ARCHITECTURE, arguments=network.sizes, text_model="none", labels=TEXTS,
        texts=TEXTS, label_of=(0, 1, 2), training={}, terms="none",
    )  # fmt: skip
    save_pointset(root / "points", said, {name: value.numpy() for name, value in network.state_dict().items()}, vectors)
    rng = np.random.default_rng(0)
    pose = rng.uniform(-400, 400, (2, len(NAMES), 3)) + np.array([0, 0, 2500])
    joints = pose + rng.normal(0, 15, (32 * 30, 2, len(NAMES), 3))
    labels = np.tile(LABELS, 8)
    for clip, label in enumerate(labels):
        if label in LABELS[:2]:
            joints[clip * 30 + 10 : clip * 30 + 30, 0, 8] += rng.normal(0, 400, (20, 3))
    arrays: dict[str, Any] = {
        "joint_names": np.array([f"{who}_{name}" for who in "AB" for name in NAMES]),
        "offsets": np.arange(33) * 30,
        "label": labels,
        "subject": np.repeat(["s01s02", "s03s04", "s05s06", "s07s08"], 8),
    }
    flat = joints.reshape(len(joints), -1, 3)
    meta = json.dumps({"fps": 15, "units": "mm"})
    np.savez(root / "pairs.npz", joints=flat.astype(np.int16), meta=meta, **arrays)
    image = (flat[..., :2] * (1, -1) / 4).astype(np.float32)
    np.savez(root / "image.npz", joints=image, meta=json.dumps({"fps": 0, "units": "px"}), **arrays)
    return root


def models(folder: Path) -> tuple[object, ...]:
    return ("--model", folder / "model", "--points", folder / "points")


@pytest.mark.parametrize("encoder", ["points", "graph", "both"])
def test_labelled_clips_of_two_people(posewire: Run, folder: Path, tmp_path: Path, encoder: str) -> None:
    data, out, plot = folder / "pairs.npz", tmp_path / "out.json", tmp_path / "out.png"
    result = posewire(
        "eval", "anomaly", "--data", data, "--positive", "kicking", "pushing", "--prompt", TEXTS[0], TEXTS[1],
        "--json", out, "--plot", plot, "--encoder", encoder, *models(folder),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    found = json.loads(out.read_text(encoding="utf-8"))
    assert set(found["by_score"]) == {"ood", "prompt", "product"}
    assert all(0 <= value <= 1 for value in (found["auroc"], found["ap"], *found["by_score"].values()))
    assert found["auroc"] == found["by_score"]["product"]
    assert (found["clips"], found["positives"], found["people"], found["normal_clips"]) == (32, 16, 2, 16)
    assert found["positive"] == ["kicking", "pushing"]
    assert found["prompts"] == list(TEXTS[:2])
    assert found["folds"] == {"by": "people", "count": 4}
    assert len(found["by_encoder"]) == (2 if encoder == "both" else 1)
    assert plot.read_bytes()[:4] == b"\x89PNG"
    assert "32 clips, 16 of them positive (*)" in result.stdout
    assert "kicking *" in result.stdout
    assert "hugging *" not in result.stdout


def test_flags_may_be_repeated_and_the_answer_is_the_same(posewire: Run, folder: Path, tmp_path: Path) -> None:
    def judged(*arguments: object) -> str:
        result = posewire("eval", "anomaly", "--json", "-", "--encoder", "graph", *models(folder), *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    data, cache = folder / "image.npz", tmp_path / "cache"
    once = judged("--data", data, "--positive", "kicking", "pushing", "--prompt", *TEXTS[:2], "--cache", cache)
    flags = ("--prompt", TEXTS[0], "--prompt", TEXTS[1], "--positive", "kicking", "--positive=pushing")
    assert judged(*flags, "--data", data) == once
    assert judged(*flags, "--data", data, "--cache", cache) == once
    assert json.loads(once)["space"] == "image2d"
    named = json.loads(judged(*flags, "--data", data, "--normal-from", "hugging"))
    assert named["normal_clips"] == 8


def test_folder_of_poses(posewire: Run, folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("Fight", "NonFight"):
        (tmp_path / "rwf" / kind).mkdir(parents=True)
        for k in range(4):
            people = [
                {"image_id": f"{t}.jpg", "idx": 1, "score": 1.0, "keypoints": rng.uniform(1, 99, 51).tolist()}
                for t in range(20)
            ]
            (tmp_path / "rwf" / kind / f"{k}.json").write_text(json.dumps(people))
    common = ("--data", tmp_path / "rwf", "--prompt", TEXTS[0], "--json", "-", "--encoder", "graph", *models(folder))
    result = posewire("eval", "anomaly", *common)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["clips"], found["positive"]) == (8, ["Fight"])
    assert 0 <= found["accuracy"] <= 1
    mask = np.array([0] * 10 + [1] * 10)
    for k in range(4):
        np.save(tmp_path / "rwf" / "Fight" / f"{k}.npy", mask)
    for path in (tmp_path / "rwf" / "NonFight").iterdir():
        path.rename(path.with_name(f"n{path.name}"))
    (tmp_path / "rwf" / "NonFight").rename(tmp_path / "rwf" / "training")
    result = posewire("eval", "anomaly", *common, "--format", "alphapose")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["frames"] == 80


def test_what_is_wrong_is_one_line(posewire: Run, folder: Path, tmp_path: Path) -> None:
    data, prompt = ("--data", folder / "pairs.npz"), ("--prompt", TEXTS[0])
    for arguments, message in (
        ((*data, *prompt, "--positive", "kick"), "its labels are 'hugging', 'kicking', 'pushing', 'shaking hands'"),
        ((*data, *prompt), "--positive: no label is given"),
        ((*data, "--positive", "kicking"), "--prompt: no text"),
        ((*data, *prompt, "--positive", *LABELS), "all of its 32 clips are positive"),
        ((*data, *prompt, "--positive", "kicking", "--normal-from", "kicking"), "expected one of them"),
        ((*data, *prompt, "--positive", "kicking", "--encoder", "x"), "expected one of points, graph, both"),
        ((*data, *prompt, "--positive", "kicking", "--json", tmp_path / "a" / "b"), "folder does not exist"),
        (("--data", tmp_path / "no.npz", *prompt, "--positive", "x"), "not found"),
        (("--data", tmp_path, *prompt), "labelled clips are given by their file, FILE.npz"),
        (("--data", tmp_path, *prompt, "--format", "x"), "expected alphapose or openpose"),
        (("--data", tmp_path, "--protocol", "x"), "expected one of precog, msrc12, kinder-gator, pairs"),
        (("--data", tmp_path, "--protocol", "precog", "--split", "x"), "expected test or validation"),
        (("--data", tmp_path, "--protocol", "precog"), "not found"),
        (("--data", tmp_path, "--protocol", "pairs", "--plot", tmp_path / "a.png"), "has no picture"),
        (("--data", tmp_path, *prompt, "--plot", tmp_path / "a.png"), "have no picture"),
    ):
        result = posewire("eval", "anomaly", *arguments, *models(folder))
        assert result.returncode == 2, (arguments, result)
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("protocol", ["precog", "msrc12", "kinder-gator", "pairs"])
def test_protocols(posewire: Run, tmp_path: Path, protocol: str) -> None:
    out = tmp_path / "out.json"
    result = posewire("eval", "anomaly", "--data", SHARED, "--protocol", protocol, "--as-recorded", "--json", out)
    assert result.returncode == 0, result.stderr
    teams = json.loads(out.read_text(encoding="utf-8"))["conditions"]["as recorded"]
    assert set(teams) == {"points", "graph", "both"}
