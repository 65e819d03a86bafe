from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.method_head import MethodHead
from models.methods.pgfa import PGFA
from models.prototypes import KEPT, WEIGHT, OnlinePrototypes

PLACES = np.eye(6, dtype=np.float32)


def near(place: int, rng: np.random.Generator) -> np.ndarray:
    v = PLACES[place] + 0.05 * rng.standard_normal(6)
    return (v / np.linalg.norm(v)).astype(np.float32)


def taught(rng: np.random.Generator) -> OnlinePrototypes:
    """Prompts 0 and 1, whose sure windows lie at places 0 and 1."""
    prototypes = OnlinePrototypes(3, 6)
    for i in range(2 * KEPT):
        sure = np.array([0.9, 0.05, 0.0] if i % 2 == 0 else [0.05, 0.9, 0.0], np.float32)
        prototypes.adapt(sure, near(i % 2, rng))
    return prototypes


def test_an_unsure_window_goes_to_the_prototype_that_it_is_like() -> None:
    rng = np.random.default_rng(0)
    unsure = np.array([0.4, 0.45, 0.05], np.float32)
    assert taught(rng).adapt(unsure, near(0, rng)).argmax() == 0
    assert taught(rng).adapt(unsure, near(1, rng)).argmax() == 1


def test_nothing_is_learned_before_it_is_scored() -> None:
    prototypes, unsure = OnlinePrototypes(2, 6), np.array([0.4, 0.3], np.float32)
    np.testing.assert_array_equal(prototypes.adapt(unsure, PLACES[0]), unsure)


def test_the_sum_stays_so_that_nothing_comes_out_of_nothing() -> None:
    rng = np.random.default_rng(0)
    prototypes = taught(rng)
    quiet = np.array([0.01, 0.02, 0.01], np.float32)
    adapted = prototypes.adapt(quiet, near(0, rng))
    assert adapted.sum() == pytest.approx(quiet.sum(), abs=1e-6)
    assert (adapted >= 0).all()


def test_windows_of_none_of_the_prompts_are_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    prototypes, unsure = taught(rng), np.array([0.4, 0.45, 0.05], np.float32)
    for _ in range(50):
        prototypes.adapt(np.array([0.2, 0.1, 0.0], np.float32), near(4, rng))  # 0.7 of something else
    assert prototypes.adapt(unsure, near(0, rng)).argmax() == 0


def test_the_text_is_never_wholly_replaced() -> None:
    rng = np.random.default_rng(0)
    certain = np.array([0.98, 0.01, 0.0], np.float32)
    assert taught(rng).adapt(certain, near(1, rng))[0] > 0.45


def test_old_windows_give_way() -> None:
    rng = np.random.default_rng(0)
    prototypes = taught(rng)
    for _ in range(600):  # the same prompts look different now, and the texts are a little less sure
        prototypes.adapt(np.array([0.8, 0.1, 0.0], np.float32), near(2, rng))
        prototypes.adapt(np.array([0.1, 0.8, 0.0], np.float32), near(3, rng))
    assert prototypes.adapt(np.array([0.45, 0.4, 0.05], np.float32), near(3, rng)).argmax() == 1


def test_state_survives_a_restart_and_fits_its_prompts_only(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "prototypes.safetensors"
    prototypes, unsure, window = taught(rng), np.array([0.4, 0.45, 0.05], np.float32), near(0, rng)
    prototypes.save(path, "digest")
    again = OnlinePrototypes(3, 6)
    assert again.restore(path, "digest")
    np.testing.assert_allclose(again.adapt(unsure, window), prototypes.adapt(unsure, window), atol=1e-6)
    assert not OnlinePrototypes(3, 6).restore(path, "other prompts")
    assert not OnlinePrototypes(2, 6).restore(path, "digest")
    assert not OnlinePrototypes(3, 6).restore(tmp_path / "missing", "digest")
    other = tmp_path / "notes.txt"
    other.write_text("not to be overwritten")
    with pytest.raises(ModelError, match="not a file of prototypes"):
        OnlinePrototypes(3, 6).restore(other, "digest")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ModelError, match="not a file of prototypes"):
        OnlinePrototypes(3, 6).restore(path, "digest")


DIM, NAMES = 16, 5
"""Of a made-up text space: the axes 0..4 are the texts of five prompts, 5 that of the background; the clips of prompt k
have something of axis 6 + k besides, of which no text tells."""


def stream(truth: np.ndarray, drift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Windows (N, DIM) of unit norm; by `drift` they lean towards the text of the next prompt."""
    eye = np.eye(DIM)
    z = eye[truth] + 1.5 * eye[6 + truth] + drift[:, None] * eye[(truth + 1) % NAMES]
    z += 0.15 * rng.standard_normal(z.shape)
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)


def told_and_adapted(prototypes: OnlinePrototypes, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, 5) of windows by PGFA's head as it is served, and what prototypes make of them in turn."""
    method = PGFA(DIM).eval().requires_grad_(False)
    method.projection.weight.copy_(torch.eye(DIM, 256))
    method.projection.bias.zero_()
    texts = [column[None] for column in np.eye(6, DIM, dtype=np.float32)]
    features = np.pad(z, ((0, 0), (0, 256 - DIM)))
    probability = MethodHead(method, 0.07, "pgfa").scorer(texts)(features)[1][:, :NAMES]
    embeddings = method.embed(torch.from_numpy(features)).numpy()
    adapted = [prototypes.adapt(row, embedding) for row, embedding in zip(probability, embeddings, strict=True)]
    return probability, np.stack(adapted)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_on_a_stream_that_drifts_away_from_its_texts_it_beats_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(NAMES, size=600)
    told, adapted = told_and_adapted(OnlinePrototypes(NAMES, DIM), stream(truth, np.linspace(0, 1.1, 600), rng))
    late = slice(400, None)
    by_text = (told[late].argmax(axis=1) == truth[late]).mean()
    assert by_text < 0.75
    assert (adapted[late].argmax(axis=1) == truth[late]).mean() > by_text + 0.1
    assert (adapted.argmax(axis=1) == truth).mean() > (told.argmax(axis=1) == truth).mean()


@pytest.mark.parametrize("drift", [0.0, 0.9, 1.3])
def test_a_stream_of_one_action_never_replaces_the_texts(drift: float) -> None:
    """With drift, the texts take many of the windows for another action, whose prototype is then made of them."""
    rng, prototypes = np.random.default_rng(0), OnlinePrototypes(NAMES, DIM)
    zeros = np.zeros(3000, np.int64)
    told, adapted = told_and_adapted(prototypes, stream(zeros, np.full(3000, drift), rng))
    assert (adapted >= (1 - WEIGHT) * told - 1e-6).all()
    np.testing.assert_allclose(adapted.sum(axis=1), told.sum(axis=1), atol=1e-5)
    truth = np.tile(np.arange(NAMES), 20)
    told, adapted = told_and_adapted(prototypes, stream(truth, np.zeros(100), rng))
    assert (adapted >= (1 - WEIGHT) * told - 1e-6).all()
    assert (adapted.argmax(axis=1) == truth).all()  # every action is found at once by its text


def test_its_size_does_not_grow(tmp_path: Path) -> None:
    rng, prototypes, sizes = np.random.default_rng(0), OnlinePrototypes(NAMES, DIM), []
    for _ in range(3):
        truth = rng.integers(NAMES, size=200)
        told_and_adapted(prototypes, stream(truth, np.zeros(200), rng))
        prototypes.save(tmp_path / "prototypes.safetensors", "digest")
        sizes.append((tmp_path / "prototypes.safetensors").stat().st_size)
    assert len(set(sizes)) == 1
