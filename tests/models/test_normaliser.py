import numpy as np
import pytest

from models.graph import CENTRE
from models.joints import SHOULDER_LEFT, SHOULDER_RIGHT, SPINE_BASE, SPINE_MID, TORSO
from models.normaliser import HOLD, INPUTS, POSE, SEEN, TRAVEL, NormaliserState, normalise


def person(frames: int, tracks: int = 2, seed: int = 0) -> np.ndarray:
    """(N, T, V, 3): people who shift about, facing the camera."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.1, (tracks, 1, 25, 3))
    pose[..., SPINE_BASE, 1], pose[..., SPINE_MID, 1], pose[..., CENTRE, 1] = 0.9, 1.15, 1.4
    pose[..., SHOULDER_LEFT, 0], pose[..., SHOULDER_RIGHT, 0] = -0.2, 0.2
    drift = np.cumsum(rng.normal(0, 0.01, (tracks, frames, 1, 3)), axis=1)
    wave = 0.05 * np.sin(np.arange(frames) / 4 + rng.uniform(0, 6, (tracks, 25, 3, 1))).transpose(0, 3, 1, 2)
    return (pose + drift + wave + np.array([0, 0, 2.5])).astype(np.float32)


def whole(x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    return normalise(x, np.ones(x.shape[:3], np.float32) if mask is None else mask, NormaliserState.new(len(x)))


def test_step_by_step_is_all_at_once() -> None:
    x, rng = person(60), np.random.default_rng(1)
    mask = (rng.random(x.shape[:3]) > 0.3).astype(np.float32)
    mask[:, 20:50, 5] = 0  # longer than it is held
    mask[:, 30:33] = 0
    state = NormaliserState.new(2)
    parts = [normalise(x[:, i : i + 5], mask[:, i : i + 5], state) for i in range(0, 60, 5)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole(x, mask), atol=1e-5)


def test_where_how_large_and_which_way_someone_is_changes_nothing() -> None:
    x = person(50)
    turn = np.array([[np.cos(2), 0, np.sin(2)], [0, 1, 0], [-np.sin(2), 0, np.cos(2)]], np.float32)
    np.testing.assert_allclose(whole(1.3 * x @ turn.T + np.array([5, 1, 2], np.float32)), whole(x), atol=1e-3)


def test_pose_and_travel() -> None:
    x = person(50)
    x[0] += np.arange(50, dtype=np.float32)[:, None, None] * np.array([0.04, 0, 0], np.float32)  # 1 m/s
    found = whole(x)
    assert found.shape == (2, 50, INPUTS)
    pose = found[..., POSE].reshape(2, 50, 25, 3)
    np.testing.assert_allclose(pose[:, :, SPINE_MID], 0, atol=1e-6)
    line = pose[:, :5, SHOULDER_RIGHT] - pose[:, :5, SHOULDER_LEFT]
    assert (line[..., 0] > 5 * np.abs(line[..., 2])).all()
    torso = np.linalg.norm(pose[:, :, CENTRE] - pose[:, :, SPINE_BASE], axis=-1).mean()
    assert torso == pytest.approx(TORSO, rel=0.15)
    assert (found[..., SEEN] == 1).all()
    assert found[0, 1:, TRAVEL][:, 0].mean() - found[1, 1:, TRAVEL][:, 0].mean() > 0.5


def test_unseen_joints_are_held_and_then_derived() -> None:
    x = person(60, tracks=1)
    mask = np.ones((1, 60, 25), np.float32)
    mask[:, 10:, 7] = 0
    x[:, 10:, 7] = np.nan
    pose = whole(x, mask)[..., POSE].reshape(60, 25, 3)
    seen = whole(person(60, tracks=1))[..., POSE].reshape(60, 25, 3)
    assert np.isfinite(pose).all()
    # Held relative to the body (which may turn a little), then put where the wrist is.
    assert np.linalg.norm(pose[10 + HOLD - 2, 7] - seen[9, 7]) < 0.1
    np.testing.assert_array_equal(pose[10 + HOLD + 1 :, 7], pose[10 + HOLD + 1 :, 6])


def test_nobody_and_nonsense_are_finite() -> None:
    x = np.full((1, 20, 25, 3), np.inf, np.float32)
    assert np.isfinite(whole(x)).all()
    huge = np.full((1, 20, 25, 3), 1e30, np.float32)
    assert np.isfinite(whole(huge)).all()
    assert (whole(x)[..., SEEN] == 0).all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected x \(N, T, 25, 3\)"):
        whole(np.zeros((1, 5, 20, 3), np.float32))
