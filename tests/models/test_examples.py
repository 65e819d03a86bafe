"""Examples of actions: the files survive what files go through, and the scores say what they should."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as format_safetensors
from small_model import make_model

from models.checkpoint import load as load_model
from models.checkpoint import save as save_model
from models.errors import CheckpointError
from models.examples import (
    FORMAT,
    MAX_EXAMPLES,
    SAME_ACTION,
    SEVERITIES,
    STRANGER,
    TEMPERATURE,
    Examples,
    ExamplesError,
    class_means,
    load,
    mean_of,
    path_of,
    save,
    scorer,
)
from stream.types import Severity

DIGEST = "a" * 64
NONE = np.zeros((0, 4), np.float32)


def unit(*rows: list[float]) -> np.ndarray:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def axis(*numbers: int) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[list(numbers)]


def make(n: int = 3, **changes: object) -> Examples:
    rows = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    fields = {"name": "my.wave-1", "text": "wäves", "severity": "alert", "model": DIGEST, "embeddings": unit(*rows)}
    return Examples(**{**fields, **changes})


@pytest.mark.parametrize("n", [1, MAX_EXAMPLES])
def test_what_is_read_is_what_was_written(tmp_path: Path, n: int) -> None:
    path = save(tmp_path / "new" / "folder", make(n))
    assert list(path.parent.iterdir()) == [path] == [path_of(tmp_path / "new" / "folder", "my.wave-1")]
    found = load(path)
    assert (found.name, found.text, found.severity, found.model) == ("my.wave-1", "wäves", "alert", DIGEST)
    np.testing.assert_array_equal(found.embeddings, make(n).embeddings)
    assert found.digest == make(n).digest


def test_a_file_that_is_renamed_is_an_action_of_that_name(tmp_path: Path) -> None:
    other = save(tmp_path, make()).rename(tmp_path / "other.safetensors")
    assert load(other).name == "other"
    assert load(other).digest != make().digest


def test_severities_are_those_of_prompts() -> None:
    assert list(SEVERITIES) == [severity.value for severity in Severity]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../x"}, "expected 1 to 64 of the characters"),
        ({"name": ""}, "expected 1 to 64 of the characters"),
        ({"text": " "}, "expected one line of 1 to 300 characters"),
        ({"text": "x" * 301}, "expected one line"),
        ({"text": "a\nb"}, "expected one line"),
        ({"severity": "loud"}, "expected info, alert, critical"),
        ({"model": ""}, "expected the sha256"),
        ({"embeddings": np.zeros((0, 4), np.float32)}, r"expected float32 \(1..10, E\)"),
        ({"embeddings": axis(*[0] * 11)}, r"expected float32 \(1..10, E\)"),
        ({"embeddings": axis(0).astype(np.float64)}, "embeddings float64"),
        ({"embeddings": np.zeros((2, 4), np.float32)}, "not of unit length"),
        ({"embeddings": np.full((2, 4), np.nan, np.float32)}, "not of unit length"),
    ],
)
def test_examples_that_cannot_be_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ExamplesError, match=message):
        make(**changes)


def metadata(**changes: object) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        head = {"format": FORMAT, "text": "waves", "severity": "info", "model": DIGEST, **changes}
        path.write_bytes(format_safetensors({"embeddings": axis(0)}, {k: v for k, v in head.items() if v is not None}))

    return damage


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**34)  # sparse: must not be read


def renamed_in_place(path: Path) -> None:
    path.write_bytes(format_safetensors({"embeddings": axis(0), "more": axis(1)}, {"format": FORMAT}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read|is no regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is no regular file"),
        (lambda path: path.write_bytes(b""), "not a safetensors file"),
        (lambda path: path.write_bytes(b"\xff" * 100), "not a safetensors file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "not a safetensors file"),
        (lambda path: path.write_bytes(b"\x80\x04." + bytes(100)), "is a pickle"),
        (huge, "expected at most"),
        (renamed_in_place, "not the examples of an action"),
        (lambda path: path.write_bytes(format_safetensors({"embeddings": axis(0)})), "not the examples of an action"),
        (metadata(format="posewire examples 2"), "not the examples of an action"),
        (metadata(severity="loud"), "expected info, alert, critical"),
        (metadata(model=None), "expected the sha256"),
    ],
)
def test_damage_is_refused_in_one_line(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    path = save(tmp_path, make())
    damage(path)
    with pytest.raises(ExamplesError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, make())
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ExamplesError):
            load(path)


def test_a_folder_that_cannot_be_written_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ExamplesError, match="cannot be written"):
        save(tmp_path / "file", make())
    assert (tmp_path / "file").read_text() == "precious"


def test_class_means_classify_by_the_nearest() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 20)
    embeddings = unit(*(axis(*labels) + rng.normal(0, 0.2, (60, 4))))
    means = class_means(embeddings, labels)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal((embeddings @ means.T).argmax(axis=1), labels)
    assert not mean_of(np.stack([axis(0)[0], -axis(0)[0]])).any()


def test_alone_an_action_has_a_logistic_of_its_cosine() -> None:
    cosines = np.array([1.0, 0.6, STRANGER, 0.2, -1.0], np.float32)
    windows = np.stack([cosines, np.sqrt(1 - cosines**2), 0 * cosines, 0 * cosines], axis=1)
    similarity, probability, margin = scorer([axis(0)], NONE)(windows)
    np.testing.assert_allclose(similarity[:, 0], cosines, atol=1e-6)
    np.testing.assert_allclose(probability[:, 0], 1 / (1 + np.exp((STRANGER - cosines) / TEMPERATURE)), rtol=1e-4)
    np.testing.assert_allclose(margin[:, 0], cosines - STRANGER, atol=1e-6)


def test_what_the_model_knows_and_other_actions_compete() -> None:
    window = unit([0.7, 0.7, 0.14, 0.0])
    alone = scorer([axis(0)], NONE)(window)[1][0, 0]
    against = scorer([axis(0)], axis(1, 3))(window)
    assert alone > 0.75 > 0.5 > against[1][0, 0]
    assert against[2][0, 0] == pytest.approx(0.0, abs=1e-6)
    both = scorer([axis(0), axis(1)], NONE)(window)[1][0]
    assert both[0] == pytest.approx(both[1], abs=1e-6) == pytest.approx(0.45, abs=0.01)


def test_a_known_action_that_is_the_same_does_not_compete() -> None:
    same = unit([1.0, 0.3, 0.0, 0.0])
    assert same[0, 0] > SAME_ACTION
    np.testing.assert_array_equal(scorer([axis(0)], same)(axis(0))[1], scorer([axis(0)], NONE)(axis(0))[1])
    # ... but it does with another action, which it is not.
    other = scorer([axis(0), axis(2)], same)
    assert other(same)[2][0, 1] < -0.9


def test_no_window_and_wrong_dimensions() -> None:
    similarity, probability, margin = scorer([axis(0), axis(1)], axis(2))(NONE)
    assert similarity.shape == probability.shape == margin.shape == (0, 2)
    with pytest.raises(ValueError, match="expected references"):
        scorer([axis(0)], np.zeros((3, 5), np.float32))


def test_a_checkpoint_carries_references(tmp_path: Path) -> None:
    recogniser = make_model(tmp_path)
    assert recogniser.embedding_dim == 48
    assert recogniser.references.shape == (0, 48)
    references = np.eye(3, 48, dtype=np.float32)

    def rewrite(rows: np.ndarray) -> None:
        from safetensors.numpy import load_file

        weights = load_file(tmp_path / "model.safetensors")
        vectors = np.stack([recogniser.text[text] for text in recogniser.manifest.texts])
        save_model(tmp_path, recogniser.manifest, weights, vectors, rows)

    rewrite(references)
    loaded = load_model(tmp_path, "cpu")
    np.testing.assert_array_equal(loaded.references, references)
    assert loaded.digest == recogniser.digest  # the weights are the same: what was taught stays of use
    for wrong, message in ((2 * references, "no rows of unit length"), (np.eye(3, 5), r"expected \(R, 48\)")):
        rewrite(wrong)
        with pytest.raises(CheckpointError, match=message):
            load_model(tmp_path, "cpu")


def test_digests_differ_with_everything() -> None:
    base = make()
    others = [
        replace(base, name="x"), replace(base, text="x"), replace(base, severity="info"), replace(base, model="b" * 64),
        replace(base, embeddings=base.embeddings[:2]), replace(base, embeddings=base.embeddings[::-1].copy()),
    ]  # fmt: skip
    assert len({one.digest for one in (base, *others)}) == 7
