"""Windows are resampled by capture time, whatever the sensor does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poses import STANDING

from stream.types import NANOSECONDS
from stream.window import WindowRing, WindowSettings, fill

SEEN = np.ones(25, np.float32)


def moving(t: int) -> np.ndarray:
    """A person whose joints all move at 1 m/s along x: linear interpolation must be exact."""
    return STANDING + np.array([t / NANOSECONDS, 0, 0], np.float32)


def feed(times: list[int], **changes: object) -> list:
    ring = WindowRing(WindowSettings(**changes))
    return [cut for t in times for cut in ring.push(t, moving(t), SEEN)[0]]


@pytest.mark.parametrize("fps", [5.5, 15.0, 25.0, 29.97, 30.0, 120.0])
def test_any_frame_rate_gives_the_same_windows(fps: float) -> None:
    times = [round(i * NANOSECONDS / fps) for i in range(round(6 * fps))]
    cuts = feed(times)
    full = [cut for cut in cuts if cut.coverage == 1.0]
    assert full
    for cut in full:
        assert cut.x.shape == (3, 50, 25)
        expected = np.linspace(cut.t0, cut.t1, 50) / NANOSECONDS
        np.testing.assert_allclose(cut.x[0, :, 0], expected, atol=1e-5)
        np.testing.assert_allclose(cut.x[1, :, 3], STANDING[3, 1], atol=1e-6)
        assert cut.t1 - cut.t0 == 49 * NANOSECONDS // 25
    # A window every 8 points of 40 ms.
    assert {b.t1 - a.t1 for a, b in itertools.pairwise(cuts)} == {8 * NANOSECONDS // 25}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.integers(1, 900_000_000), min_size=5, max_size=80),
    shift=st.integers(0, 2**62),
)
def test_windows_depend_on_time_differences_alone(steps: list[int], shift: int) -> None:
    times = np.cumsum(steps).tolist()
    poses = [moving(t) for t in times]

    def run(offset: int) -> list:
        ring = WindowRing(WindowSettings())
        return [cut for t, pose in zip(times, poses, strict=True) for cut in ring.push(t + offset, pose, SEEN)[0]]

    for a, b in zip(run(0), run(shift), strict=True):
        assert b.t1 - a.t1 == shift
        assert np.isfinite(a.x).all()
        assert 0.0 <= a.coverage <= 1.0
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.mask, b.mask)


@settings(max_examples=60, deadline=None)
@given(jitter=st.lists(st.integers(-15_000_000, 15_000_000), min_size=90, max_size=90))
def test_jitter_of_the_sensors_clock_does_not_move_the_pose(jitter: list[int]) -> None:
    times = [i * NANOSECONDS // 30 + (jitter[i] if i else 0) for i in range(90)]
    for cut in feed(times):
        seen = cut.mask[:, 0] > 0
        expected = np.linspace(cut.t0, cut.t1, 50)[seen] / NANOSECONDS
        np.testing.assert_allclose(cut.x[0, seen, 0], expected, atol=1e-5)


def test_the_rows_before_a_tracks_birth_are_masked() -> None:
    cut = feed([i * NANOSECONDS // 30 for i in range(31)])[-1]
    seen = cut.mask.any(axis=1)
    assert cut.coverage == pytest.approx(seen.mean())
    assert not seen[: 50 - round(cut.t1 / NANOSECONDS * 25) - 2].any()
    assert seen[-20:].all()


def test_a_gap_empties_the_ring() -> None:
    ring = WindowRing(WindowSettings(gap_s=1.0))
    for i in range(60):
        ring.push(i * NANOSECONDS // 30, moving(0), SEEN)
    t = 59 * NANOSECONDS // 30
    cuts, gap = ring.push(t + NANOSECONDS, moving(0), SEEN)
    assert not gap
    assert cuts[-1].coverage < 1.0  # the middle of the hole was not seen
    cuts, gap = ring.push(t + 2 * NANOSECONDS + 1, moving(0), SEEN)
    assert gap
    assert cuts == []
    cuts = [
        cut
        for i in range(1, 10)
        for cut in ring.push(t + 2 * NANOSECONDS + 1 + i * NANOSECONDS // 30, moving(0), SEEN)[0]
    ]
    assert cuts
    assert all(cut.coverage <= 8 / 50 for cut in cuts)


@pytest.mark.parametrize("t", [0, -1, -(10**18)])
def test_time_that_stands_still_or_runs_back_is_refused(t: int) -> None:
    ring = WindowRing(WindowSettings())
    ring.push(0, STANDING, SEEN)
    with pytest.raises(ValueError, match="not later"):
        ring.push(t, STANDING, SEEN)


def test_a_joint_that_drops_out_is_masked_and_comes_back() -> None:
    ring = WindowRing(WindowSettings(near_s=0.1))
    cuts = []
    for i in range(75):
        confidence = SEEN.copy()
        confidence[7] = 0.0 if 30 <= i < 45 else 1.0
        joints = moving(i * NANOSECONDS // 30)
        joints[7] = 99.0 if 30 <= i < 45 else joints[7]  # rubbish where it was not seen
        cuts += ring.push(i * NANOSECONDS // 30, joints, confidence)[0]
    cut = cuts[-1]
    assert (cut.mask[:, 6] == 1).all()
    hidden = cut.mask[:, 7] == 0
    assert 5 <= hidden.sum() <= 12
    assert np.abs(cut.x[:, ~hidden, 7]).max() < 5.0


def test_a_slow_sensor_covers_its_windows_and_a_slower_one_does_not() -> None:
    assert feed([round(i * NANOSECONDS / 5.5) for i in range(40)])[-1].coverage == 1.0
    assert feed([round(i * NANOSECONDS / 1.5) for i in range(20)])[-1].coverage < 0.7


def test_many_rings_filled_at_once_hold_what_each_alone_does() -> None:
    random = np.random.default_rng(7)
    together, alone = ([WindowRing(WindowSettings()) for _ in range(3)] for _ in range(2))
    t = np.zeros(3, np.int64)
    for _ in range(12):
        reached: list = []
        expected: list = []
        for _ in range(10):  # several frames of each, some of them after a gap
            for one in range(3):
                t[one] += int(
                    random.choice([20_000_000, 33_333_333, 300_000_000, 1_500_000_000], p=[0.4, 0.4, 0.18, 0.02])
                )
                joints = random.normal(size=(25, 3)).astype(np.float32)
                confidence = (random.random(25) * (random.random(25) > 0.2)).astype(np.float32)
                reached += together[one].reach(int(t[one]), joints, confidence)[0]
                expected += alone[one].push(int(t[one]), joints, confidence)[0]
        cuts = fill(reached)
        assert len(cuts) == len(expected) > 0
        for cut, other in zip(cuts, expected, strict=True):
            assert (cut.t0, cut.t1, cut.coverage, cut.full) == (other.t0, other.t1, other.coverage, other.full)
            assert np.array_equal(cut.x, other.x)
            assert np.array_equal(cut.mask, other.mask)
