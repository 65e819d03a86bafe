"""The joints around an event: cut by the times of the data, whatever ends first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from poses import person

from stream.event_clips import LEAD_S, LONGEST_S, MAX_BYTES, ClipKeeper
from stream.sources.recording import RecordingSource, RecordingWriter
from stream.types import NANOSECONDS, Clip, EndReason, Event, EventKind, Phase, Severity, SkeletonFrame, Space, Tracked

FPS = 10


def tracked(seconds: float, people: int = 1, source: str = "cam") -> Tracked:
    joints = np.stack([person(float(body)) for body in range(people)]) if people else np.zeros((0, 25, 3), np.float32)
    t = round(seconds * NANOSECONDS)
    return Tracked(source, t, Space.CAMERA3D, np.arange(people), joints, np.ones(joints.shape[:2], np.float32))


def event(phase: Phase, start: float, now: float, end: float | None = None, reason: EndReason | None = None) -> Event:
    times = [None if one is None else round(one * NANOSECONDS) for one in (now, start, end)]
    return Event(
        "e1", phase, EventKind.ACTION, Severity.ALERT, "cam", 0, "fall", "a person falls", *times, 0.9, 0.9, 0.5, reason
    )  # fmt: skip


def frames(clip: Clip, folder: Path) -> list[SkeletonFrame]:
    path = folder / "clip.pwr"
    path.write_bytes(clip.recording)
    return list(RecordingSource(path, "clip").frames())


def run(keeper: ClipKeeper, first: float, last: float) -> list[Clip]:
    """Feed frames of a time, both ends included."""
    numbers = range(round(first * FPS), round(last * FPS) + 1)
    return [clip for number in numbers for clip in keeper.take(tracked(number / FPS))]


def test_a_clip_goes_from_before_the_start_to_after_the_end(tmp_path: Path) -> None:
    keeper = ClipKeeper("0" * 64)
    assert run(keeper, 0, 50) == []
    keeper.take(event(Phase.START, 49.5, 50))
    assert run(keeper, 50.1, 53) == []
    assert keeper.take(event(Phase.END, 49.5, 53, 52.5, EndReason.BELOW_EXIT)) == []
    (clip,) = run(keeper, 53.1, 60)
    found = frames(clip, tmp_path)
    assert found[0].t == round((49.5 - LEAD_S) * NANOSECONDS)
    assert found[-1].t == round(53.5 * NANOSECONDS)
    assert [frame.seq for frame in found] == list(range(len(found)))
    np.testing.assert_array_equal(found[0].joints, tracked(0).joints)
    assert (clip.event.phase, clip.model) == (Phase.END, "0" * 64)


@pytest.mark.parametrize("reason", [EndReason.GAP, EndReason.SOURCE_END, EndReason.SHUTDOWN])
def test_no_frame_is_waited_for_once_none_can_come(reason: EndReason) -> None:
    keeper = ClipKeeper("m")
    run(keeper, 0, 5)
    keeper.take(event(Phase.START, 4, 5))
    assert len(keeper.take(event(Phase.END, 4, 5, 5, reason))) == 1
    assert keeper.end_all() == []


def test_a_source_that_ends_takes_the_clips_with_it_that_wait() -> None:
    keeper = ClipKeeper("m")
    run(keeper, 0, 5)
    keeper.take(event(Phase.START, 4, 5))
    keeper.take(event(Phase.END, 4, 5, 4.9, EndReason.BELOW_EXIT))
    assert keeper.end_source("other") == []
    assert len(keeper.end_source("cam")) == 1


def test_a_long_event_is_cut_and_has_no_end(tmp_path: Path) -> None:
    keeper = ClipKeeper("m")
    run(keeper, 0, 10)
    keeper.take(event(Phase.START, 10, 10))
    (clip,) = run(keeper, 10.1, 100)
    found = frames(clip, tmp_path)
    assert found[-1].t - found[0].t == LONGEST_S * NANOSECONDS
    assert clip.event.t_end is None
    assert keeper.take(event(Phase.END, 10, 100, 99, EndReason.BELOW_EXIT)) == []


def test_clips_that_share_frames_are_the_recordings_that_a_writer_makes(tmp_path: Path) -> None:
    keeper = ClipKeeper("m")
    moments = [tracked(number / FPS, people=number % 3) for number in range(1, 200)]
    clips: list[Clip] = []
    for number, moment in enumerate(moments):
        clips += keeper.take(moment)
        if number in (20, 50, 55):
            start = event(Phase.START, moment.t / NANOSECONDS - 1, moment.t / NANOSECONDS)
            clips += keeper.take(replace(start, id=f"e{number}"))
        if number == 120:
            end = event(Phase.END, 4, moment.t / NANOSECONDS, moment.t / NANOSECONDS, EndReason.BELOW_EXIT)
            clips += keeper.take(replace(end, id="e50"))
    clips += keeper.end_all()
    assert [clip.event.id for clip in clips] == ["e50", "e20", "e55"]
    lasts = {"e50": moments[120].t + NANOSECONDS}
    for clip in clips:
        first, last = clip.event.t_start - round(LEAD_S * NANOSECONDS), lasts.get(clip.event.id, moments[-1].t)
        wanted = [one for one in moments if first <= one.t <= last]
        with RecordingWriter(path := tmp_path / clip.event.id) as writer:
            for seq, one in enumerate(wanted):
                arrays = one.joints, one.confidence, one.track_ids
                writer.write(SkeletonFrame(one.source, seq, one.t, "kinect_v2", *arrays, one.space))
        assert clip.recording == path.read_bytes()


def test_a_crowd_is_cut_off_at_some_bytes(tmp_path: Path) -> None:
    keeper = ClipKeeper("m")
    for number in range(1, 870):
        keeper.take(tracked(number / 30, people=8))
        if number == 100:
            keeper.take(event(Phase.START, 3.3, 3.3))
    (clip,) = keeper.end_all()
    assert MAX_BYTES - 4000 < len(clip.recording) <= MAX_BYTES
    assert len(frames(clip, tmp_path)) > 500


def test_a_clock_that_starts_anew_ends_what_is_open() -> None:
    keeper = ClipKeeper("m")
    run(keeper, 90, 100)
    keeper.take(event(Phase.START, 99, 100))
    assert len(keeper.take(tracked(0))) == 1
    assert keeper.end_all() == []


def test_events_of_sources_that_were_never_seen_have_no_clip() -> None:
    keeper = ClipKeeper("m")
    assert keeper.take(event(Phase.START, 0, 1)) == []
    assert keeper.take(event(Phase.END, 0, 1, 1, EndReason.BELOW_EXIT)) == []
    assert keeper.end_all() == []
