"""Faults: a camera that stays away is one alarm, from the time it is away too long until it is back."""

from __future__ import annotations

import pytest

from stream.faults import CAMERA_LOST, FaultWatch, JournalFault
from stream.publisher import Publisher
from stream.types import NANOSECONDS, NO_TRACK, EndReason, EventKind, Phase, Severity

T0 = 1_700_000_000 * NANOSECONDS


def at(seconds: float) -> int:
    return T0 + round(seconds * NANOSECONDS)


@pytest.fixture
def watch() -> FaultWatch:
    return FaultWatch(["cam", "other"], 30.0)


@pytest.mark.parametrize("state", ["lost", "error", "faulted"])
def test_a_camera_that_stays_away_is_one_fault_until_it_is_back(watch: FaultWatch, state: str) -> None:
    assert watch.status("cam", "running", "", at(0)) == []
    assert watch.status("cam", state, "no image for 5.0 s", at(10)) == []
    assert watch.tick(at(39.9)) == []
    (start,) = watch.tick(at(40))
    assert (start.phase, start.kind, start.severity) == (Phase.START, EventKind.FAULT, Severity.ALERT)
    assert (start.source, start.track, start.name) == ("cam", NO_TRACK, CAMERA_LOST)
    assert start.prompt == "the camera is lost: no image for 5.0 s"
    assert (start.t, start.t_start) == (at(40), at(10))
    assert watch.tick(at(100)) == watch.status("cam", "lost", "other words", at(101)) == []
    (end,) = watch.status("cam", "running", "", at(110))
    assert (end.id, end.phase, end.reason, end.t_end) == (start.id, Phase.END, EndReason.RECOVERED, at(110))
    assert watch.status("cam", "running", "", at(111)) == []


def test_a_camera_that_is_back_in_time_is_no_fault(watch: FaultWatch) -> None:
    for second in range(0, 200, 20):
        assert watch.status("cam", "lost", "", at(second)) == []
        assert watch.status("cam", "running", "", at(second + 10)) == []
    assert watch.tick(at(1000)) == []


def test_the_time_counts_from_the_first_bad_word(watch: FaultWatch) -> None:
    watch.status("cam", "lost", "a", at(0))
    watch.status("cam", "faulted", "b", at(20))
    (start,) = watch.status("cam", "faulted", "c", at(31))
    assert (start.t_start, start.prompt) == (at(0), "the camera is lost: c")


def test_two_faults_of_a_camera_are_two_events(watch: FaultWatch) -> None:
    ids = set()
    for begin in (0, 100):
        watch.status("cam", "lost", "", at(begin))
        (start,) = watch.tick(at(begin + 50))
        ids.add(start.id)
        watch.status("cam", "running", "", at(begin + 60))
    assert len(ids) == 2


def test_cameras_do_not_wait_for_each_other(watch: FaultWatch) -> None:
    watch.status("cam", "lost", "", at(0))
    watch.status("other", "lost", "", at(20))
    assert [event.source for event in watch.tick(at(30))] == ["cam"]
    assert [event.source for event in watch.tick(at(50))] == ["other"]
    (end,) = watch.status("cam", "running", "", at(60))
    assert end.source == "cam"


def test_without_patience_it_is_a_fault_at_once() -> None:
    (start,) = FaultWatch(["cam"], 0.0).status("cam", "lost", "", at(0))
    assert start.t == start.t_start == at(0)


def test_recorded_files_are_no_cameras(watch: FaultWatch) -> None:
    assert watch.status("file", "error", "", at(0)) == []
    assert watch.tick(at(1000)) == []


def test_a_stop_is_no_fault_and_ends_those_that_are(watch: FaultWatch) -> None:
    watch.status("cam", "lost", "", at(0))
    watch.status("other", "lost", "", at(0))
    first, second = watch.tick(at(30))
    assert watch.status("cam", "ended", "", at(31)) == []
    ends = watch.end_all(at(32), EndReason.SHUTDOWN)
    assert [(end.id, end.reason) for end in ends] == [
        (first.id, EndReason.SHUTDOWN),
        (second.id, EndReason.SHUTDOWN),
    ]
    assert watch.end_all(at(33), EndReason.SHUTDOWN) == []


def test_a_camera_stopped_while_it_is_missed_becomes_no_fault(watch: FaultWatch) -> None:
    watch.status("cam", "lost", "", at(0))
    watch.status("cam", "ended", "", at(10))
    assert watch.tick(at(100)) == []


def test_a_fault_is_an_alarm_on_the_wire_and_in_snapshots(watch: FaultWatch) -> None:
    publisher = Publisher("node")
    watch.status("cam", "lost", "x" * 5000, at(0))
    (start,) = watch.tick(at(30))
    message = publisher.publish_event(start)
    assert str(message.topic) == "alarm/cam/camera-lost/"
    assert publisher.journal.open_events() == [message.body]
    (end,) = watch.status("cam", "running", "", at(40))
    publisher.publish_event(end)
    assert publisher.journal.open_events() == []


def test_a_fault_goes_on_with_the_next_publisher_of_a_run(watch: FaultWatch) -> None:
    watch.status("cam", "lost", "", at(0))
    (start,) = watch.tick(at(30))
    after = FaultWatch(["cam", "other"], 30.0, salt="another")
    assert after.restore(start)
    assert after.status("cam", "lost", "", at(40)) == after.tick(at(100)) == []
    (end,) = after.status("cam", "running", "", at(110))
    assert (end.id, end.phase, end.reason, end.t_start) == (start.id, Phase.END, EndReason.RECOVERED, at(0))


def test_only_faults_of_cameras_that_are_watched_go_on(watch: FaultWatch) -> None:
    (start,) = FaultWatch(["gone"], 0.0).status("gone", "lost", "", at(0))
    assert not watch.restore(start)
    (journal,) = JournalFault("node").look("full", at(0))
    assert not watch.restore(journal)
    watch.status("cam", "lost", "", at(0))
    (own,) = watch.tick(at(30))
    assert not watch.restore(own), "it has one already"


def test_a_journal_that_cannot_be_written_is_a_critical_fault_until_it_can() -> None:
    fault = JournalFault("node", salt="s")
    assert fault.look("", at(0)) == []
    (start,) = fault.look("journal.db: database or disk is full", at(1))
    assert (start.phase, start.severity, start.source, start.name) == (
        Phase.START, Severity.CRITICAL, "node", "journal-failed",
    )  # fmt: skip
    assert start.prompt == "alarms are not durable: journal.db: database or disk is full"
    assert fault.look("other words", at(2)) == []
    (end,) = fault.look("", at(3))
    assert (end.id, end.reason, end.t_end) == (start.id, EndReason.RECOVERED, at(3))
    assert fault.end(at(4), EndReason.SHUTDOWN) == []
    fault.look("full again", at(5))
    (end,) = fault.end(at(6), EndReason.SHUTDOWN)
    assert end.reason is EndReason.SHUTDOWN


def test_a_damaged_journal_is_told_of_at_once() -> None:
    start, end = JournalFault("node").broken("it was set aside", at(1))
    assert (start.id, start.severity, start.name) == (end.id, Severity.CRITICAL, "journal-broken")
    assert str(Publisher("node").publish_event(end).topic) == "alarm/node/journal-broken/"
