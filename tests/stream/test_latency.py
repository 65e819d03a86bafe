"""Latencies: quantiles that are right to a few percent, in a size that never grows, over about the last minute."""

from __future__ import annotations

import numpy as np
import pytest

from stream.latency import BUCKETS, GROWTH, SPAN_S, STAGES, Histogram, Latency


@pytest.mark.parametrize("scale", [1e-4, 3e-2, 5.0])
def test_quantiles_are_right_to_half_a_bucket(scale: float) -> None:
    values = np.random.default_rng(0).lognormal(0.0, 0.5, 5_000) * scale
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    assert histogram.count == 5_000
    for share in (0.5, 0.99):
        exact = np.quantile(values, share, method="inverted_cdf")
        assert histogram.quantile(share) == pytest.approx(exact, rel=GROWTH - 1)


def test_anything_is_counted_and_nothing_grows() -> None:
    histogram = Histogram()
    for seconds in (-1.0, 0.0, 1e-9, 1e9):
        histogram.add(seconds)
    assert histogram.counts() == {0: 3, BUCKETS - 1: 1}
    assert 0 < histogram.quantile(0.5) < 1e-4
    assert histogram.quantile(1.0) > 100


def test_an_empty_one_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) == 0.0


def test_two_processes_measure_like_one() -> None:
    values = np.random.default_rng(1).exponential(0.02, 1_000)
    one, parts = Histogram(), [Histogram(), Histogram()]
    for number, value in enumerate(values):
        one.add(value)
        parts[number % 2].add(value)
    merged = Histogram()
    for part in parts:
        merged.merge(part.take())
        assert part.count == 0
        assert part.counts() == {}
    assert merged.counts() == one.counts()
    assert merged.count == 1_000


def test_only_the_last_minute_counts() -> None:
    latency = Latency()
    for second in range(300):
        latency.add("queue", 1.0 if second < 200 else 0.01, float(second))
    median, worst = latency.quantiles("queue", (0.5, 0.99), 299.0) or (0.0, 0.0)
    assert (median, worst) == (pytest.approx(0.01, rel=0.1), pytest.approx(0.01, rel=0.1))
    assert latency.quantiles("encode", (0.5,), 299.0) is None


def test_at_least_half_the_span_counts() -> None:
    latency = Latency()
    latency.add("queue", 1.0, 0.0)
    latency.merge("queue", {0: 1}, SPAN_S / 2 + 1)
    assert latency.quantiles("queue", (1.0,), SPAN_S / 2 + 1) == (pytest.approx(1.0, rel=0.1),)


def test_what_is_old_is_forgotten_though_nothing_new_came() -> None:
    latency = Latency()
    for stage in STAGES:
        latency.add(stage, 1.0, 0.0)
    assert latency.quantiles("total", (0.5,), 2 * SPAN_S) is None
