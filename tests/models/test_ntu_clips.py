import numpy as np
import pytest

from models.joints import TORSO
from models.ntu import FIRST, FRAMES, normalise, prepare, stretch


def person(frames: int, seed: int = 0) -> np.ndarray:
    """A made-up walker (F, 25, 3), metres in camera axes, facing the camera."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.1, (25, 3))
    pose[[0, 1, 20, 3], 1], pose[[0, 1, 20, 3], 0] = (0.9, 1.2, 1.4, 1.7), 0
    pose[4], pose[8] = (-0.2, 1.4, 0.0), (0.2, 1.4, 0.0)
    sway = np.cumsum(rng.normal(0, 0.01, (frames, 25, 3)), axis=0)
    sway[:, [0, 1, 20]] *= 0.1
    return (pose + sway + np.array([0.3, -0.2, 2.5])).astype(np.float32)


def alone(joints: np.ndarray) -> np.ndarray:
    return prepare([(joints, np.ones(joints.shape[:2], np.float32))])


def turned(joints: np.ndarray, degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    matrix = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return (joints @ matrix.T).astype(np.float32)


@pytest.mark.parametrize("change", ["turned", "moved", "walking", "larger"])
def test_view_place_and_size_do_not_matter(change: str) -> None:
    joints = person(80)
    changed = {
        "turned": turned(joints, 130),
        "moved": joints + np.array([1.0, 0.5, -1.0], np.float32),
        "walking": joints + np.linspace(0, 2, 80, dtype=np.float32)[:, None, None],
        "larger": joints * np.float32(1.7),
    }[change]
    np.testing.assert_allclose(alone(changed), alone(joints), atol=2e-5)


def test_axes_centre_and_size_are_as_documented() -> None:
    clip = alone(turned(person(80), 40))
    assert clip.shape == (3, 80, 25, 2)
    np.testing.assert_allclose(clip[:, :, 1, 0], 0, atol=1e-6)
    head = clip[:, :, 3, 0].mean(axis=1)
    assert head[2] > 0.3
    line = (clip[:, :FIRST, 8, 0] - clip[:, :FIRST, 4, 0]).mean(axis=1)
    assert line[0] > 0.2
    assert abs(line[1]) < 1e-5
    assert np.median(np.linalg.norm(clip[:, :, 20, 0] - clip[:, :, 0, 0], axis=0)) == pytest.approx(TORSO, rel=1e-4)
    assert not clip[..., 1].any()


def test_a_second_body_keeps_its_place_beside_the_first() -> None:
    one, other = person(72), person(72, seed=1) + np.array([1.0, 0, 0], np.float32)
    seen = np.ones((72, 25), np.float32)
    clip = prepare([(one, seen), (other, seen)])
    np.testing.assert_allclose(clip[..., 0], alone(one)[..., 0], atol=1e-6)
    scale = TORSO / np.median(np.linalg.norm(one[:, 20] - one[:, 0], axis=1))
    apart = np.linalg.norm(clip[:, :, 1, 1], axis=0)
    np.testing.assert_allclose(apart, scale * np.linalg.norm(other[:, 1] - one[:, 1], axis=1), rtol=1e-4)
    assert not prepare([(one, seen), (other, np.zeros_like(seen))])[..., 1].any()


def test_short_clips_are_stretched_and_long_ones_keep_their_rate() -> None:
    assert alone(person(1)).shape == alone(person(30)).shape == (3, FRAMES, 25, 2)
    assert alone(person(67)).shape[1] == 64
    short, long = person(33), person(103)
    np.testing.assert_allclose(alone(short)[:, [0, -1]], normalised(short)[:, [0, -1]], atol=1e-6)
    np.testing.assert_array_equal(alone(long), normalised(long)[:, :100])
    np.testing.assert_allclose(stretch(np.array([0.0, 2.0], np.float32), 5), [0, 0.5, 1, 1.5, 2])


def normalised(joints: np.ndarray) -> np.ndarray:
    x = joints.transpose(2, 0, 1)[None, ..., None]
    return normalise(x, np.ones((1, *joints.shape[:2], 1), bool))[0]


def test_windows_of_a_batch_are_independent_and_unseen_joints_harmless() -> None:
    x = np.stack([person(64, seed).transpose(2, 0, 1) for seed in range(3)])[..., None]
    seen = np.ones((3, 64, 25, 1), bool)
    seen[1, 10:20, 7] = False
    x[1, :, 10:20, 7] = np.nan
    seen[2] = False
    together = normalise(x, seen)
    for i in range(3):
        np.testing.assert_array_equal(together[i], normalise(x[i : i + 1], seen[i : i + 1])[0])
    assert np.isfinite(together).all()
    assert not together[2].any()


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected x"):
        normalise(np.zeros((1, 3, 64, 20, 1), np.float32), np.ones((1, 64, 20, 1), bool))
    with pytest.raises(ValueError, match="expected seen"):
        normalise(np.zeros((1, 3, 64, 25, 1), np.float32), np.ones((1, 64, 25), bool))
