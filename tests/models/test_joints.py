import numpy as np

from models.joints import fill


def person() -> np.ndarray:
    """One window (1, 3, 50, 25) of somebody who moves about."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(0, 0.02, (1, 3, 50, 1)), axis=2)
    return (rng.normal(0, 0.3, (1, 3, 1, 25)) + walk + [[[[0]], [[0.2]], [[2.5]]]]).astype(np.float32)


def test_holes_are_held_from_the_nearest_frame() -> None:
    x = np.zeros((1, 3, 6, 25), np.float32) + np.arange(6, dtype=np.float32)[:, None]
    visible = np.ones((1, 6, 25), bool)
    visible[0, [0, 2, 3, 4], 7] = False
    held = fill(x, visible)[0, 0, :, 7]
    np.testing.assert_array_equal(held, [1, 1, 1, 1, 5, 5])


def test_joints_that_a_sensor_lacks_are_derived_from_their_neighbours() -> None:
    x, visible = person(), np.ones((1, 50, 25), bool)
    visible[:, :, [0, 1, 20, 15, 22, 21]] = False  # no spine, no left foot, no left hand tip and thumb
    y = fill(np.where(visible[:, None], x, 0), visible)
    np.testing.assert_allclose(y[..., 20], (x[..., 4] + x[..., 8]) / 2, rtol=1e-5)
    np.testing.assert_allclose(y[..., 0], (x[..., 12] + x[..., 16]) / 2, rtol=1e-5)
    np.testing.assert_allclose(y[..., 1], (y[..., 0] + y[..., 20]) / 2, rtol=1e-5)
    np.testing.assert_array_equal(y[..., 15], x[..., 14])
    np.testing.assert_array_equal(y[..., 21], x[..., 7])


def test_nothing_seen_is_all_zero() -> None:
    assert not fill(person(), np.zeros((1, 50, 25), bool)).any()
