"""The pipeline with a stand-in encoder: what goes in, what comes out, in which order."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from poses import frame, person
from raised_hand import hand_features, hand_prompts

from stream.pipeline import Pipeline
from stream.types import NANOSECONDS, EndReason, Event, Phase, Scores, SkeletonFrame, Tracked

FPS30 = NANOSECONDS // 30


class RaisedHand:
    """Encodes a window by how high the right hand is above the spine base: 1st axis "raised", 2nd "lowered"."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode(self, x: np.ndarray, _mask: np.ndarray) -> np.ndarray:
        self.batches.append(len(x))
        return hand_features((x[:, 1, -10:, 11] - x[:, 1, -10:, 0]).mean(axis=1))


def make(encoder: RaisedHand | None = None) -> Pipeline:
    return Pipeline(encoder or RaisedHand(), hand_prompts())


def raised(x: float = 0.0) -> np.ndarray:
    pose = person(x)
    pose[[9, 10, 11], 1] = [0.5, 0.7, 0.8]
    return pose


def frames(source: str = "cam", start: int = 0) -> list[SkeletonFrame]:
    """Ten seconds of one person, who raises a hand from second 4 to second 7."""
    return [
        frame(start + i * FPS30, raised() if 120 <= i < 210 else person(), seq=i, source=source) for i in range(300)
    ]


def events_of(outputs: list) -> list[Event]:
    return [output for output in outputs if isinstance(output, Event)]


def test_an_action_starts_and_ends_once_and_batches_do_not_change_it() -> None:
    one_by_one = make()
    outputs = [output for f in frames() for output in one_by_one.push([f])]
    events = events_of(outputs)
    assert [event.phase for event in events if event.phase is not Phase.UPDATE] == [Phase.START, Phase.END]
    assert 4.0 < events[0].t_start / NANOSECONDS < 5.5
    assert 6.5 < events[-1].t_end / NANOSECONDS < 8.5
    assert sum(isinstance(output, Tracked) for output in outputs) == 300
    assert sum(isinstance(output, Scores) for output in outputs) == one_by_one.counts["windows"]

    encoder = RaisedHand()
    at_once = make(encoder).push(frames())
    assert max(encoder.batches) > 1
    assert events_of(at_once) == events


def test_sources_do_not_touch_each_other() -> None:
    alone = events_of(make().push(frames("a")))
    both = make()
    mixed = [f for pair in zip(frames("a"), frames("b", start=12345), strict=True) for f in pair]
    outputs = events_of(both.push(mixed))
    assert [event for event in outputs if event.source == "a"] == alone
    assert len([event for event in outputs if event.source == "b"]) == len(alone)


def test_late_and_repeated_frames_are_dropped_and_counted() -> None:
    pipeline = make()
    good = frames()
    doubled = [f for pair in zip(good, [good[0], *good], strict=False) for f in pair]
    assert events_of(pipeline.push(doubled)) == events_of(make().push(good))
    assert pipeline.counts["late_frames"] == 300


def test_a_sensor_whose_clock_starts_anew_ends_its_tracks_and_goes_on() -> None:
    pipeline = make()
    hour = 3600 * NANOSECONDS
    first = events_of(pipeline.push(frames(start=hour)[:200]))
    second = events_of(pipeline.push(frames()))
    assert first[-1].phase is not Phase.END
    assert (second[0].phase, second[0].reason) == (Phase.END, EndReason.GAP)
    assert {event.track for event in second[1:]} == {2}
    assert pipeline.counts["clock_resets"] == 1


def test_a_source_that_ends_ends_its_events_once() -> None:
    pipeline = make()
    pipeline.push(frames()[:200])
    (end,) = pipeline.end_source("cam")
    assert (end.phase, end.reason) == (Phase.END, EndReason.SOURCE_END)
    assert pipeline.end_source("cam") == []
    assert pipeline.finish() == []


def test_someone_who_leaves_ends_their_events() -> None:
    pipeline = make()
    outputs = pipeline.push(frames()[:200])
    t = outputs[-1].t
    outputs = pipeline.push([frame(t + i * FPS30) for i in range(1, 120)])
    (end,) = events_of(outputs)
    assert end.reason is EndReason.TRACK_LOST


def broken(hole: int, x: float = 0.0) -> list[SkeletonFrame]:
    """Ten seconds of a person with a raised hand, out of sight from second 6 for some frames and then at x."""
    kept = frames()[120:180]
    back = [frame(kept[-1].t + i * FPS30, raised(x)) for i in range(1 + hole, 121)]
    empty = [frame(kept[-1].t + i * FPS30) for i in range(1, 1 + hole)]
    return [*frames()[:120], *kept, *empty, *back]


def test_someone_who_is_found_again_near_by_goes_on_with_their_event() -> None:
    pipeline = make()
    events = [*events_of(pipeline.push(broken(hole=60, x=0.6))), *pipeline.finish()]
    assert {event.id for event in events} == {events[0].id}
    assert [event.phase for event in events if event.phase is not Phase.UPDATE] == [Phase.START, Phase.END]
    assert [track for track, _ in groupby(event.track for event in events)] == [1, 2]
    assert events[-1].t_end / NANOSECONDS > 9.5


def test_someone_who_appears_far_off_is_somebody_else() -> None:
    pipeline = make()
    events = [*events_of(pipeline.push(broken(hole=60, x=2.0))), *pipeline.finish()]
    lives = {(event.id, event.track) for event in events}
    assert len(lives) == 2
    assert [event.reason for event in events if event.reason] == [EndReason.TRACK_LOST, EndReason.SHUTDOWN]


def test_a_hole_after_which_the_same_track_goes_on_ends_nothing() -> None:
    pipeline = make()
    events = [*events_of(pipeline.push(broken(hole=40))), *pipeline.finish()]
    assert pipeline.counts["gaps"] == 1
    assert {(event.id, event.track) for event in events} == {(events[0].id, 1)}
    assert events[-1].reason is EndReason.SHUTDOWN


def test_a_clock_that_starts_anew_ends_the_events_of_those_who_are_awaited_too() -> None:
    pipeline = make()
    hour = 3600 * NANOSECONDS
    pipeline.push([replace(f, t=f.t + hour) for f in broken(hole=60)[:230]])
    (end,) = events_of(pipeline.push(frames()[:1]))
    assert end.reason is EndReason.TRACK_LOST


def test_starts_that_were_withheld_are_counted_by_reason() -> None:
    pipeline = make()
    pipeline.engine.permit = Never()
    assert events_of(pipeline.push(frames())) == []
    assert pipeline.counts["suppressed_outside_zone"] == 1


class Never:
    """A permit of nothing."""

    def check(self, *_rule_where_and_when: object) -> str | None:
        return "outside_zone"


def test_windows_that_saw_too_little_are_not_scored() -> None:
    pipeline = make()
    hidden = [frame(f.t, *f.joints) for f in frames()]
    for f in hidden:
        f.confidence[:, 5:] = 0.0
    outputs = pipeline.push(hidden)
    assert not [output for output in outputs if isinstance(output, Scores)]
    assert pipeline.counts["low_coverage"] > 20


def test_the_first_windows_of_a_track_are_no_fault_of_the_sensors() -> None:
    pipeline = make()
    pipeline.push(frames())
    assert pipeline.counts["filling"] == 2
    assert "low_coverage" not in pipeline.counts


def test_bodies_of_which_nothing_is_seen_are_nobody() -> None:
    pipeline = make()
    for i in range(30):
        two = frame(i * FPS30, person(), person(1.0), ids=(7, 8))
        two.confidence[0] = 0.0
        (tracked, *_) = pipeline.push([two])
        assert isinstance(tracked, Tracked)
        assert tracked.track_ids.tolist() == [1]
        assert tracked.joints.shape == (1, 25, 3)
        np.testing.assert_array_equal(tracked.joints[0], person(1.0))


def test_a_salt_changes_the_ids_of_events_and_nothing_else() -> None:
    plain, salted = make(), Pipeline(RaisedHand(), make().prompts, salt="epoch")
    one, other = events_of(plain.push(frames())), events_of(salted.push(frames()))
    assert {event.id for event in one}.isdisjoint(event.id for event in other)
    assert [replace(event, id="") for event in one] == [replace(event, id="") for event in other]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_joints_that_are_not_finite_harm_nobody(bad: float) -> None:
    pipeline = make()
    broken = frames()
    for f in broken[::7]:
        f.joints[:, 3] = bad
    outputs = pipeline.push(broken)
    for output in outputs:
        if isinstance(output, Tracked):
            assert np.isfinite(output.joints).all()
        elif isinstance(output, Scores):
            assert np.isfinite(output.probability).all()
    assert next(event.phase for event in events_of(outputs)) is Phase.START


def test_a_frame_without_people_and_an_unknown_layout() -> None:
    pipeline = make()
    (tracked,) = pipeline.push([frame(0)])
    assert isinstance(tracked, Tracked)
    assert tracked.joints.shape == (0, 25, 3)


def test_a_source_that_comes_back_gets_new_track_ids() -> None:
    pipeline = make()
    pipeline.push(frames()[:50])
    pipeline.end_source("cam")
    (tracked,) = pipeline.push(frames()[:1])
    assert isinstance(tracked, Tracked)
    assert tracked.track_ids.tolist() == [2]
