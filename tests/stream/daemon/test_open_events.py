"""Whatever dies in between: one start, one end, and nothing ended twice."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stream.daemon.open_events import OpenEvents
from stream.types import NANOSECONDS, EndReason, Event, EventKind, Phase, Severity


def event(number: int, phase: Phase = Phase.START, t: int = 5) -> Event:
    return Event(
        id=f"e{number}",
        phase=phase,
        kind=EventKind.ACTION,
        severity=Severity.ALERT,
        source="cam",
        track=1,
        name="fall",
        prompt="a person falls",
        t=t * NANOSECONDS,
        t_start=2 * NANOSECONDS,
        t_end=t * NANOSECONDS if phase is Phase.END else None,
        score=0.9,
        peak=0.9,
        margin=0.1,
        reason=EndReason.BELOW_EXIT if phase is Phase.END else None,
    )


def told(events: list[Event]) -> list[tuple[str, Phase, EndReason | None]]:
    return [(each.id, each.phase, each.reason) for each in events]


def test_what_a_worker_tells_goes_through() -> None:
    events = OpenEvents()
    for phase in (Phase.START, Phase.UPDATE, Phase.END):
        assert events.take(event(1, phase)) == [event(1, phase)]
    assert events.reconcile([]) == []


def test_a_worker_that_lives_on_goes_on_with_its_events() -> None:
    """The publisher was killed: what it had open comes from the journal."""
    events = OpenEvents()
    events.restore(event(1))
    assert events.reconcile([event(1, Phase.UPDATE)]) == []
    assert events.take(event(1, Phase.UPDATE)) == [event(1, Phase.UPDATE)]
    assert events.take(event(1, Phase.END)) == [event(1, Phase.END)]
    assert events.reconcile([]) == []


def test_the_last_words_of_a_worker_that_died_come_too_late() -> None:
    events = OpenEvents()
    events.take(event(1))
    assert told(events.reconcile([])) == [("e1", Phase.END, EndReason.CRASH)], "the next worker's first word"
    assert events.take(event(1, Phase.END)) == []
    assert events.take(event(2)) == [event(2)]


def test_what_was_lost_with_a_publisher_is_made_up_for() -> None:
    events = OpenEvents()
    assert events.take(event(1, Phase.UPDATE)) == [event(1)], "its start was lost"
    assert events.take(event(2, Phase.END)) == [event(2), event(2, Phase.END)], "and of this all but the end"
    assert events.reconcile([event(1, Phase.UPDATE), event(3, Phase.UPDATE)]) == [event(3)], (
        "known before it is told anew"
    )
    assert told(events.reconcile([event(3)])) == [("e1", Phase.END, EndReason.CRASH)], "its end was lost"
    assert events.reconcile([event(3)]) == []


def test_a_worker_that_starts_has_no_events() -> None:
    events = OpenEvents()
    events.restore(event(1))
    events.take(event(2))
    ended = events.reconcile([])
    assert told(ended) == [("e1", Phase.END, EndReason.CRASH), ("e2", Phase.END, EndReason.CRASH)]
    assert [each.t_end for each in ended] == [5 * NANOSECONDS] * 2
    assert events.end_all(EndReason.SHUTDOWN) == []


def test_a_stop_ends_everything_once() -> None:
    events = OpenEvents()
    events.take(event(1))
    assert told(events.end_all(EndReason.SHUTDOWN)) == [("e1", Phase.END, EndReason.SHUTDOWN)]
    assert events.end_all(EndReason.SHUTDOWN) == []


@given(st.data())
def test_any_kill_leaves_one_start_and_one_end(data: st.DataObject) -> None:
    """Publishers die, with some of what the worker tells on its way; the next one has what was published."""
    worker: dict[str, Event] = {}
    wire: list[Event] = []
    events = OpenEvents()
    number = 0
    for _ in range(data.draw(st.integers(1, 40))):
        deed = data.draw(st.sampled_from(["start", "update", "end", "say", "kill", "worker dies"]))
        sent: Event | None = None
        if deed == "start":
            number += 1
            sent = worker[f"e{number}"] = event(number)
        elif deed in ("update", "end") and worker:
            key = data.draw(st.sampled_from(sorted(worker)))
            sent = replace(event(int(key[1:]), Phase(deed)), id=key)
            if deed == "end":
                del worker[key]
            else:
                worker[key] = sent
        elif deed == "say":
            wire += events.reconcile(worker.values())
        elif deed == "worker dies":
            worker.clear()
            wire += events.reconcile([])
        if deed == "kill" or (sent is not None and data.draw(st.integers(0, 5)) == 0):
            events = OpenEvents()
            last = {each.id: each for each in wire}
            for each in last.values():
                if each.phase is not Phase.END:
                    events.restore(each)
        elif sent is not None:
            wire += events.take(sent)
    wire += events.reconcile(worker.values())
    for key in {each.id for each in wire}:
        phases = [each.phase for each in wire if each.id == key]
        assert phases[0] is Phase.START
        assert Phase.START not in phases[1:]
        assert phases.count(Phase.END) == (key not in worker)
        assert key in worker or phases[-1] is Phase.END
    assert set(worker) <= {each.id for each in wire}
