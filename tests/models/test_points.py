"""Points: what they do not depend on, and that they are causal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poses import STANDING

from models.points import CONFIDENCE, NUMBERS, PLACE_X, STEP_NS, WINDOW, PlaneState, V, X, Y, phase, points, slots

SPACE, IMAGE = np.array([False]), np.array([True])


def people(frames: int = 12, bodies: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Joints (1, T, M, V, 3) in metres of people who stand a metre apart and move a little, and confidence."""
    rng = np.random.default_rng(seed)
    joints = np.stack([STANDING + np.array([float(i), 0, 2.5], np.float32) for i in range(bodies)])
    joints = joints + rng.normal(0, 0.02, (frames, *joints.shape))
    return joints[None].astype(np.float32), (rng.random((1, frames, bodies, V)) > 0.1).astype(np.float32)


def seen(joints: np.ndarray, confidence: np.ndarray, image: np.ndarray = SPACE) -> np.ndarray:
    return points(joints, confidence, image, PlaneState.new(1))


def test_all_numbers_lie_between_0_and_1_and_unseen_points_are_0() -> None:
    joints, confidence = people()
    joints[0, 3, 0] = np.nan
    joints[0, 4, 1] = 1e30
    found = seen(joints, confidence)
    assert found.shape == (1, 12, 2, V, NUMBERS)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found[0, 3, 0].any()
    assert not found[confidence == 0].any()
    assert np.allclose(found[0, 0, 0, confidence[0, 0, 0] > 0, CONFIDENCE], 1)


@given(st.floats(0.01, 500), st.floats(-1000, 1000), st.floats(-1000, 1000))
@settings(max_examples=30, deadline=None)
def test_units_and_place_of_an_image_do_not_matter(scale: float, x: float, y: float) -> None:
    joints, confidence = people()
    here = seen(joints, confidence, IMAGE)
    there = seen((joints * scale + np.array([x, y, 0]) * scale).astype(np.float32), confidence, IMAGE)
    assert np.abs(here - there).max() < 2e-3 * (1 + abs(x) + abs(y)) / 10


def test_an_image_and_space_show_the_same_about_as_large() -> None:
    joints, confidence = people()
    space = seen(joints, confidence)
    image = seen(joints * np.array([-400, -400, 0], np.float32) + 300, confidence, IMAGE)
    there = confidence > 0
    assert np.abs(space[there][:, [X, Y]] - image[there][:, [X, Y]]).max() < 0.08
    assert np.sign(space[0, 0, 0, 4, X] - 0.5) == np.sign(image[0, 0, 0, 4, X] - 0.5)


def test_bodies_may_change_places() -> None:
    joints, confidence = people(bodies=3)
    order = [2, 0, 1]
    assert np.array_equal(seen(joints[:, :, order], confidence[:, :, order]), seen(joints, confidence)[:, :, order])


def test_later_frames_change_nothing_and_pieces_give_the_whole() -> None:
    joints, confidence = people(frames=30)
    whole = seen(joints, confidence, IMAGE)
    assert np.array_equal(whole[:, :17], seen(joints[:, :17], confidence[:, :17], IMAGE))
    state = PlaneState.new(1)
    parts = [points(joints[:, [t]], confidence[:, [t]], IMAGE, state) for t in range(30)]
    assert np.array_equal(whole, np.concatenate(parts, axis=1))


def test_the_anchor_follows_people_who_have_gone_elsewhere() -> None:
    joints, confidence = people(frames=400, bodies=1)
    joints[0, 50:, :, :, 0] += 2.0
    place = seen(joints, confidence)[0, :, 0, :, PLACE_X].max(axis=1)
    assert place[52] > 0.7
    assert abs(place[-1] - 0.5) < 0.02


def test_the_distance_of_two_people_is_told_in_metres() -> None:
    joints, confidence = people()
    confidence[:] = 1
    place = seen(joints, confidence)[0, 0, :, 0, PLACE_X]
    assert abs(abs(place[1] - place[0]) * 6 - 1.0) < 0.05


def test_frames_are_taken_once_a_step() -> None:
    kept, steps = slots(np.arange(0, 10**9, 33_333_333))
    assert np.array_equal(np.unique(steps), steps)
    assert len(steps) == 13
    assert (np.diff(kept) >= 2).all()
    assert len(slots(np.zeros(0, np.int64))[0]) == 0
    assert slots(np.array([0, 10 * STEP_NS]))[1].tolist() == [0, 10]


def test_the_time_index_is_cyclic() -> None:
    far = np.array([3 + 10**12 * WINDOW])
    assert phase(far) == phase(np.array([3]))
    assert 0 <= phase(np.arange(100)).min() < phase(np.arange(100)).max() < 1


def test_wrong_shapes_are_refused() -> None:
    joints, confidence = people()
    with pytest.raises(ValueError, match="expected joints"):
        seen(joints[..., :1], confidence)
    with pytest.raises(ValueError, match="expected joints"):
        seen(joints, confidence[:, :-1])
