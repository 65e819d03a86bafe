"""Training of the point set on made-up people: what it sees, what it may not see, and what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small import ACTIONS, sequences

from models.pointset_model import load_pointset
from train.__main__ import main
from train.datasets.people import Split
from train.pointset import fit as fitting
from train.pointset.data import FRAMES, NOBODY, Recordings, blow_cut, meeting_cut
from train.pointset.fit import FitSettings, Fitter
from train.pointset.images import ImageClip
from train.pointset.people import People, make_scenes
from train.pointset.views import Views, seen
from train.pointset.vocabulary import APPROACH, GROUPS, HUG, STRIKES, load_labels

DIM = 8


def people(seed: int = 0) -> People:
    """Three people's clips, some named as what pairs are composed of."""
    from dataclasses import replace

    from train.datasets.labels import index_of

    made = sequences(seed=seed)
    names = ("punch", "front kick", "swipe", "push both hands", "point", "something else", "stand")
    for name in names:
        for clip in sequences(seed=seed)[:3]:
            made.append(replace(clip, spans=(replace(clip.spans[0], action=index_of(name)),)))
    rng = np.random.default_rng(seed)
    flat = rng.normal(0, 0.4, (40, 25, 3)).astype(np.float32)
    clip = ImageClip(flat, np.ones((40, 25), np.float32), 25.0, "squat", "penn_action")
    return People(Recordings(made), [clip])


def vectors(labels: tuple[object, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = [rng.normal(size=(2, DIM)) for _ in labels]
    return [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float32) for one in found]


def test_labels_are_named_once_and_no_text_has_a_side() -> None:
    labels = load_labels()
    assert len({label.name for label in labels}) == len(labels)
    assert {*STRIKES} < {label.name for label in labels}
    for label in labels:
        assert label.texts
        sided = {"left", "right"} & set(" ".join(label.texts).split())
        assert not sided or sided == {"left", "right"}, label


def test_what_is_left_out_is_in_no_window() -> None:
    labels = load_labels(["strikes"])
    assert not {label.name for label in labels} & set(STRIKES)
    told = " ".join(text for label in labels for text in label.texts)
    assert not any(word in told for word in ("punch", "kick", "slap", "boxing", "elbow strike"))
    scenes = make_scenes(people(), labels, 600, 0)
    names = {labels[i].name for group in scenes.values() for i in group.label}
    assert "push another person" in names
    assert not names & set(STRIKES)
    persons = {i for group in scenes.values() for i in group.persons.ravel()} - {NOBODY}
    assert not {labels[i].name for i in persons} & set(STRIKES)


def test_scenes_are_of_the_asked_shape_and_the_same_again() -> None:
    labels = load_labels()
    made, again = (make_scenes(people(), labels, 400, 3) for _ in range(2))
    assert set(made) == {1, 2}
    for bodies, group in made.items():
        assert group.joints.shape[1:] == (FRAMES, bodies, 25, 3)
        assert np.isfinite(group.joints).all()
        np.testing.assert_array_equal(group.joints, again[bodies].joints)
        assert (group.label >= 0).all()
    assert {labels[i].name for i in made[1].label} > {*ACTIONS, "fall", "squat"}
    assert {labels[i].name for i in made[2].label} >= {*GROUPS["pairs"]}


def test_blows_that_do_not_arrive_keep_the_single_name() -> None:
    rng = np.random.default_rng(0)
    recordings = people().recordings
    hit = blow_cut(recordings, "punch another person", rng, arrives=True)
    miss = blow_cut(recordings, "punch another person", rng, arrives=False)
    assert hit.label == "punch another person"
    assert miss.label == "punch"
    assert miss.persons == ("punch", "stand")
    near = np.linalg.norm((hit.joints[:, 1, 0] - hit.joints[:, 0, 0])[FRAMES // 2, [0, 2]])
    assert near < 1.3


def test_who_comes_ends_nearer_than_they_began() -> None:
    cut = meeting_cut(people().recordings, APPROACH, np.random.default_rng(0))
    apart = np.linalg.norm((cut.joints[:, 1, 0] - cut.joints[:, 0, 0])[:, [0, 2]], axis=1)
    assert apart[-1] < apart[0] - 0.5
    assert meeting_cut(people().recordings, HUG, np.random.default_rng(0)).persons == (HUG, HUG)


def test_views_stay_in_0_to_1_and_hide_some() -> None:
    labels = load_labels()
    for bodies, group in make_scenes(people(), labels, 300, 0).items():
        points, phase = seen(
            group.joints, group.confidence, group.image, np.ones(len(group), bool), Views(), np.random.default_rng(0)
        )
        assert points.shape == (len(group), Views().length, bodies, 25, 5)
        assert points.dtype == np.float32
        assert np.isfinite(points).all()
        assert points.min() >= 0
        assert points.max() <= 1
        assert 0.2 < (points[..., 2] > 0).mean() < 1
        assert phase.min() >= 0
        assert phase.max() < 1


def test_training_learns_in_both_stages_and_is_the_same_again() -> None:
    labels = load_labels()
    scenes = make_scenes(people(), labels, 300, 0)
    runs = []
    for _ in range(2):
        losses: list[float] = []
        fitter = Fitter(scenes, labels, vectors(labels), FitSettings(size=300, epochs=3, seed=1))
        fitter.fit(lambda _, loss, losses=losses: losses.append(loss))
        runs.append(losses)
        assert np.isfinite(losses).all()
        assert len(losses) == fitter.steps
    assert runs[0] == runs[1]


def test_a_model_is_written_whole_with_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "text_vectors", vectors_of_texts)
    monkeypatch.setattr("train.pointset.judge.SIZE", 200)
    monkeypatch.setattr("train.pointset.judge.ROUNDS", 4)
    every = {split: people(seed) for seed, split in enumerate(Split)}
    figures = fitting.fit(every, tmp_path / "out", FitSettings(size=300, epochs=1, without=("strikes",)))
    model = load_pointset(tmp_path / "out")
    assert model.dim == 128
    assert not {*model.manifest.labels} & set(STRIKES)
    assert "AUROC push another person (20 % missing)" in figures
    assert not any("punch" in name for name in figures)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "--without strikes" in card
    assert "simulated" in card
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "evaluation.json", "model.json", "model.safetensors", "text.safetensors",
    ]  # fmt: skip


def vectors_of_texts(labels: tuple[object, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = [rng.normal(size=(len(label.texts), DIM)) for label in labels]  # type: ignore[attr-defined]
    return [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float32) for one in found]


def test_wrong_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="expected 100 scenes"):
        FitSettings(size=10)
    with pytest.raises(SystemExit):
        main(["pointset", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--without", "sheep"])
    assert "sheep" in capsys.readouterr().err
    assert main(["pointset", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
