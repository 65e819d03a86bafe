import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.stream_metrics import (
    OVERLAPS,
    Rates,
    StreamScores,
    Tally,
    delays,
    false_alarms_per_hour,
    frame_f1,
    match_overlap,
    match_points,
    tally,
)

POINTS = st.lists(st.tuples(st.floats(0, 5), st.sampled_from("ab")), max_size=8)
INTERVALS = st.lists(
    st.tuples(st.floats(0, 5), st.floats(0, 3), st.sampled_from("ab")).map(lambda i: (i[0], i[0] + i[1], i[2])),
    max_size=8,
)


def test_points_match_the_nearest_of_their_label() -> None:
    truth = [(1.0, "wave"), (2.0, "wave"), (2.0, "kick"), (9.0, "duck")]
    found = [(1.3, "wave"), (1.1, "wave"), (2.0, "kick"), (2.334, "wave"), (9.0, "wave")]
    pairs = match_points(found, truth)
    assert pairs == [(1, 0), (2, 2)]  # 334 ms is too far, and so is another label
    assert match_points(found, truth, tolerance_s=0.4) == [(1, 0), (2, 2), (3, 1)]
    assert match_points([(1.4, "a"), (1.6, "a")], [(1.5, "a"), (1.8, "a")], 0.35) == [(0, 0), (1, 1)]


def test_rates() -> None:
    truth = [(1.0, "wave"), (2.0, "wave"), (2.0, "kick"), (9.0, "duck")]
    found = [(1.3, "wave"), (1.1, "wave"), (2.0, "kick"), (5.0, "jump")]
    counts = tally(match_points(found, truth), [label for _, label in found], [label for _, label in truth])
    assert counts.micro() == Rates(2 / 4, 2 / 4, pytest.approx(0.5))
    # wave: 1 of 2 found, 1 of 2 true; kick: all; duck: never found; jump: never true
    assert counts.macro() == Rates(pytest.approx(0.75), pytest.approx(0.5), pytest.approx(0.5))
    assert counts.false_alarms == 2
    twice = counts + counts
    assert twice.macro() == counts.macro()
    assert twice.false_alarms == 4
    assert Tally().macro() == Tally().micro() == Rates(None, None, None)
    assert tally([], [], ["a"]).macro() == Rates(None, 0.0, 0.0)
    assert tally([], ["a"], []).micro() == Rates(0.0, None, None)


def test_delays_are_from_the_truth_to_the_decision() -> None:
    truth = [(1.0, "a"), (2.0, "a")]
    pairs = match_points([(2.1, "a"), (1.1, "a")], truth)
    assert delays(pairs, [2.5, 0.9], truth) == pytest.approx([0.5, -0.1])


def test_intervals_match_by_overlap() -> None:
    truth = [(0.0, 1.0, "a"), (2.0, 4.0, "a"), (5.0, 6.0, "b")]
    found = [(0.5, 1.5, "a"), (2.0, 3.0, "a"), (3.0, 4.5, "a"), (5.0, 6.0, "a")]
    shares = {0.1: 2, 0.2: 2, 0.3: 2, 0.4: 1, 0.5: 1}
    assert {overlap: len(match_overlap(found, truth, overlap)) for overlap in OVERLAPS} == shares
    assert match_overlap(found, truth, 0.3) == [(0, 0), (1, 1)]
    assert match_overlap([(1.0, 1.0, "a")], [(1.0, 1.0, "a")], 0.1) == []
    assert match_overlap([(0.0, 1.0, "a")], [(1.0, 2.0, "a")], 0.0) == []


@given(found=POINTS, truth=POINTS)
def test_matches_of_points_are_one_to_one(found: list[tuple[float, str]], truth: list[tuple[float, str]]) -> None:
    pairs = match_points(found, truth)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    for i, j in pairs:
        assert found[i][1] == truth[j][1]
        assert abs(found[i][0] - truth[j][0]) <= 0.333
    loose = {(i, j) for i, a in enumerate(found) for j, b in enumerate(truth) if a[1] == b[1]}
    left = {(i, j) for i, j in loose if i not in dict(pairs) and j not in {j for _, j in pairs}}
    assert all(abs(found[i][0] - truth[j][0]) > 0.333 for i, j in left)  # nothing that could match is left over
    assert len(match_points(truth, truth)) == len(truth)


@given(found=INTERVALS, truth=INTERVALS)
def test_matches_of_intervals_are_one_to_one(
    found: list[tuple[float, float, str]], truth: list[tuple[float, float, str]]
) -> None:
    pairs = match_overlap(found, truth, 0.3)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(found[i][2] == truth[j][2] for i, j in pairs)
    rates = tally(pairs, [f[2] for f in found], [t[2] for t in truth]).micro()
    assert all(rate is None or 0 <= rate <= 1 for rate in (rates.precision, rates.recall, rates.f1))


def test_frames() -> None:
    true = ["none", "none", "a", "a", "a", "a", "b", "b"]
    predicted = ["none", "a", "a", "a", "none", "b", "b", "b"]
    # a: 2 of 3 and 2 of 4, F1 = 4/7; b: 2 of 3 and 2 of 2, F1 = 4/5
    assert frame_f1(predicted, true, {"none"}) == pytest.approx((4 / 7 + 4 / 5) / 2)
    assert frame_f1(predicted, true, "none") == frame_f1(predicted, true, ["none"])
    assert frame_f1(true, true, {"none"}) == 1.0
    assert frame_f1(["a"], ["none"], {"none"}) is None
    assert frame_f1(["rest"], ["a"], {"none", "rest"}) == 0.0
    with pytest.raises(ValueError, match="argument"):
        frame_f1(["a"], [], {"none"})


def test_scores_as_json() -> None:
    truth = [(1.0, "a"), (2.0, "b")]
    pairs = match_points([(1.1, "a"), (8.0, "b")], truth)
    events = tally(pairs, ["a", "b"], ["a", "b"])
    scores = StreamScores.of(events, delays(pairs, [1.25, 8.2], truth), hours=0.5, frame_f1=None)
    assert scores.as_dict() == {
        "event_f1": 0.5,
        "event_precision": 0.5,
        "event_recall": 0.5,
        "false_alarms_per_hour": 2.0,
        "delay_ms_median": pytest.approx(250),
        "frame_f1": None,
    }
    nothing = StreamScores.of(tally([], [], ["a"]), [], hours=1.0, frame_f1=0.25).as_dict()
    assert json.loads(json.dumps(nothing)) == {
        "event_f1": 0.0,
        "event_precision": None,
        "event_recall": 0.0,
        "false_alarms_per_hour": 0.0,
        "delay_ms_median": None,
        "frame_f1": 0.25,
    }
    assert false_alarms_per_hour(3, 0.0) is None
