"""Figures of merit, against sklearn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from train.anomaly import metrics

CASES = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({positive for _, positive in rows}) == 2
)


@settings(deadline=None)  # sklearn takes long the first time
@given(CASES)
def test_areas_are_those_of_sklearn(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    assert metrics.auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert metrics.average_precision(scores, positive) == pytest.approx(average_precision_score(positive, scores))


@given(CASES)
def test_equal_error_lies_on_the_curve_and_turns_with_the_scores(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    right = metrics.equal_error(scores, positive)
    assert 0 <= right <= 1
    assert metrics.equal_error(-scores, ~positive) == pytest.approx(right)


def test_known_values() -> None:
    scores, positive = np.array([0.9, 0.8, 0.7, 0.2]), np.array([True, False, True, False])
    assert metrics.auroc(scores, positive) == 0.75
    assert metrics.average_precision(scores, positive) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.equal_error(scores, positive) == 0.5
    assert metrics.accuracy(scores, positive, 0.7) == 0.75
    assert metrics.balanced_accuracy(scores, np.array([True, False, False, False]), 0.5) == pytest.approx(2 / 3)
    assert metrics.auroc(np.zeros(4), positive) == 0.5


def test_a_threshold_finds_the_share_it_must() -> None:
    scores = np.arange(10.0)
    assert metrics.threshold_for(scores, 0.8) == 2
    assert (scores >= metrics.threshold_for(scores, 0.75)).mean() >= 0.75
    assert metrics.threshold_for(scores, 1.0) == 0
    for share in (0.0, 1.1):
        with pytest.raises(ValueError, match="share"):
            metrics.threshold_for(scores, share)


def test_one_kind_only_is_refused() -> None:
    with pytest.raises(ValueError, match="of each kind"):
        metrics.auroc(np.zeros(3), np.ones(3, bool))
    with pytest.raises(ValueError, match=r"expected \(N,\)"):
        metrics.curve(np.zeros(3), np.ones(2, bool))
