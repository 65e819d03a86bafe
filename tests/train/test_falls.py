import numpy as np
import pytest

from models.graph import EDGES
from train.datasets.falls import Fall, progress_of_fall, progress_of_rising, simulated
from train.datasets.labels import FALL, LIE, RISE, SIMULATED, index_of

TIMES = np.linspace(-4, 0, 128)
HEAD, SPINE_BASE = 3, 0
ARM = (4, 5, 6, 7, 21, 22)


def standing() -> np.ndarray:
    """(128, 25, 3) of someone 1.75 m tall who sways a little, feet at height 0."""
    pose = np.zeros((25, 3))
    heights = {0: 0.95, 1: 1.2, 20: 1.45, 2: 1.52, 3: 1.7, 12: 0.93, 16: 0.93, 13: 0.5, 17: 0.5, 14: 0.08, 18: 0.08}
    for joint, height in heights.items():
        pose[joint, 1] = height
    for side, first in ((-1, 4), (1, 8)):
        for i, joint in enumerate(range(first, first + 4)):
            pose[joint] = side * 0.2, 1.42 - 0.25 * i, 0
        pose[first // 4 * 4 + 8 : first // 4 * 4 + 12, 0] = side * 0.1
    pose[[15, 19]] = (-0.1, 0.0, -0.15), (0.1, 0.0, -0.15)
    pose[[21, 22, 23, 24]] = pose[[7, 7, 11, 11]] - [0, 0.08, 0]
    sway = 0.02 * np.sin(TIMES * 3)[:, None, None] * (pose[:, 1] > 0.1)[:, None]
    return (pose + sway * [1, 0, 0] + [0, 0, 2.5]).astype(np.float32)


def bones(joints: np.ndarray) -> np.ndarray:
    return np.stack([np.linalg.norm(joints[:, a] - joints[:, b], axis=1) for a, b in EDGES], axis=1)


@pytest.mark.parametrize("seed", range(8))
def test_a_fall_ends_on_the_floor_with_all_bones_whole(seed: int) -> None:
    before = standing()
    after = Fall.draw(np.random.default_rng(seed)).applied(before, progress_of_fall(TIMES, -1.5, 0.8))
    assert np.isfinite(after).all()
    upright, lying = TIMES < -1.6, TIMES > -0.6
    np.testing.assert_allclose(after[upright], before[upright], atol=0.02)
    assert (after[lying][:, HEAD, 1] < 0.75).all()
    assert (after[lying][:, SPINE_BASE, 1] < 0.6).all()
    assert after[..., 1].min() > -0.05
    whole = bones(before)
    legs_and_spine = [i for i, (a, b) in enumerate(EDGES) if not {a, b} & {*ARM, 8, 9, 10, 11, 23, 24, 15, 19}]
    changed = np.abs(bones(after) - whole)[:, legs_and_spine]
    assert np.median(changed) < 0.01
    assert changed.max() < 0.16  # where the floor stops a joint


def test_lying_hardly_moves_and_rising_ends_upright() -> None:
    rng = np.random.default_rng(0)
    lying = simulated(standing(), TIMES, LIE, rng)
    assert np.ptp(lying[:, HEAD], axis=0).max() < 0.1
    assert lying[:, HEAD, 1].max() < 0.75
    heights = [simulated(standing(), TIMES, RISE, rng)[[0, -1], HEAD, 1] for _ in range(5)]
    assert all(low < 0.75 and high > low for low, high in heights)
    assert max(high for _, high in heights) > 1.5


def test_a_fall_is_always_in_the_window() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        head = simulated(standing(), TIMES, FALL, rng)[:, HEAD, 1]
        assert head[:60].min() > 1.4
        assert head[-1] < 1.4


def test_progress() -> None:
    fall, rise = progress_of_fall(TIMES, -2, 1), progress_of_rising(TIMES, -2, 1)
    assert (fall[0], fall[-1], rise[0], rise[-1]) == (0, pytest.approx(1), pytest.approx(1), pytest.approx(0))
    assert (np.diff(fall) >= 0).all()
    assert (np.diff(rise) <= 0).all()


def test_the_simulated_actions_have_labels() -> None:
    assert len({index_of(name) for name in SIMULATED}) == 3
    with pytest.raises(ValueError, match="expected 'fall', 'lie on the floor' or 'get up from the floor'"):
        simulated(standing(), TIMES, "jump", np.random.default_rng(0))
