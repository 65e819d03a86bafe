"""What all sources that estimate joints from images have in common."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest

from stream.vision.people import BUDGET_S, JOINTS, crowd, fingerprint, found


def seen(number: int, visibility: float) -> Any:
    pose = SimpleNamespace(visibility=np.full(JOINTS, visibility, np.float32), world=np.full((JOINTS, 3), number))
    return SimpleNamespace(id=number, pose=pose)


def test_poses_become_arrays() -> None:
    factor = np.linspace(0, 1, JOINTS, dtype=np.float32)
    joints, confidence, ids = found([seen(3, 0.5), seen(9, 1.2)], lambda pose: (pose.world.astype(np.float32), factor))
    assert (joints.shape, joints.dtype, confidence.dtype) == ((2, JOINTS, 3), np.float32, np.float32)
    assert (joints[0] == 3).all()
    assert (joints[1] == 9).all()
    np.testing.assert_allclose(confidence, [0.5 * factor, factor])
    assert (ids.tolist(), ids.dtype) == ([3, 9], np.int64)


def test_nobody_has_arrays_too() -> None:
    joints, confidence, ids = found([], lambda pose: (pose.world, 1.0))
    assert (joints.shape, confidence.shape, ids.shape) == ((0, JOINTS, 3), (0, JOINTS), (0,))


def test_a_fingerprint_differs_where_the_image_does() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (48, 64, 3), np.uint8)
    assert fingerprint(image) == fingerprint(image.copy())
    assert fingerprint(image) != fingerprint(rng.integers(0, 255, (48, 64, 3), np.uint8))


@pytest.mark.parametrize(("live", "budget"), [(True, BUDGET_S), (False, None)])
def test_only_live_images_have_a_budget(monkeypatch: pytest.MonkeyPatch, live: bool, budget: float | None) -> None:
    closed: list[str] = []

    class Estimator:
        def __init__(self, network: str) -> None:
            self.network = network

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            closed.append(self.network)

    monkeypatch.setattr("stream.vision.pose.PoseEstimator", Estimator)
    monkeypatch.setattr("stream.vision.crowd.Crowd", lambda estimator, **settings: (estimator.network, settings))
    with crowd("lite", 4, live=live) as made:
        assert made == ("lite", {"max_people": 4, "budget_s": budget})
    assert closed == ["lite"]
