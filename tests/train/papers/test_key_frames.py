import numpy as np
import pytest

from models.frame50 import resize
from train.papers.key_frames import mask_key_frames, motion


def clips(n: int, t: int = 50, bodies: int = 2, seed: int = 0) -> np.ndarray:
    """Random walks, at another pace in each frame; of the last clip the second body is not there."""
    rng = np.random.default_rng(seed)
    pace = rng.uniform(0.001, 0.1, size=(n, 1, t, 1, 1))
    x = np.cumsum(rng.normal(size=(n, 3, t, 25, bodies)) * pace, axis=2).astype(np.float32)
    x[-1, ..., 1:] = 0
    return x


def slow_motion(x: np.ndarray) -> np.ndarray:
    """The definition, number by number."""
    n, axes, t, joints, bodies = x.shape
    x = x.astype(np.float64)
    q = np.zeros((n, t))
    for i in range(n):
        for k in range(t):
            after, before = (k + 1 if k + 1 < t else k - 1), (k - 1 if k > 0 else 1)
            for c in range(axes):
                for v in range(joints):
                    for m in range(bodies):
                        here = x[i, c, k, v, m]
                        q[i, k] += (x[i, c, after, v, m] - here) ** 2 + (x[i, c, before, v, m] - here) ** 2
            q[i, k] /= axes * joints * bodies
    return q


def test_attention_is_its_definition() -> None:
    x = clips(2, t=9)
    np.testing.assert_allclose(motion(x), slow_motion(x), rtol=1e-5)


def test_the_paper_masks_the_frames_of_most_motion() -> None:
    x = clips(3)
    q = slow_motion(x)
    wanted = x.copy()
    for i in range(3):
        for frame in sorted(range(50), key=lambda k: -q[i, k])[:15]:
            wanted[i, :, frame] = 0
    before = x.copy()
    found = mask_key_frames(x, "paper", 0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(found, mask_key_frames(x, "paper", 1))


def test_the_released_code_keeps_some_of_the_others() -> None:
    """Clips whose frames are numbered: after a resize from 20 to 50, every frame lies between two that were kept."""
    x = clips(3)
    x[:, :, :, 0, 0] = 1e-4 * np.arange(50)
    q = slow_motion(x)
    found = mask_key_frames(x, "released", 7)
    assert found.shape == x.shape
    assert found.dtype == np.float32
    drawn = np.random.default_rng(7).random((3, 35)).argsort(axis=1)[:, :20]
    for i in range(3):
        others = sorted(range(50), key=lambda k: -q[i, k])[15:]
        frames = sorted(others[k] for k in drawn[i])
        np.testing.assert_allclose(found[i], resize(x[i : i + 1][:, :, frames], 50)[0], rtol=0, atol=1e-6)
        assert (np.diff(found[i, 0, :, 0, 0]) >= 0).all()


def test_the_sampling_is_of_the_seed_and_the_place_alone() -> None:
    x = clips(4)
    np.testing.assert_array_equal(mask_key_frames(x, "released", 3), mask_key_frames(x, "released", 3))
    np.testing.assert_array_equal(mask_key_frames(x, "released", 3)[:2], mask_key_frames(x[:2], "released", 3))
    assert not np.array_equal(mask_key_frames(x, "released", 3), mask_key_frames(x, "released", 4))


def test_a_body_that_is_not_there_changes_nothing() -> None:
    x = clips(1, bodies=1)
    both = np.concatenate([x, np.zeros_like(x)], axis=4)
    np.testing.assert_array_equal(mask_key_frames(both, "paper", 0)[..., :1], mask_key_frames(x, "paper", 0))


def test_a_burst_is_found_and_stillness_is_not() -> None:
    x = np.zeros((1, 3, 50, 25, 1), np.float32)
    x[0, :, 20:] = 1.0
    still = np.ones_like(x)
    assert set(np.flatnonzero(motion(x)[0])) == {19, 20}
    # Of equal attention, the earliest.
    assert np.flatnonzero(mask_key_frames(still, "paper", 0)[0, 0, :, 0, 0] == 0).tolist() == list(range(15))


@pytest.mark.parametrize("reading", ["paper", "released"])
def test_odd_sizes(reading: str) -> None:
    assert mask_key_frames(clips(1)[:0], reading, 0).shape == (0, 3, 50, 25, 2)
    assert mask_key_frames(clips(1, t=1), reading, 0, key_frames=0).shape == (1, 3, 1, 25, 2)
    assert mask_key_frames(clips(1, t=16), reading, 0).shape == (1, 3, 16, 25, 2)
    np.testing.assert_array_equal(mask_key_frames(clips(1), "paper", 0, key_frames=0), clips(1))
    for wrong in (-1, 50):
        with pytest.raises(ValueError, match="key frames: expected 0 to 49"):
            mask_key_frames(clips(1), reading, 0, key_frames=wrong)


def test_other_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected clips \(N, 3, T, V, M\)"):
        mask_key_frames(np.zeros((1, 2, 50, 25, 1), np.float32), "paper", 0)
    with pytest.raises(ValueError, match="reading 'code': expected one of paper, released"):
        mask_key_frames(clips(1), "code", 0)  # type: ignore[arg-type]
