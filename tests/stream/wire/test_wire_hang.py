"""A disk that does not answer: what is published goes on, and is written once it does. The real thing, a frozen file
system under a daemon, is in tests/stream/daemon/test_durable.py."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from wire_samples import make_event

from stream import journal_store
from stream.durable_journal import DurableJournal
from stream.journal import JournalError, Page
from stream.journal_store import JournalStore, Row
from stream.publisher import Publisher
from stream.topics import Kind

ALL = (1 << 20, 1 << 30)
PATIENCE_S = 0.1


class HangingStore(JournalStore):
    """A file on a disk that answers only while `answers` is set, and takes `slow_s` for it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.answers = threading.Event()
        self.answers.set()
        self.slow_s = 0.0

    def write(self, rows: Sequence[Row], taken: tuple[str, int] | None = None, run: str | None = None) -> None:
        assert self.answers.wait(60)
        time.sleep(self.slow_s)
        super().write(rows, taken, run)

    def newest(self, epoch: str, kind: str) -> int:
        assert self.answers.wait(60)
        return super().newest(epoch, kind)


@pytest.fixture
def store(tmp_path: Path) -> HangingStore:
    return HangingStore(tmp_path / "journal.db")


def started(store: JournalStore) -> Publisher:
    return Publisher("n", journal=DurableJournal(store, patience_s=PATIENCE_S))


def publish(publisher: Publisher, *numbers: int) -> list[bytes]:
    bodies = [publisher.publish_event(make_event(number)).body for number in numbers]
    publisher.journal.note("worker", numbers[-1])
    publisher.journal.commit()
    return bodies


def until(publisher: Publisher, wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline, publisher.journal.trouble
        publisher.journal.commit()
        time.sleep(0.01)


def test_it_is_told_and_over_by_itself(store: HangingStore) -> None:
    publisher = started(store)
    told = publish(publisher, 1, 2)
    assert publisher.journal.committed == ("worker", 2)
    store.answers.clear()
    for number in range(3, 300):
        told += publish(publisher, number)
        assert not publisher.journal.uncommitted, "it may be sent"
    assert not publisher.journal.durable
    assert "journal.db: the disk has not answered for 0 s" in publisher.journal.trouble
    assert publisher.journal.committed == ("worker", 2)
    assert publisher.journal.after(Kind.ALARM, 0, *ALL) == Page(told, False), "from memory"
    with pytest.raises(JournalError, match="has not answered"):
        publisher.journal.newest("another", Kind.ALARM)
    store.answers.set()
    until(publisher, lambda: publisher.journal.durable)
    assert publisher.journal.committed == ("worker", 299)
    publisher.journal.close()
    later = started(JournalStore(store.path))
    assert later.journal.after(Kind.ALARM, 0, *ALL, publisher.epoch) == Page(told, False)
    assert later.journal.committed == ("worker", 299)


def test_only_the_first_one_waits(store: HangingStore) -> None:
    publisher = started(store)
    store.answers.clear()
    began = time.monotonic()
    for number in range(500):
        publish(publisher, number)
    assert time.monotonic() - began < 500 * PATIENCE_S / 2
    store.answers.set()
    publisher.journal.close()


def test_a_disk_that_always_answers_late_is_in_trouble_all_the_while(store: HangingStore) -> None:
    publisher = started(store)
    store.slow_s = 2 * PATIENCE_S
    troubles = set()
    for number in range(1, 20):
        publish(publisher, number)
        troubles.add(bool(publisher.journal.trouble))
        time.sleep(PATIENCE_S)
    assert troubles == {True}
    until(publisher, lambda: publisher.journal.committed == ("worker", 19))
    assert not publisher.journal.durable
    store.slow_s = 0.0
    until(publisher, lambda: publisher.journal.durable)
    publisher.journal.close()


def test_a_request_that_hangs_is_refused_and_stops_nothing(store: HangingStore) -> None:
    publisher = started(store)
    store.answers.clear()
    with pytest.raises(JournalError, match="ask again"):
        publisher.journal.newest("another", Kind.ALARM)
    told = publish(publisher, 1)
    assert not publisher.journal.durable
    store.answers.set()
    until(publisher, lambda: publisher.journal.durable)
    assert publisher.journal.newest("another", Kind.ALARM) == 0
    publisher.journal.close()
    assert started(store).journal.after(Kind.ALARM, 0, *ALL, publisher.epoch) == Page(told, False)


def test_a_disk_that_hangs_at_the_start(store: HangingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.durable_journal.START_PATIENCE_S", PATIENCE_S)
    first = started(store)
    told = publish(first, 1, 2)
    first.journal.close()
    opened, gate = JournalStore.open, threading.Event()

    def late(self: JournalStore, epoch: str, look: Callable[[], None] | None = None) -> None:
        assert gate.wait(60)
        opened(self, epoch, look)

    monkeypatch.setattr(JournalStore, "open", late)
    second = started(store)
    assert not second.journal.durable
    assert second.journal.committed == ("", 0), "nobody knows yet"
    more = publish(second, 2, 3)
    gate.set()
    until(second, lambda: second.journal.durable)
    assert second.journal.after(Kind.ALARM, 0, *ALL, first.epoch) == Page(told, False)
    assert second.journal.open_events() == [told[0], *more], "of each its newest message"
    assert second.journal.committed == ("worker", 3)
    second.journal.close()


def test_a_long_search_for_damage_hides_nothing(store: HangingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file can be read, what is needed of it is known before all of it was."""
    monkeypatch.setattr("stream.durable_journal.START_PATIENCE_S", PATIENCE_S)
    first = started(store)
    told = publish(first, 1, 2)
    first.journal.close()
    searched, gate = journal_store.search, threading.Event()

    def late(db: sqlite3.Connection) -> None:
        assert gate.wait(60)
        searched(db)

    monkeypatch.setattr(journal_store, "search", late)
    second = started(JournalStore(store.path))
    assert not second.journal.durable
    assert second.journal.committed == ("worker", 2), "nothing is taken twice"
    assert second.journal.open_events() == told
    assert len(second.journal.take_left()[0]) == 2
    second.journal.adopt()
    told += publish(second, 3)
    gate.set()
    until(second, lambda: second.journal.durable)
    assert second.journal.committed == ("worker", 3)
    assert second.journal.open_events() == told
    assert second.journal.take_left()[0] == []
    second.journal.close()


def test_what_was_taken_is_committed_with_what_came_of_it(store: HangingStore) -> None:
    publisher = started(store)
    publish(publisher, 1, 2)
    publisher.publish_event(make_event(3))
    publisher.journal.note("worker", 3)
    assert publisher.journal.committed == ("worker", 2)
    thread = publisher.journal._thread  # type: ignore[attr-defined]
    assert thread.submit(store._db.close).wait(10)  # type: ignore[union-attr]  # as kill -9 does
    later = started(JournalStore(store.path))
    assert later.journal.committed == ("worker", 2)
    page = later.journal.after(Kind.ALARM, 0, *ALL, publisher.epoch)
    assert isinstance(page, Page)
    assert len(page.messages) == 2
    later.journal.close()


def test_what_a_failed_commit_has_written_may_be_written_again(store: HangingStore) -> None:
    rows = [Row("alarm", number, 1.0, b"{}") for number in (1, 2)]
    store.open("e")
    store.write(rows[:1], ("worker", 1))
    store.write(rows, ("worker", 2))
    assert store.after("alarm", 0, *ALL, "e") == Page([b"{}", b"{}"], False)
    assert store.taken() == ("worker", 2)
    store.close()
