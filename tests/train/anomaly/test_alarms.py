"""Alarms over time."""

from __future__ import annotations

import numpy as np
import pytest

from train.anomaly.alarms import Timeline, alarms_per_hour

LINE = Timeline(np.arange(10.0), np.array([0, 0.9, 0, 0.9, 0, 0, 0, 0.9, 0.5, 0]), 10.0)


def test_alarms_close_together_are_one() -> None:
    assert LINE.alarms(0.8) == 2
    assert LINE.alarms(0.95) == 0
    assert LINE.alarms(0.0) == 1


def test_the_highest_and_the_first() -> None:
    assert LINE.highest(2, 4) == 0.9
    assert LINE.highest(20, 30) == -np.inf
    assert LINE.delay(2, 8, 0.8) == 1.0
    assert LINE.delay(4, 6, 0.8) is None


def test_rates() -> None:
    assert alarms_per_hour([LINE, LINE], 0.8) == pytest.approx(4 / 20 * 3600)
    with pytest.raises(ValueError, match="without a length"):
        alarms_per_hour([], 0.5)
