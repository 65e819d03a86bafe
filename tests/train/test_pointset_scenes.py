"""Simulated scenes of two people."""

from __future__ import annotations

import numpy as np
import pytest
from poses import STANDING

from stream.layouts import BONES, SPINE_BASE, SPINE_MID, WRIST_LEFT, WRIST_RIGHT
from train.pointset import scenes

T = 40


def standing(seed: int = 0) -> np.ndarray:
    return (np.tile(STANDING, (T, 1, 1)) + np.random.default_rng(seed).normal(0, 0.002, (T, 25, 3))).astype(np.float32)


def bones(joints: np.ndarray) -> np.ndarray:
    return np.stack([np.linalg.norm(joints[:, a] - joints[:, b], axis=1) for a, b in BONES], axis=1)


def test_who_faces_the_camera_faces_it() -> None:
    assert scenes.facing(standing(), T // 2) == pytest.approx(-np.pi / 2, abs=0.05)


@pytest.mark.parametrize("face", [0.0, 1.0, -2.5])
def test_people_are_put_where_they_should_be(face: float) -> None:
    person = scenes.placed(standing(), T // 2, 0.7, 2.0, face)
    place = person[T // 2, SPINE_BASE]
    assert np.hypot(place[0], place[2]) == pytest.approx(2.0, abs=1e-3)
    assert np.arctan2(place[2], place[0]) == pytest.approx(0.7, abs=1e-3)
    assert np.cos(scenes.facing(person, T // 2) - face) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(bones(person), bones(standing()), atol=1e-5)


def test_a_blow_is_found_where_the_hand_goes() -> None:
    joints = standing()
    joints[25, WRIST_RIGHT] = joints[25, SPINE_BASE] + [0.5, 0.4, -0.5]
    hit = scenes.blow(joints, scenes.HANDS, 20, 39)
    assert hit.frame == 25
    assert hit.reach == pytest.approx(np.hypot(0.5, 0.5), abs=0.01)
    assert hit.toward == pytest.approx(-np.pi / 4, abs=0.02)


def test_who_is_hit_goes_the_way_of_the_blow_with_the_bones_they_have() -> None:
    before = standing()
    after = scenes.driven_back(before, 0.0, 20, 0.5, 0.4, 5)
    np.testing.assert_allclose(after[:20], before[:20], atol=1e-6)
    assert after[-1, SPINE_BASE, 0] - before[-1, SPINE_BASE, 0] == pytest.approx(0.4, abs=1e-3)
    assert after[26, 3, 0] - after[26, SPINE_BASE, 0] > 0.2
    np.testing.assert_allclose(bones(after), bones(before), atol=1e-4)


def test_an_arm_reaches_as_far_as_it_can() -> None:
    joints = standing()
    near, far = joints[:, 8] + np.float32([0, -0.1, -0.35]), joints[:, 8] + np.float32([0, 0, -5])
    share = np.ones(T)
    reached = scenes.reached(joints, scenes.RIGHT, near, share)
    np.testing.assert_allclose(reached[:, WRIST_RIGHT], near, atol=1e-4)
    np.testing.assert_allclose(bones(reached), bones(joints), atol=1e-3)
    np.testing.assert_allclose(bones(scenes.reached(joints, scenes.RIGHT, far, share)), bones(joints), atol=1e-3)
    np.testing.assert_allclose(scenes.reached(joints, scenes.RIGHT, near, 0 * share), joints, atol=3e-3)


@pytest.mark.parametrize("act", [scenes.hugging, scenes.shaking])
def test_hands_meet(act: object) -> None:
    rng = np.random.default_rng(0)
    a = scenes.placed(standing(), T // 2, 0.0, 0.0, 0.0)
    b = scenes.placed(standing(1), T // 2, 0.0, 0.35 if act is scenes.hugging else 0.8, np.pi)
    done_a, done_b = act(a, b, scenes.rising(T, 10, 8), rng)  # type: ignore[operator]
    np.testing.assert_allclose(done_a[5], a[5], atol=3e-3)
    np.testing.assert_allclose(bones(done_a), bones(a), atol=1e-3)
    if act is scenes.shaking:
        assert np.linalg.norm(done_a[-1, WRIST_RIGHT] - done_b[-1, WRIST_RIGHT]) < 0.12
    else:
        for wrist in (WRIST_LEFT, WRIST_RIGHT):  # behind the other
            assert done_a[-1, wrist, 0] > done_b[-1, SPINE_MID, 0]
            assert done_b[-1, wrist, 0] < done_a[-1, SPINE_MID, 0]


def test_a_treadmill_moves_people_as_told() -> None:
    way = np.linspace(0, 3, T)
    person = scenes.moved(standing(), np.pi / 2, way)
    np.testing.assert_allclose(np.diff(person[:, SPINE_BASE, 2]), np.diff(way), atol=1e-5)
