"""Thresholds: what is found keeps the wish, and nothing lower would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.calibration import (
    CANDIDATES,
    Calibration,
    Material,
    Thresholds,
    hours_needed,
    upper_rate,
)
from stream.engine_tape import Tape
from stream.events import EventEngine, EventSettings
from stream.prompts import Prompt
from stream.types import NANOSECONDS, Phase, Scores
from stream.verdict import Status, judge

SETTINGS = EventSettings(grace_s=0.0, cooldown_s=0.5)
PROMPTS = (Prompt("fall", "a person falls"), Prompt("wave", "a person waves"))
STEP_S = 0.32


def tape(*columns: list[float], name: str = "r") -> Tape:
    """A recording in which the prompts have these probabilities, window after window."""
    calls = []
    for number, row in enumerate(zip(*columns, strict=True)):
        probability = np.array(row, np.float32)
        t = round(number * STEP_S * NANOSECONDS)
        scores = Scores("cam", 1, t, probability, probability, np.ones(len(row), np.float32), None, 1.0, "d")
        calls.append(("push", (scores,)))
    length = len(columns[0]) * STEP_S
    return Tape(name, tuple(calls), {}, length, length)


def engine(prompts: tuple[Prompt, ...]) -> EventEngine:
    return EventEngine(prompts, SETTINGS)


def calibration(material: Material, prompts: tuple[Prompt, ...] = PROMPTS) -> Calibration:
    return Calibration(prompts, engine, material, [Thresholds(0.5, 0.3)] * len(prompts))


def count(one: Tape, k: int, thresholds: Thresholds) -> int:
    """False alarms of one prompt, counted by hand."""
    prompts = list(PROMPTS)
    prompts[k] = replace(prompts[k], enter=thresholds.enter, exit=thresholds.exit)
    events = one.play(engine(tuple(prompts)))
    return sum(event.phase is Phase.START and event.name == PROMPTS[k].name for event in events)


scores = st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 2), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(rows=scores, clip=scores, allowed=st.integers(0, 3))
def test_what_is_found_keeps_the_wish_and_one_candidate_lower_does_not(
    rows: list[tuple[float, float]], clip: list[tuple[float, float]], allowed: int
) -> None:
    normal = tape(*map(list, zip(*rows, strict=True)))
    filed = tape(*map(list, zip(*clip, strict=True)), name="filed")
    found = calibration(Material([normal], {"fall": [filed]}, {})).lowest(allowed)

    def good(k: int, enter: float) -> bool:
        at = Thresholds(0.5, 0.3).at(enter)
        return count(normal, k, at) <= allowed and (k > 0 or count(filed, k, at) == 0)

    for k, enter in enumerate(found):
        if enter is None:
            assert not good(k, CANDIDATES[-1])
            continue
        assert all(good(k, candidate) for candidate in CANDIDATES if candidate >= enter)
        if enter > CANDIDATES[0]:
            assert not good(k, CANDIDATES[CANDIDATES.index(enter) - 1])


def test_one_event_that_never_ends_is_not_taken_for_silence() -> None:
    # At 0.1 all of it is one event, at 0.5 it is ten.
    flickering = ([0.9, 0.9, 0.9] + [0.2] * 12) * 10
    judged = judge(calibration(Material([tape(flickering, [0.0] * len(flickering))], {}, {})), allowed=1)
    assert judged[0].status is Status.CALIBRATED
    assert judged[0].thresholds.enter > 0.89
    assert count(tape(flickering, flickering), 0, Thresholds(0.1, 0.06)) == 1


def test_a_prompt_that_is_never_raised_keeps_its_thresholds() -> None:
    judged = judge(calibration(Material([tape([0.9] * 9, [0.01] * 9)], {}, {})), allowed=0)
    assert [one.status for one in judged] == [Status.CALIBRATED, Status.QUIET]
    assert judged[1].thresholds == judged[1].before == Thresholds(0.5, 0.3)
    assert not judged[1].changed


def test_a_prompt_that_is_always_sure_cannot_be_had() -> None:
    sure = ([1.0] * 3 + [0.0] * 9) * 4
    judged = judge(calibration(Material([tape(sure, [0.0] * len(sure))], {}, {})), allowed=3)
    assert judged[0].status is Status.UNREACHABLE
    assert judged[0].thresholds == Thresholds(0.5, 0.3)
    assert judged[0].outcome.false_alarms == 4
    assert "no threshold keeps the wish" in judged[0].remark


def test_a_filed_false_alarm_counts_for_its_own_prompt_alone() -> None:
    normal = tape([0.0] * 9, [0.0] * 9)
    filed = tape([0.8] * 9, [0.9] * 9, name="filed")
    trial = calibration(Material([normal], {"fall": [filed]}, {}))
    fall, wave = judge(trial, allowed=5)
    assert fall.status is Status.CALIBRATED
    assert fall.thresholds.enter == pytest.approx(0.81)
    assert wave.status is Status.QUIET
    assert fall.outcome.raised == ()
    assert trial.outcomes(trial.current)[0].raised == ("filed",)


def test_recall_counts_recordings_in_which_something_is_found() -> None:
    normal = tape([0.6] * 9, [0.0] * 9)
    positive = [tape([level] * 9, [0.0] * 9) for level in (0.4, 0.7, 0.95)]
    trial = calibration(Material([normal], {}, {"fall": positive}))
    fall, wave = judge(trial, allowed=0)
    assert (fall.outcome.found, fall.positives) == (2, 3)
    assert wave.positives == 0
    curve = {point.enter: point for point in trial.curves()[0]}
    assert curve[0.3].recall == 1.0
    assert curve[0.3].false_alarms == 1
    assert curve[0.75].recall == pytest.approx(1 / 3)
    assert curve[0.75].false_alarms == 0
    assert trial.curves()[1][0].recall is None


def test_exit_keeps_its_share_of_enter() -> None:
    assert Thresholds(0.5, 0.3).at(0.8) == Thresholds(0.8, 0.48)
    assert Thresholds(0.0, 0.0).at(0.8) == Thresholds(0.8, 0.8)


def test_a_rate_is_known_as_well_as_poisson_says() -> None:
    # 0 and 5 events: 2.996 and 10.513, as in tables of Garwood's limits (one-sided, 95 %).
    assert upper_rate(0, 1.0) == pytest.approx(2.9957, abs=1e-4)
    assert upper_rate(5, 1.0) == pytest.approx(10.5130, abs=1e-4)
    assert upper_rate(5, 10.0) == pytest.approx(1.05130, abs=1e-5)
    assert upper_rate(0, 0.0) == float("inf")
    assert hours_needed(0.5) == pytest.approx(5.99, abs=0.01)
