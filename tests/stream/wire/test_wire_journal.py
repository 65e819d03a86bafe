from __future__ import annotations

import pytest
from wire_samples import make_end, make_event

from stream.journal import OPEN_LIMIT, Journal, Missing, Page
from stream.publisher import Publisher
from stream.topics import Kind

MUCH = 1 << 30


def published(count: int, retention: int = 1000) -> tuple[Journal, list[bytes]]:
    publisher = Publisher("n", journal=Journal(retention))
    return publisher.journal, [publisher.publish_event(make_event(n)).body for n in range(count)]


def test_everything_after_a_number():
    journal, bodies = published(10)
    assert journal.after(Kind.ALARM, 0, 100, MUCH) == Page(bodies, False)
    assert journal.after(Kind.ALARM, 7, 100, MUCH) == Page(bodies[7:], False)
    assert journal.after(Kind.ALARM, 10, 100, MUCH) == Page([], False)
    assert journal.after(Kind.ALARM, 99, 100, MUCH) == Page([], False)
    assert journal.after(Kind.ACTION, 0, 100, MUCH) == Page([], False)


@pytest.mark.parametrize(("limit", "max_bytes"), [(3, MUCH), (1, MUCH), (100, 1), (100, 1500)])
def test_pages_join_without_seam(limit: int, max_bytes: int):
    journal, bodies = published(10)
    seen: list[bytes] = []
    while True:
        page = journal.after(Kind.ALARM, len(seen), limit, max_bytes)
        assert isinstance(page, Page)
        seen += page.messages
        if not page.more:
            break
        assert len(page.messages) <= limit
    assert seen == bodies


def test_past_retention():
    journal, bodies = published(10, retention=4)
    assert journal.after(Kind.ALARM, 5, 100, MUCH) == Missing(7)
    assert journal.after(Kind.ALARM, 6, 100, MUCH) == Page(bodies[6:], False)


def test_open_events_hold_the_last_message_until_the_end():
    publisher = Publisher("n")
    publisher.publish_event(make_event(1))
    publisher.publish_event(make_event(2))
    update = publisher.publish_event(make_event(1, score=0.5))
    assert len(publisher.journal.open_events()) == 2
    publisher.publish_event(make_end(2))
    assert publisher.journal.open_events() == [update.body]


def test_open_events_are_bounded_and_counted():
    journal, bodies = published(OPEN_LIMIT + 5)
    assert journal.open_events() == bodies[5:]
    assert journal.open_dropped == 5


def test_only_journaled_kinds_are_kept():
    publisher = Publisher("n")
    publisher.journal.append(publisher.heartbeat())
    with pytest.raises(KeyError):
        publisher.journal.after(Kind.HEARTBEAT, 0, 1, MUCH)
