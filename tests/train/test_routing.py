import json
from pathlib import Path

import numpy as np
import pytest

from train.routing import balanced_top, route
from train.teacher_eval import VOCABULARY, main, read_clips

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def test_a_prompt_scores_as_the_classes_with_its_meaning() -> None:
    bank = np.eye(3, 4, dtype=np.float32)
    prompts = np.array([[1, 0, 0, 0], [0, 0.6, 0.8, 0], [0, 0, 0, 1]], np.float32)
    posterior = np.array([[0.7, 0.2, 0.1], [0.0, 0.1, 0.9]], np.float32)
    scores = route(posterior, bank, prompts, 0.05)
    assert scores[:, 0] == pytest.approx([0.7, 0.0], abs=1e-6)
    e = np.exp(0.2 / 0.05)
    assert scores[:, 1] == pytest.approx([(0.2 + 0.1 * e) / (1 + e), (0.1 + 0.9 * e) / (1 + e)], abs=1e-5)
    assert scores[:, 2] == pytest.approx([1 / 3, 1 / 3])  # no near neighbour: every clip scores alike
    hot = route(posterior, bank, prompts, 1e6)
    np.testing.assert_allclose(hot, 1 / 3, atol=1e-5)


def test_top_k_weighs_classes_equally_and_gives_ties_away() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    truth = [0, 0, 2, 0]
    assert balanced_top(scores, truth, 1) == pytest.approx((2 / 3 + 0) / 2)
    assert balanced_top(scores, truth, 2) == pytest.approx(1.0)
    assert balanced_top(scores, truth, 1, ["a", "b", "b", "b"]) == pytest.approx((1 + 1 / 3) / 2)


def test_the_vocabulary_names_only_classes_that_there_are() -> None:
    vocabulary = json.loads(VOCABULARY.read_text(encoding="utf-8"))
    assert len(set(vocabulary["classes"])) == 120
    for table in vocabulary["sets"].values():
        assert {row["class"] for row in table.values()} <= {None, *vocabulary["classes"]}
        assert len({row["phrase"] for row in table.values()}) == len(table)


def archive(path: Path, *, tags: bool) -> Path:
    """Two sitting and one jumping recording of a made-up Kinect v1 person, or one recording with two tags."""
    from stream.layouts import KINECT_V1_JOINTS

    joints = np.random.default_rng(0).integers(-900, 900, (120, 20, 3)).astype(np.int16)
    fields = {"joints": joints, "joint_names": np.array(KINECT_V1_JOINTS)}
    if tags:
        fields |= {"offsets": np.array([0, 120]), "tag_sequence": np.array([0, 0]), "tag_frame": np.array([10, 60])}
        fields["tag_label"] = np.array(["kick", "bow"])
    else:
        fields |= {"offsets": np.array([0, 30, 33, 120]), "label": np.array(["sit", "sit", "jump"])}
    np.savez(path, **fields)
    return path


def test_clips_are_read_whole_or_around_their_tags(tmp_path: Path) -> None:
    found = read_clips(archive(tmp_path / "clips.npz", tags=False), None, 0)
    assert found.labels == ["sit", "sit", "jump"]
    assert [clip.shape for clip in found.clips] == [(3, 64, 25, 2), (3, 64, 25, 2), (3, 84, 25, 2)]
    found = read_clips(archive(tmp_path / "tags.npz", tags=True), None, 0)
    assert found.labels == ["kick", "bow"]
    assert len(read_clips(tmp_path / "clips.npz", 2, 0).clips) == 2


def test_the_command_refuses_what_it_cannot_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = archive(tmp_path / "utd_mhad.npz", tags=False)
    (tmp_path / "bad.npz").write_text("weights")
    for arguments in (
        ["--weights", str(tmp_path / "bad.npz"), "--data", str(data)],
        ["--weights", str(tmp_path / "bad.npz"), "--data", str(tmp_path / "unheard_of.npz")],
    ):
        assert main(arguments) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_teacher_knows_what_other_sensors_saw(capsys: pytest.CaptureFixture[str]) -> None:
    weights, data = SHARED / "teacher" / "ntu120_ShiftGCN_joint_xsub.npz", SHARED / "clips" / "utd_mhad.npz"
    if not (weights.is_file() and data.is_file()):
        pytest.skip("needs ../shared: published weights and UTD-MHAD")
    assert main(["--weights", str(weights), "--data", str(data), "--most", "120"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["clips"] == 120
    assert figures["shared"]["top1"] > 0.4
    assert figures["all120"]["top5"] > 0.6
