"""Whole experiments on a few clips: complete, repeatable, and gone on with wherever they were killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_experiment import CLASSES, DIM, division, embed

from models.alignment import align
from models.errors import ModelError
from train.papers.experiment import Fitted, Options, fitted, folder_of, run
from train.papers.options import FIGURES
from train.papers.parts import Part
from train.papers.recipes import alpha
from train.runs import ResumeError

ROOT = Path(__file__).parents[3]


def options(recipe: str, folder: Path, **others: Any) -> Options:
    return Options(recipe, **{"epochs": 2, "pretrain_epochs": 2, "run": folder, **others})


def never(what: str, step: int, steps: int, loss: float, scores: dict[str, float] | None) -> None:
    raise AssertionError(f"trained {what}: step {step} of {steps}, {loss}, {scores}")


@pytest.mark.parametrize("recipe", ["smie", "pgfa", "cada-vae"])
def test_figures_are_complete_and_the_second_call_reads_them(recipe: str, tmp_path: Path) -> None:
    given, wanted = division(), options(recipe, tmp_path)
    figures = run(given, wanted, embed)
    told = {"recipe": recipe, "dataset": "tiny", "split": "4/2", "seed": 0, "texts": "name", "encoder": "stgcn"}
    assert told.items() <= figures.items()
    for share in (*(figures[key] for key in ("top1", "aligned_top1", "validation")), *figures["per_class"].values()):
        assert 0 <= share <= 1
    counts = np.array(figures["confusion"]["counts"])
    assert figures["confusion"]["classes"] == ["jump", "wave"] == list(figures["per_class"])
    assert counts.sum() == figures["n"] == len(given.test_unseen) == 6
    assert np.trace(counts) / 6 == pytest.approx(figures["top1"])
    assert figures["per_class"]["jump"] == counts[0, 0] / counts[0].sum()
    assert "generalised" not in figures
    path = folder_of(given, wanted) / FIGURES
    assert json.loads(path.read_text(encoding="utf-8")) == figures
    made = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert run(given, wanted, embed, never) == figures
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == made


def test_one_seed_gives_one_digest_and_another_seed_another(tmp_path: Path) -> None:
    given = division()
    digests = [
        run(given, options("smie", tmp_path / folder, seed=seed), embed)["digest"]
        for folder, seed in (("a", 0), ("b", 0), ("b", 1))
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("other", [{"epochs": 1}, {"pretrain_epochs": 1}, {"bf16": False}])
def test_figures_of_other_settings_are_not_taken_for_these(other: dict[str, Any], tmp_path: Path) -> None:
    run(division(), options("devise", tmp_path), embed)
    with pytest.raises(ResumeError, match=r"other settings; expected the same, or another --run$"):
        run(division(), options("devise", tmp_path, **other), embed)


def test_texts_and_masks_have_folders_of_their_own(tmp_path: Path) -> None:
    given, usual = division(), options("smie", tmp_path)
    others = [replace(usual, **kind) for kind in ({"mask": "released"}, {"texts": "sentence"}, {"encoder": "shiftgcn"})]
    names = [folder_of(given, each).relative_to(tmp_path).as_posix() for each in (usual, *others)]
    assert names == [f"tiny/4-2/seed-0/smie{more}" for more in ("", "-released", "-sentence", "-shiftgcn")]


def test_an_unknown_recipe_or_encoder_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected one of devise"):
        run(division(), options("mine", tmp_path), embed)
    with pytest.raises(ModelError, match="expected stgcn or shiftgcn"):
        run(division(), options("devise", tmp_path, encoder="lstm"), embed)
    assert not list(tmp_path.iterdir())


def test_other_features_of_the_tests_change_figures_but_no_weights(tmp_path: Path) -> None:
    given = division()
    other = replace(given, test_unseen=replace(given.test_unseen, inputs=given.test_unseen.inputs[:] * 3))
    first = run(given, options("smie", tmp_path / "a"), embed)
    second = run(other, options("smie", tmp_path / "b"), embed)
    assert first["digest"] != second["digest"]
    assert first["validation"] == second["validation"]


@pytest.mark.parametrize("recipe", ["pgfa", "smie"])
def test_what_was_fitted_is_what_was_judged(recipe: str, tmp_path: Path) -> None:
    given, wanted = division(), options(recipe, tmp_path)
    figures = run(given, wanted, embed)
    found: Fitted = fitted(given, wanted, embed)
    assert found.vectors.shape == (6, 1, DIM)
    assert found.texts == [(name,) for name in CLASSES]
    assert found.encoder is not None
    with torch.inference_mode():
        features = found.encoder(torch.from_numpy(given.test_unseen.inputs[:]))
        named = found.method.matcher(found.vectors[list(given.unseen)])(features).argmax(dim=1).numpy()
    assert np.mean(np.array(given.unseen)[named] == given.test_unseen.labels) == pytest.approx(figures["top1"])
    scores, labels = found.validation
    assert scores.shape == (len(given.validation), 4)
    assert (scores.argmax(axis=1) == labels).mean() == pytest.approx(figures["validation"])


def test_the_aligned_figure_is_that_of_the_alignment(tmp_path: Path) -> None:
    random, given = np.random.default_rng(0), division()
    labels = np.array(given.unseen)[random.integers(0, 2, 101)]

    def features(part: Part) -> Part:
        return Part(random.normal(size=(len(part), 256)).astype(np.float32), part.labels)

    parts = {name: features(getattr(given, name)) for name in ("train", "validation", "test_seen")}
    given = replace(given, **parts, test_unseen=features(Part(np.empty((101, 0)), labels)))
    plain, aligned = [], []
    for seed in range(3):
        wanted = options("devise", tmp_path, seed=seed)
        figures, found = run(given, wanted, embed), fitted(given, wanted, embed)
        x, vectors = torch.from_numpy(given.test_unseen.inputs), found.vectors[list(given.unseen)]
        with torch.no_grad():
            scores = found.method.matcher(vectors)(x)
            z, anchors = found.method.embed(x), found.method.anchors(vectors)
        share = alpha(given.dataset)
        named = [align(z, scores, anchors, share), scores]
        aligned_by_hand, by_hand = (
            np.mean(np.array(given.unseen)[one.argmax(dim=1).numpy()] == labels) for one in named
        )
        assert figures["aligned_top1"] == pytest.approx(aligned_by_hand)
        assert figures["top1"] == pytest.approx(by_hand)
        plain.append(figures["top1"])
        aligned.append(figures["aligned_top1"])
    assert plain != aligned  # else the one could be told for the other


def kill_at(recipe: str, step: int, folder: Path, epochs: int) -> None:
    """Run an experiment in a process of its own, and kill it in the middle of its recipe's training."""
    code = "import sys, tiny_experiment; tiny_experiment.main(*sys.argv[1:])"
    arguments = (recipe, str(folder), str(epochs), str(torch.get_num_threads()), f"{recipe} {step}")
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("recipe", ["smie", pytest.param("pgfa", marks=pytest.mark.slow)])
def test_a_killed_process_is_gone_on_with_to_the_same_digest(recipe: str, tmp_path: Path) -> None:
    given, plan = division(), {"epochs": 20}
    kill_at(recipe, 7, tmp_path / "killed", **plan)
    said: list[tuple[str, int]] = []

    def report(what: str, step: int, steps: int, loss: float, scores: dict[str, float] | None) -> None:  # noqa: ARG001
        said.append((what, step))

    gone_on = run(given, options(recipe, tmp_path / "killed", **plan), embed, report)
    assert said == [(recipe, step) for step in range(7, 21)]  # every second step is validated, and kept
    whole = run(given, options(recipe, tmp_path / "whole", **plan), embed)
    assert gone_on["digest"] == whole["digest"]
    assert gone_on["aligned_top1"] == whole["aligned_top1"]
