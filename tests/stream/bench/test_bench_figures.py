"""Figures, lines, ratios, and the search for the most that is held."""

from __future__ import annotations

import pytest

from stream.bench.bars import BARS, judge
from stream.bench.end_to_end import bisect
from stream.bench.figures import Result, Spread, curve, fit, ratio, spread


def test_a_spread_tells_median_and_range() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0, 4)


def test_ratios_are_made_of_runs_that_were_neighbours() -> None:
    assert ratio([10.0, 40.0, 30.0], [1.0, 2.0, 3.0]) == Spread(10.0, 10.0, 20.0, 3)


def test_a_line_through_points_on_it_is_that_line() -> None:
    line = fit("cameras", "MiB", [(4, 90), (1, 30), (2, 50)])
    assert line.points == ((1, 30), (2, 50), (4, 90))
    assert (line.slope, line.intercept, line.r2) == pytest.approx((20, 10, 1))


def test_a_line_through_scattered_points_explains_part_of_them() -> None:
    line = fit("x", "y", [(0, 0), (1, 2), (2, 1), (3, 3)])
    assert line.slope == pytest.approx(0.8)
    assert line.r2 == pytest.approx(0.64)


def test_a_line_through_level_points_explains_all_there_is() -> None:
    assert fit("x", "y", [(1, 5), (2, 5)]).r2 == 1


def test_a_curve_is_put_in_order() -> None:
    assert curve("x", "y", [(3, 1), (1, 2)]).points == ((1, 2), (3, 1))


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 50, 64, 65, 100, 255, 256, 300])
@pytest.mark.parametrize("start", [1, 64])
def test_the_search_finds_the_most_that_is_held(limit: int, start: int) -> None:
    tried: list[int] = []

    def held(cameras: int) -> bool:
        tried.append(cameras)
        return cameras <= limit

    known = [(number, number <= limit) for number in (1, start)]
    good = max((number for number, is_held in known if is_held), default=0)
    bad = min((number for number, is_held in known if not is_held), default=257)
    found = bisect(held, good, bad, 256)
    most = min(limit, 256)
    assert most - max(1, most // 8) <= found <= most
    assert len(tried) <= 12
    assert all(1 <= number <= 256 for number in tried)
    assert len(set(tried)) == len(tried)


def test_bars_are_met_missed_or_not_measured() -> None:
    peers = Result(ratios={"sliding_to_every_frame_1": spread([24.0]), "sliding_to_every_frame_32": spread([26.0])})
    trial = Result()
    trial.add("64 cameras x 2, p99", "ms", [99.0])
    trial.add("1 camera x 2, p50", "ms", [10.0])
    verdicts = {
        bar.name: verdict for bar, verdict in zip(BARS, judge({"peers": peers, "end-to-end": trial}), strict=True)
    }
    assert verdicts["sliding_to_every_frame_1"].met is False
    assert verdicts["sliding_to_every_frame_32"].met is True
    assert verdicts["sliding_to_every_frame_128"].met is None
    assert verdicts["64 cameras x 2, p99"].met is True
    assert verdicts["1 camera x 2, p50"].met is False  # it must be under its bound
    assert verdicts["64 cameras x 2, held"].value is None
