from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.graph import CENTRE
from models.preprocess import SPINE_BASE, SPINE_MID, TORSO, Centre, PreprocessOptions, fill, preprocess

CENTRES = get_args(Centre)


def person(n: int = 2, seed: int = 0) -> np.ndarray:
    """Windows (N, 3, 50, 25) of somebody with a body like a person's, who moves about."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.3, (n, 3, 1, 25))
    pose[:, :, 0, 0], pose[:, :, 0, 20] = 0, np.array([0.02, 0.5, 0.03])
    pose[:, :, 0, 4], pose[:, :, 0, 8] = np.array([-0.2, 0.45, 0.05]), np.array([0.2, 0.45, -0.05])
    walk = np.cumsum(rng.normal(0, 0.02, (n, 3, 50, 1)), axis=2)
    return (pose + walk + rng.normal(0, 0.01, (n, 3, 50, 25)) + [[[[0]], [[0.2]], [[2.5]]]]).astype(np.float32)


def seen(x: np.ndarray) -> np.ndarray:
    return np.ones((len(x), *x.shape[2:]), np.float32)


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("angle", [0.5, 2.0, 3.1, -1.7])
def test_yaw_translation_and_size_change_nothing(centre: Centre, angle: float) -> None:
    x = person()
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    moved = (1.3 * np.einsum("ij,njtv->nitv", turn, x) + [[[[1.0]], [[-0.4]], [[2.0]]]]).astype(np.float32)
    options = PreprocessOptions(centre)
    np.testing.assert_allclose(
        preprocess(moved, seen(x), options), preprocess(x, seen(x), options), rtol=1e-3, atol=2e-4
    )


def test_shoulders_lie_along_x_from_left_to_right_and_the_torso_has_its_size() -> None:
    y = preprocess(person(), seen(person()), PreprocessOptions())
    line = (y[:, :, :, 8] - y[:, :, :, 4]).mean(axis=2)
    assert (line[:, 0] > 0.1).all()
    np.testing.assert_allclose(line[:, 2], 0, atol=1e-5)
    torso = np.linalg.norm(y[:, :, :, CENTRE] - y[:, :, :, SPINE_BASE], axis=1)
    np.testing.assert_allclose(np.median(torso, axis=1), TORSO, rtol=1e-5)


def test_what_is_kept_of_the_bodys_travel() -> None:
    x = person()
    x[:, 1] -= np.linspace(0, 1, 50, dtype=np.float32)[:, None]  # sinks by a metre
    x[:, 2] += np.linspace(0, 2, 50, dtype=np.float32)[:, None]  # and goes away
    middle = {c: preprocess(x, seen(x), PreprocessOptions(c, scale=False))[:, :, :, SPINE_MID] for c in CENTRES}
    travel = {c: np.abs(m[:, :, -1] - m[:, :, 0]) for c, m in middle.items()}
    assert travel["frame"].max() < 1e-5
    assert (travel["height"][:, 1] > 0.6).all()
    assert travel["height"][:, [0, 2]].max() < 1e-5
    assert (np.hypot(travel["window"][:, 0], travel["window"][:, 2]) > 1.5).all()


@pytest.mark.parametrize("centre", CENTRES)
def test_what_is_masked_does_not_matter(centre: Centre) -> None:
    x, options = person(), PreprocessOptions(centre)
    mask = (np.random.default_rng(1).random((2, 50, 25)) > 0.3).astype(np.float32)
    junk = np.where(mask[:, None] > 0, x, np.float32(1e30))
    nan = np.where(mask[:, None] > 0, x, np.float32(np.nan))
    expected = preprocess(x, mask, options)
    np.testing.assert_array_equal(preprocess(junk, mask, options), expected)
    np.testing.assert_array_equal(preprocess(nan, mask, options), expected)


def test_holes_are_held_from_the_nearest_frame() -> None:
    x = np.zeros((1, 3, 6, 25), np.float32) + np.arange(6, dtype=np.float32)[:, None]
    visible = np.ones((1, 6, 25), bool)
    visible[0, [0, 2, 3, 4], 7] = False
    held = fill(x, visible)[0, 0, :, 7]
    np.testing.assert_array_equal(held, [1, 1, 1, 1, 5, 5])


def test_joints_that_a_sensor_lacks_are_derived_from_their_neighbours() -> None:
    x, visible = person(1), np.ones((1, 50, 25), bool)
    visible[:, :, [0, 1, 20, 15, 22, 21]] = False  # no spine, no left foot, no left hand tip and thumb
    y = fill(np.where(visible[:, None], x, 0), visible)
    np.testing.assert_allclose(y[..., 20], (x[..., 4] + x[..., 8]) / 2, rtol=1e-5)
    np.testing.assert_allclose(y[..., 0], (x[..., 12] + x[..., 16]) / 2, rtol=1e-5)
    np.testing.assert_allclose(y[..., 1], (y[..., 0] + y[..., 20]) / 2, rtol=1e-5)
    np.testing.assert_array_equal(y[..., 15], x[..., 14])
    np.testing.assert_array_equal(y[..., 21], x[..., 7])


def test_nothing_seen_is_all_zero() -> None:
    x = person()
    assert not preprocess(x, np.zeros((2, 50, 25), np.float32), PreprocessOptions()).any()


def test_a_window_does_not_depend_on_its_batch() -> None:
    x = person(5)
    mask = (np.random.default_rng(2).random((5, 50, 25)) > 0.5).astype(np.float32)
    together = preprocess(x, mask, PreprocessOptions())
    for i in range(5):
        alone = preprocess(x[i : i + 1], mask[i : i + 1], PreprocessOptions())
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    x=hnp.arrays(np.float32, (1, 3, 4, 25), elements=st.floats(width=32)),
    mask=hnp.arrays(np.float32, (1, 4, 25), elements=st.sampled_from([0.0, 0.5, 1.0])),
    centre=st.sampled_from(CENTRES),
)
def test_any_input_gives_finite_numbers(x: np.ndarray, mask: np.ndarray, centre: Centre) -> None:
    assert np.isfinite(preprocess(x, mask, PreprocessOptions(centre))).all()


@pytest.mark.parametrize(
    ("x", "mask"), [((1, 3, 50, 20), (1, 50, 20)), ((1, 3, 50, 25), (1, 49, 25)), ((1, 3, 0, 25), (1, 0, 25))]
)
def test_wrong_shapes_are_refused(x: tuple[int, ...], mask: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected x|at least one frame"):
        preprocess(np.zeros(x, np.float32), np.zeros(mask, np.float32), PreprocessOptions())
