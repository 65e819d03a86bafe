"""What is normal, learnt online and exactly; distances, squashes and scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.anomaly import AnomalyScorer, NormalModel, Squash, ood_squash, prompt_squash
from models.normal import KEPT
from models.normal_file import NormalError, load_normals, save_normals

DIGEST = "a" * 64


def samples(count: int, dim: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dim)) @ rng.normal(size=(dim, dim)) + rng.normal(size=dim) * 10


def model_of(*batches: NDArray[np.float64]) -> NormalModel:
    model = NormalModel(batches[0].shape[1])
    for batch in batches:
        model.add(batch)
    return model


class Axes:
    """Features whose likeness to a prompt is one of them."""

    name, digest, dim = "axes", DIGEST, 3

    def prompts(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return vectors

    def similarity(self, features: NDArray[np.float32], prompts: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(features @ prompts.T, -1, 1).max(axis=1)


@settings(max_examples=60, deadline=None)
@given(count=st.integers(2, 60), dim=st.integers(1, 8), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_one_by_one_in_batches_and_merged_are_the_batch_formula(
    count: int, dim: int, seed: int, data: st.DataObject
) -> None:
    x = samples(count, dim, seed)
    cut = data.draw(st.integers(0, count))
    whole, single, merged = model_of(x), model_of(*x[:, None]), model_of(x[:cut])
    merged.merge(model_of(x[cut:]))
    expected = np.cov(x.T).reshape(dim, dim)
    scale = np.abs(expected).max() + 1e-12
    for model in (whole, single, merged):
        assert model.count == count
        np.testing.assert_allclose(model.mean, x.mean(axis=0), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(model.covariance, expected, rtol=1e-8, atol=1e-9 * scale)
        np.testing.assert_array_equal(model.kept, whole.kept)
        np.testing.assert_allclose(model.distance(x), whole.distance(x), rtol=1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 30), dim=st.integers(1, 40))
def test_from_two_samples_on_distances_are_finite_and_grow_away_from_the_mean(seed: int, count: int, dim: int) -> None:
    x = samples(count, dim, seed)
    model = model_of(x)
    away = np.random.default_rng(seed).normal(size=dim)
    near, far = model.distance(np.stack([model.mean + 0.1 * away, model.mean + 10 * away]))
    assert np.isfinite([near, far]).all()
    assert 0 < near < far
    assert np.isfinite(model.usual_distance())
    assert all(0 < share <= 1 for share in model.shrinkage)


def test_of_many_samples_nothing_is_shrunk() -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    probe = rng.normal(size=(50, 6)) @ mix
    shares = []
    for count in (3, 30, 300, 30_000):
        model = model_of(rng.normal(size=(count, 6)) @ mix)
        shares.append(sum(model.shrinkage))
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.01
    exact = np.sqrt(np.einsum("nf,fg,ng->n", probe, np.linalg.inv(mix.T @ mix), probe))
    np.testing.assert_allclose(model.distance(probe), exact, rtol=0.05)


def test_fewer_samples_than_features_still_tell_the_normal_from_others() -> None:
    rng = np.random.default_rng(1)
    scale = np.linspace(0.05, 3, 100)
    model = model_of(rng.normal(size=(40, 100)) * scale)
    normal = model.distance(rng.normal(size=(200, 100)) * scale)
    other = model.distance(rng.normal(size=(200, 100)) * scale[::-1])
    assert np.quantile(normal, 0.99) < np.quantile(other, 0.01)
    # What normal samples' distances are is told by them alone, and fits those that were never learnt.
    assert model.usual_distance() == pytest.approx(np.quantile(normal, 0.99), rel=0.15)
    assert model.usual_distance() > np.quantile(model.distance(model.kept), 0.99)


def test_the_usual_distance_is_that_of_samples_left_out() -> None:
    x = samples(25, 4, 3)
    model = model_of(x)
    correlations, variances = model.shrinkage
    covariance = model.covariance
    variance = np.diag(covariance)
    shrunk = (1 - variances) * variance + variances * variance.mean()
    root = np.sqrt(shrunk / variance)
    left_out = []
    for row in model.kept.astype(float):
        others = np.array([one for one in x if not np.allclose(one, row, atol=1e-4)])
        away = others - others.mean(axis=0)
        scatter = (away.T @ away) * np.outer(root, root) * (1 - correlations) / (len(x) - 1)
        step = row - others.mean(axis=0)
        left_out.append(np.sqrt(step @ np.linalg.inv(scatter + correlations * np.diag(shrunk)) @ step))
    assert model.usual_distance() == pytest.approx(np.quantile(left_out, 0.99), rel=1e-4)


def test_samples_that_are_all_the_same_and_features_that_never_change() -> None:
    same = model_of(np.ones((10, 3)))
    here, there = same.distance(np.array([[1, 1, 1], [1, 1, 1.1]]))
    assert here == 0
    assert 1e3 < there < np.inf
    x = samples(50, 3, 0)
    x[:, 1] = 2.0
    model = model_of(x)
    changed = np.array([x[0], x[0] + [0, 5, 0]])
    assert np.isfinite(model.distance(changed)).all()
    assert model.distance(changed)[1] > model.distance(changed)[0]


def test_what_cannot_be_learnt_or_asked_is_refused() -> None:
    model = NormalModel(3)
    with pytest.raises(ValueError, match=r"expected samples \(N, 3\)"):
        model.add(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="not finite"):
        model.add(np.array([[np.nan, 0, 0]]))
    model.add(np.zeros((0, 3)))
    model.add(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="expected at least 2"):
        model.distance(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="expected 3"):
        model.merge(NormalModel(4))
    with pytest.raises(ValueError, match="at least 1"):
        NormalModel(0)
    model.reset()
    assert model.count == 0
    assert not model.mean.any()


def test_some_samples_are_kept_the_same_ones_in_any_order() -> None:
    x = samples(2 * KEPT, 2, 0)
    whole, turned = model_of(x), model_of(*np.array_split(x[::-1], 7))
    assert len(whole.kept) == KEPT
    np.testing.assert_array_equal(whole.kept, turned.kept)


def test_a_file_holds_everything_and_is_bound_to_its_encoder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "normal.safetensors"
    model = model_of(samples(40, 5, 0))
    model.save(path, DIGEST)
    found = NormalModel.load(path, DIGEST)
    probe = samples(9, 5, 1)
    np.testing.assert_array_equal(found.distance(probe), model.distance(probe))
    assert (found.count, found.usual_distance()) == (model.count, model.usual_distance())
    found.add(probe)  # it goes on
    assert found.count == 49
    with pytest.raises(NormalError, match="another model"):
        NormalModel.load(path, "b" * 64)
    save_normals(path, {"person": model, "scene": NormalModel(5)}, DIGEST)
    assert {name: one.count for name, one in load_normals(path, DIGEST).items()} == {"person": 40, "scene": 0}
    with pytest.raises(NormalError, match="expected one model"):
        NormalModel.load(path, DIGEST)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_damaged_file_is_told_of_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "normal.safetensors"
    model = model_of(samples(4, 2, 0))
    model.save(path, DIGEST)
    whole = path.read_bytes()
    for damaged in (b"", b"nonsense", whole[:-9], whole.replace(b"posewire normal 1", b"posewire normal 9")):
        path.write_bytes(damaged)
        with pytest.raises(NormalError, match=str(path)) as error:
            NormalModel.load(path, DIGEST)
        assert "\n" not in str(error.value)
    model._scatter[0, 0] = -1
    model.save(path, DIGEST)
    with pytest.raises(NormalError, match="no covariance"):
        NormalModel.load(path, DIGEST)
    path.unlink()
    with pytest.raises(NormalError, match="cannot be read"):
        NormalModel.load(path, DIGEST)
    path.mkdir()
    with pytest.raises(NormalError):
        model.save(path, DIGEST)


@given(
    value=st.floats(0.01, 100),
    share=st.floats(0.05, 0.95),
    factor=st.floats(1.1, 20),
    pair=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_squash_goes_through_its_two_points_and_loses_no_order(
    value: float, share: float, factor: float, pair: tuple[float, float]
) -> None:
    squash = Squash.through(value, share, factor * value)
    assert float(squash(np.array([value]))[0]) == pytest.approx(share, rel=1e-5)
    low, high = sorted(squash(np.array(pair) * factor * value).tolist())
    assert 0 <= low <= high <= 1
    assert squash(np.array([-3.0, 0.0, 1e9])).tolist() == pytest.approx([0.0, 0.0, 1.0])


def test_a_squash_is_the_papers_and_takes_positive_numbers_only() -> None:
    assert Squash(0.5, 2.0)(np.array([0.25, 1.0, 9.0])).tolist() == [0.25, 0.5, 1.0]
    for wrong in ((0.0, 1.0), (1.0, -1.0), (np.nan, 1.0), (1.0, np.inf)):
        with pytest.raises(ValueError, match="above 0"):
            Squash(*wrong)
    with pytest.raises(ValueError, match="expected 0 < value"):
        Squash.through(2.0, 0.5, 1.0)


def test_the_three_scores_and_what_is_left_without_anything_normal() -> None:
    rng = np.random.default_rng(0)
    encoder = Axes()
    prompts = encoder.prompts(np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    normal = model_of(rng.normal(0, 0.02, (300, 3)))
    probes = np.array([[0, 0, 0], [0.9, 0, 0], [0, 0, 0.9], [-0.9, 0, 0]], np.float32)
    alone = AnomalyScorer.of(encoder, prompts, None)(probes)
    assert alone.ood is None
    np.testing.assert_allclose(alone.product, [0, 0.9, 0, 0], atol=1e-6)
    assert AnomalyScorer.of(encoder, prompts, model_of(np.zeros((1, 3)))).normal is None
    both = AnomalyScorer.of(encoder, prompts, normal)(probes)
    assert both.ood is not None
    np.testing.assert_allclose(both.product, both.ood * both.prompt)
    # Nothing, what was feared, something else that is not normal either, and the opposite of what was feared.
    assert both.ood[0] < 0.5
    assert (both.ood[1:] > 0.9).all()
    assert (both.product > 0.5).tolist() == [False, True, False, False]
    # One normal sample in a hundred is at the root of a half; none is at 1, and neither is what is five times as far.
    assert np.quantile(both.ood, 0) < 0.71
    squash = ood_squash(normal)
    assert float(squash(np.array([normal.usual_distance()]))[0]) == pytest.approx(0.5**0.5, rel=1e-5)
    assert float(squash(np.array([5 * normal.usual_distance()]))[0]) < 1
    with pytest.raises(ValueError, match="expected 3"):
        AnomalyScorer.of(encoder, prompts, NormalModel(4))


def test_texts_that_normal_samples_resemble_need_more_likeness() -> None:
    rng = np.random.default_rng(0)
    encoder = Axes()
    prompts = encoder.prompts(np.array([[1, 0, 0]], np.float32))
    unlike = prompt_squash(model_of(rng.normal(0, 0.02, (200, 3))), encoder, prompts)
    alike = prompt_squash(model_of(rng.normal((0.7, 0, 0), 0.02, (200, 3))), encoder, prompts)
    half = np.array([0.5])
    assert float(alike(half)[0]) < float(unlike(half)[0])
    for squash in (unlike, alike):
        assert float(squash(np.array([1.0]))[0]) == pytest.approx(1.0)
        assert float(squash(np.array([0.99]))[0]) < 1
    assert prompt_squash(None, encoder, prompts) == Squash()
