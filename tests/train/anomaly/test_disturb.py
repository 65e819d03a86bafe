"""Disturbances are of the share that they say, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from anomaly_oracle import scene

from train.anomaly.disturb import DISTURBANCES, SHARE, disturb

SCENE = scene("hug", "a", 0, frames=200, people=2)


@pytest.mark.parametrize("how", DISTURBANCES)
def test_the_same_seed_does_the_same(how: str) -> None:
    (first,), (again,), (other,) = (disturb([SCENE], how, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.joints, again.joints)
    np.testing.assert_array_equal(first.confidence, again.confidence)
    assert not (np.array_equal(first.joints, other.joints) and np.array_equal(first.confidence, other.confidence))
    assert first.joints.dtype == np.float32


def test_shares() -> None:
    (noisy,), (holed,), (mixed,) = (disturb([SCENE], how) for how in ("noise", "missing", "swapped"))
    assert (noisy.joints != SCENE.joints).any(axis=3).mean() == pytest.approx(SHARE, abs=0.02)
    assert (holed.confidence == 0).mean() == pytest.approx(SHARE, abs=0.02)
    moved = (mixed.joints != SCENE.joints).any(axis=(1, 2, 3))
    assert moved.mean() == pytest.approx(SHARE, abs=0.1)
    np.testing.assert_array_equal(mixed.joints[moved], SCENE.joints[moved][:, ::-1])


def test_nothing_is_done_where_nothing_is_asked() -> None:
    assert disturb([SCENE], "") == [SCENE]
    with pytest.raises(KeyError):
        disturb([SCENE], "fog")
