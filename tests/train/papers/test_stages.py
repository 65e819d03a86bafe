"""What an experiment's trainings learn from, keep and refuse, on a few clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_experiment import DIM, division, embed

from models.methods.devise import DeViSE
from models.methods.synse import SynSE
from models.words import facet_texts
from train.papers.options import Options, folder_of, shared_folder
from train.papers.parts import Division, Part
from train.papers.stages import TOLD, WEIGHTS, Stages, text_vectors
from train.runs import LOG, STATE, ResumeError


def options(recipe: str, folder: Path, seed: int = 0, epochs: int = 1) -> Options:
    return Options(recipe, seed, epochs=epochs, pretrain_epochs=epochs, run=folder)


def on_features() -> Division:
    """A division of random features, as SynSE publishes them."""
    random, given = np.random.default_rng(0), division()

    def features(part: Part) -> Part:
        return Part(random.normal(size=(len(part), 256)).astype(np.float32), part.labels)

    parts = ("train", "validation", "test_seen", "test_unseen")
    return replace(given, **{name: features(getattr(given, name)) for name in parts})


def test_texts_become_means_of_unit_norm_for_each_facet() -> None:
    texts = [("a wave of the hand", "waving"), ("a kick",)]
    whole = text_vectors(texts, DeViSE, embed)
    assert whole.shape == (2, 1, DIM)
    mean = embed(["a wave of the hand", "waving"]).mean(axis=0)
    np.testing.assert_allclose(whole[0, 0], mean / np.linalg.norm(mean), rtol=1e-5)
    np.testing.assert_allclose(whole[1, 0], embed(["a kick"])[0], rtol=1e-5)
    parts = text_vectors(texts, SynSE, embed)
    np.testing.assert_allclose(parts[1], embed(facet_texts("a kick", SynSE.facets)), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(parts, axis=2), 1, rtol=1e-5)


def test_a_frozen_encoder_is_trained_once_for_all_recipes(tmp_path: Path) -> None:
    said: list[str] = []

    def report(what: str, step: int, steps: int, loss: float, scores: dict[str, float] | None) -> None:  # noqa: ARG001
        said.append(what)
        assert step <= steps
        assert np.isfinite(loss)

    given = division()
    Stages(given, options("smie", tmp_path), embed, report).method()
    assert set(said) == {"encoder", "smie"}
    shared = shared_folder(given, options("smie", tmp_path)) / "encoder-stgcn"
    assert {path.name for path in shared.iterdir()} == {
        WEIGHTS, TOLD, LOG, "features-train.npy", "features-validation.npy", "features-masked-paper.npy",
    }  # fmt: skip
    made = {path.name: path.stat().st_mtime_ns for path in shared.iterdir()}
    said.clear()
    Stages(given, options("devise", tmp_path), embed, report).method()
    assert set(said) == {"devise"}
    assert {path.name: path.stat().st_mtime_ns for path in shared.iterdir()} == made
    assert not list(tmp_path.rglob(STATE))


def test_kept_features_are_those_of_the_encoder(tmp_path: Path) -> None:
    given = division()
    stages = Stages(given, options("smie", tmp_path), embed, None)
    first = {part: stages.features(part) for part in ("validation", "test_unseen", "masked")}
    again = Stages(given, options("smie", tmp_path), embed, None)
    for part, features in first.items():
        assert np.array_equal(again.features(part), features)
    with torch.inference_mode():
        expected = again.encoder()(torch.from_numpy(given.test_unseen.inputs[:])).numpy()
    np.testing.assert_allclose(first["test_unseen"], expected, rtol=1e-4, atol=1e-6)
    assert not again.encoder().training
    assert not np.allclose(first["masked"], stages.features("train"))


def test_features_of_an_encoder_trained_otherwise_are_not_used(tmp_path: Path) -> None:
    given = division()
    Stages(given, options("smie", tmp_path), embed, None).features("train")
    other = replace(options("devise", tmp_path), pretrain_epochs=2)
    with pytest.raises(ResumeError, match="on other data or otherwise"):
        Stages(given, other, embed, None).method()
    changed = replace(given, train=replace(given.train, inputs=given.train.inputs[:] * 2))
    with pytest.raises(ResumeError, match="on other data or otherwise"):
        Stages(changed, options("devise", tmp_path), embed, None).method()


@pytest.mark.parametrize("recipe", ["smie", "pgfa"])
@pytest.mark.parametrize("poison", [float("nan"), 100.0])
def test_the_tests_clips_and_the_unseen_texts_teach_nothing(recipe: str, poison: float, tmp_path: Path) -> None:
    given = division()

    def poisoned(part: Part) -> Part:
        return replace(part, inputs=part.inputs[:] + np.float32(poison))

    other = replace(given, test_seen=poisoned(given.test_seen), test_unseen=poisoned(given.test_unseen))

    def other_texts(texts: list[str]) -> np.ndarray:
        return embed([f"other {text}" if text in ("jump", "wave") else text for text in texts])

    for folder, data, texts in (("clean", given, embed), ("poisoned", other, other_texts)):
        stages = Stages(data, options(recipe, tmp_path / folder), texts, None)
        stages.method()
        stages.features("test_unseen")
    clean, bad = (
        {p.relative_to(tmp_path / f): p for p in (tmp_path / f).rglob(WEIGHTS)} for f in ("clean", "poisoned")
    )
    assert clean.keys() == bad.keys()
    assert len(clean) == (1 if recipe == "pgfa" else 2)
    for name, path in clean.items():
        weights, others = load_file(path), load_file(bad[name])
        assert all(torch.equal(weights[key], others[key]) for key in weights)


def test_without_clips_a_method_is_fitted_on_the_features_and_nothing_is_encoded(tmp_path: Path) -> None:
    given = on_features()
    stages = Stages(given, options("devise", tmp_path), embed, None)
    assert stages.given
    assert not stages.method().training
    assert np.array_equal(stages.features("test_unseen"), given.test_unseen.inputs)
    assert [path.parent.name for path in tmp_path.rglob(WEIGHTS)] == ["devise"]


def test_without_clips_smie_is_fitted_without_its_hinge(tmp_path: Path) -> None:
    Stages(on_features(), options("smie", tmp_path), embed, None).method()
    assert not list(tmp_path.rglob("*.npy"))


def test_without_clips_pgfa_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match=r"^recipe pgfa: is trained on clips; tiny has features only$"):
        Stages(on_features(), options("pgfa", tmp_path), embed, None)
    assert not list(tmp_path.iterdir())


def test_a_rehearsal_is_kept_nowhere_and_repeats(tmp_path: Path) -> None:
    given = on_features()
    stages = Stages(given, options("devise", tmp_path), embed, None)
    inner = replace(given, seen=given.seen[:3], train=_of(given.train, given.seen[:3]))
    inner = replace(inner, validation=_of(given.validation, given.seen[:3]))
    first, second = stages.rehearsed(inner), stages.rehearsed(inner)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not list(tmp_path.rglob("*.*"))
    assert not folder_of(given, options("devise", tmp_path)).exists()


def _of(part: Part, classes: tuple[int, ...]) -> Part:
    rows = np.isin(part.labels, classes)
    return Part(part.inputs[rows], part.labels[rows])
