from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.sequence import HOLD, Gap, Sequencer


def test_in_order_once():
    numbers: Sequencer[str] = Sequencer("e")
    assert numbers.push("alarm", 5, "5") == ["5"]
    assert numbers.push("alarm", 6, "6") == ["6"]
    assert numbers.push("alarm", 6, "6") == []
    assert numbers.push("alarm", 4, "4") == []
    assert numbers.holes() == []


def test_a_hole_holds_back_what_follows():
    numbers: Sequencer[str] = Sequencer("e")
    numbers.push("alarm", 1, "1")
    assert numbers.push("alarm", 4, "4") == []
    assert numbers.push("action", 1, "a") == ["a"], "other kinds go on"
    assert numbers.holes() == [("alarm", 1)]
    assert numbers.push("alarm", 2, "2") == ["2"]
    assert numbers.push("alarm", 3, None) == ["4"], "a filtered message closes the hole"
    assert numbers.holes() == []


def test_heartbeat_shows_a_loss_that_nothing_follows():
    numbers: Sequencer[str] = Sequencer("e")
    numbers.hear("alarm", 3)
    assert numbers.holes() == [], "what was before the first word is not missed"
    numbers.hear("alarm", 5)
    assert numbers.holes() == [("alarm", 3)]
    assert numbers.give_up("alarm") == [Gap("e", "alarm", 4, 5)]
    assert numbers.holes() == []


def test_snapshot_then_a_later_message():
    numbers: Sequencer[str] = Sequencer("e")
    numbers.snapshot("alarm", 3)
    assert numbers.push("alarm", 6, "6") == []
    assert numbers.holes() == [("alarm", 3)]


def test_message_under_way_when_the_snapshot_was_taken():
    numbers: Sequencer[str] = Sequencer("e")
    numbers.snapshot("alarm", 3)
    assert numbers.push("alarm", 2, "2") == ["2"]
    assert numbers.push("alarm", 3, "3") == ["3"]


def test_after_a_restart_everything_counts():
    numbers: Sequencer[str] = Sequencer("e", from_start=True)
    numbers.snapshot("alarm", 2)
    assert numbers.holes() == [("alarm", 0)]


def test_giving_up_keeps_what_is_there():
    numbers: Sequencer[str] = Sequencer("e", from_start=True)
    for seq in (2, 5, 6, 9):
        numbers.push("alarm", seq, str(seq))
    assert numbers.skip("alarm", 3) == [Gap("e", "alarm", 1, 1), "2", Gap("e", "alarm", 3, 3)]
    assert numbers.give_up("alarm") == [
        Gap("e", "alarm", 4, 4), "5", "6", Gap("e", "alarm", 7, 8), "9",
    ]  # fmt: skip


def test_what_is_held_is_bounded():
    numbers: Sequencer[int] = Sequencer("e", from_start=True)
    for seq in range(2, HOLD + 100):
        assert numbers.push("alarm", seq, seq) == []
    assert numbers.push("alarm", 1, 1) == list(range(1, HOLD + 2))
    assert numbers.holes() == [("alarm", HOLD + 1)], "the rest is fetched"


@given(st.data(), st.integers(1, 30))
def test_any_loss_is_made_good_or_told(data: st.DataObject, count: int):
    """Published 1..count; any subset arrives (more than once too), heartbeats come between, what is kept is fetched."""
    kept = data.draw(st.integers(1, count + 1), label="oldest number kept")
    numbers: Sequencer[int] = Sequencer("e", from_start=True)
    due: list[int | Gap] = []
    for seq in range(1, count + 1):
        for _ in range(data.draw(st.integers(0, 2))):
            due += numbers.push("alarm", seq, seq)
        if data.draw(st.booleans()):
            numbers.hear("alarm", seq)
        if data.draw(st.booleans()):
            due += fetch(numbers, kept)
    numbers.hear("alarm", count)
    due += fetch(numbers, kept)
    seen: list[int] = []
    for item in due:
        if isinstance(item, Gap):
            assert item.last < kept, "only what is not kept is given up"
            seen += range(item.first, item.last + 1)
        else:
            seen.append(item)
    assert seen == list(range(1, count + 1))


def fetch(numbers: Sequencer[int], kept: int) -> list[int | Gap]:
    due: list[int | Gap] = []
    for kind, after in numbers.holes():
        newest = numbers._streams[kind].newest
        if after + 1 < kept:
            due += numbers.skip(kind, min(kept - 1, newest))
        for seq in range(max(after + 1, kept), newest + 1):
            due += numbers.push(kind, seq, seq)
    return due
