"""The durable journal: real SQLite, real files, real faults of them."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from wire_samples import make_end, make_event

from stream.durable_journal import BACKLOG, DurableJournal
from stream.journal import JournalError, Missing, Page
from stream.journal_store import DAY_S, JournalStore
from stream.messages import Message, decode_body
from stream.publisher import Publisher
from stream.topics import Kind
from stream.types import Severity
from stream.wire_events import event_of

MUCH = 1 << 30
ALL = (1 << 20, MUCH)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def started(path: Path, *, run: str = "", clock: Clock | None = None, **keep: float) -> Publisher:
    """A publisher with the journal at this path, as at its start."""
    wall = clock or Clock()
    store = JournalStore(path, **keep, clock=wall)  # type: ignore[arg-type]
    return Publisher("n", journal=DurableJournal(store, run, wall), clock=wall)


def publish(publisher: Publisher, *numbers: int, **changes: object) -> list[bytes]:
    """Publish and commit alarms."""
    bodies = [publisher.publish_event(make_event(number, **changes)).body for number in numbers]
    publisher.journal.commit()
    return bodies


def healed(publisher: Publisher, clock: Clock, path: Path) -> Publisher:
    """Let a minute pass, in which all is written that could not be; the start after that."""
    clock.now += 60
    publisher.journal.commit()
    assert publisher.journal.durable
    publisher.journal.close()
    return started(path)


def lose(publisher: Publisher) -> None:
    """Have its journal's file let go of, as kill -9 does."""
    journal: Any = publisher.journal
    assert journal._thread.submit(journal._store._db.close).wait(10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_later_starts_have_what_earlier_ones_published(path: Path) -> None:
    first = started(path)
    assert first.journal.durable
    told = publish(first, *range(5))
    first.journal.close()
    second = started(path)
    other = publish(second, 7, 8, severity=Severity.INFO)
    second.journal.close()
    third = started(path)
    journal = third.journal
    assert journal.after(Kind.ALARM, 0, *ALL, first.epoch) == Page(told, False)
    assert journal.after(Kind.ALARM, 3, *ALL, first.epoch) == Page(told[3:], False)
    assert journal.after(Kind.ALARM, 0, 2, MUCH, first.epoch) == Page(told[:2], True)
    assert journal.after(Kind.ALARM, 0, 100, 1, first.epoch) == Page(told[:1], True)
    assert journal.after(Kind.ACTION, 0, *ALL, second.epoch) == Page(other, False)
    assert journal.after(Kind.ALARM, 0, *ALL, second.epoch) == Page([], False)
    assert journal.after(Kind.ALARM, 0, *ALL) == Page([], False)
    assert (journal.newest(first.epoch, Kind.ALARM), journal.newest(first.epoch, Kind.ACTION)) == (5, 0)
    assert journal.next_epoch(first.epoch) == second.epoch
    assert journal.next_epoch(second.epoch) == third.epoch
    assert journal.next_epoch(third.epoch) == ""
    assert journal.after(Kind.ALARM, 0, *ALL, "another") == Missing(0)
    assert journal.next_epoch("another") == first.epoch
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_may_be_sent_before_it_is_committed(path: Path) -> None:
    publisher = started(path)
    assert not publisher.journal.uncommitted
    publisher.publish_event(make_event(1))
    assert publisher.journal.uncommitted
    publisher.journal.commit()
    assert not publisher.journal.uncommitted
    publisher.heartbeat()
    assert not publisher.journal.uncommitted, "heartbeats are not kept"


def test_open_events_outlive_the_publisher(path: Path) -> None:
    first = started(path, run="r")
    publish(first, 1, 2, 3)
    update = publish(first, 1, score=0.5)[0]
    first.publish_event(make_end(2))
    first.journal.commit()
    first.journal.close()
    for run, others in (("r", True), ("r", False), ("s", True)):
        publisher = started(path, run=run)
        left, by_others = publisher.journal.take_left()
        assert [event_of(envelope).id for envelope in left] == [make_event(3).id, make_event(1).id]
        assert by_others == others, "the first start had not said that the journal is its own yet"
        assert publisher.journal.open_events()[-1] == update
        assert publisher.journal.take_left()[0] == []
        publisher.journal.adopt()
        publisher.journal.close()


def test_what_others_left_is_adopted_with_the_commit_of_its_end_whatever_comes_beside(path: Path) -> None:
    first = started(path, run="former")
    publish(first, 1)
    first.journal.close()
    second = started(path, run="r")
    assert second.journal.take_left()[1]
    second.publish_event(make_end(1))
    for number in range(2, 5):  # there is always something that waits
        second.publish_event(make_event(number))
        second.journal.adopt()
        second.journal.commit()
    lose(second)
    third = started(path, run="r")
    left, others = third.journal.take_left()
    assert [event_of(envelope).id for envelope in left] == [make_event(number).id for number in range(2, 5)]
    assert not others
    third.journal.close()


@pytest.mark.parametrize("end", [False, True])
def test_a_run_is_not_adopted_before_the_ends_are_kept(path: Path, end: bool) -> None:
    first = started(path, run="former")
    publish(first, 1)
    first.journal.close()
    second = started(path, run="r")
    second.journal.adopt()
    publish(second, 2)  # before anybody asked what was left
    second.journal.take_left()
    second.publish_event(make_end(1))
    second.journal.adopt()
    if end:
        second.journal.commit()
    lose(second)
    third = started(path, run="r")
    left, others = third.journal.take_left()
    assert (len(left), others) == ((1, False) if end else (2, True))
    third.journal.close()


BAD_BODIES = {
    "phase": """replace(CAST(body AS TEXT), '"start"', '"paused"')""",
    "half": "substr(body, 1, 100)",
    "number": "12",
    "huge number": "1000000000000",
    "no text": "x'fffe'",
    "another message": """replace(CAST(body AS TEXT), '"event"', '"riddle"')""",
}


@pytest.mark.parametrize("bad", BAD_BODIES)
def test_an_open_event_that_cannot_be_read_is_forgotten(path: Path, bad: str, caplog: pytest.LogCaptureFixture) -> None:
    first = started(path, run="r")
    kept = publish(first, 1, 2, 3)
    first.journal.adopt()
    first.journal.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE open_events SET body = {BAD_BODIES[bad]} WHERE id = ?", (make_event(2).id,))
    for first_time in (True, False):
        caplog.clear()
        publisher = started(path, run="r")
        assert publisher.journal.durable
        assert publisher.journal.open_events() == [kept[0], kept[2]]
        assert [event_of(envelope).id for envelope in publisher.journal.take_left()[0]] == [
            make_event(1).id,
            make_event(3).id,
        ]
        told = caplog.text
        publisher.journal.close()
        assert ("cannot be read and is forgotten" in told) == first_time, "it is gone from the file too"


def test_a_body_that_became_text_is_read_all_the_same(path: Path) -> None:
    first = started(path)
    kept = publish(first, 1)
    first.journal.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE open_events SET body = CAST(body AS TEXT)")
    second = started(path)
    assert second.journal.open_events() == kept
    second.journal.close()


def test_a_clock_that_is_set_back_changes_no_order(path: Path) -> None:
    """An event that became worse and ended, as a lost file is written anew: its end stays the last."""
    clock = Clock()
    publisher = started(path, clock=clock)
    publish(publisher, 1, severity=Severity.INFO)
    wall = clock.now
    clock.now -= 3600
    publisher.publish_event(make_end(1))
    publisher.journal.commit()
    path.unlink()
    clock.now = wall
    publish(publisher, 2)
    later = healed(publisher, clock, path)
    assert [event_of(envelope).id for envelope in later.journal.take_left()[0]] == [make_event(2).id]
    later.journal.close()


def test_an_event_on_the_wire_is_the_event_again() -> None:
    for event in (make_event(3), make_end(5)):
        again = event_of(Publisher("n").publish_event(event).envelope)
        assert Publisher("n", epoch="e", clock=Clock()).publish_event(again).body == (
            Publisher("n", epoch="e", clock=Clock()).publish_event(event).body
        )


def test_retention_by_count(path: Path) -> None:
    first = started(path, keep_events=100)
    bodies = [body for number in range(0, 500, 10) for body in publish(first, *range(number, number + 10))]
    first.journal.close()
    second = started(path, keep_events=100)
    gone = second.journal.after(Kind.ALARM, 0, *ALL, first.epoch)
    assert isinstance(gone, Missing)
    assert 300 <= gone.first <= 401
    assert second.journal.after(Kind.ALARM, gone.first - 1, *ALL, first.epoch) == Page(bodies[gone.first - 1 :], False)


def test_retention_by_age_and_a_whole_epoch_gone(path: Path) -> None:
    clock = Clock()
    first = started(path, clock=clock, keep_days=2.0)
    publish(first, *range(10))
    clock.now += 1.5 * DAY_S
    publish(first, *range(10, 15))
    first.journal.close()
    clock.now += 1.0 * DAY_S
    store = JournalStore(path, keep_days=2.0, clock=clock)
    second = Publisher("n", journal=DurableJournal(store, clock=clock))
    second.journal.commit()
    assert second.journal.after(Kind.ALARM, 4, *ALL, first.epoch) == Missing(11)
    page = second.journal.after(Kind.ALARM, 10, *ALL, first.epoch)
    assert isinstance(page, Page)
    assert len(page.messages) == 5
    publish(second, 20)
    clock.now += 50 * DAY_S
    second.journal.commit()
    assert second.journal.after(Kind.ALARM, 12, *ALL, first.epoch) == Missing(16), "it tells how many there were"
    assert second.journal.after(Kind.ALARM, 15, *ALL, first.epoch) == Page([], False)
    assert second.journal.newest(first.epoch, Kind.ALARM) == 15
    assert second.journal.next_epoch(first.epoch) == second.epoch
    kept = second.journal.after(Kind.ALARM, 0, *ALL)
    second.journal.close()
    store.open("later")
    assert store.after("alarm", 0, *ALL, second.epoch) == kept, (
        "a clock that is set while the daemon runs takes nothing new away"
    )
    store.close()


@pytest.mark.parametrize("damage", ["head", "middle", "text", "empty tables"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path, damage: str) -> None:
    first = started(path)
    publish(first, *range(300))
    first.journal.close()
    whole = path.read_bytes()
    spoilt = {
        "head": b"\xff" * 200 + whole[200:],
        "middle": whole[: 4096 * 3] + os.urandom(4096 * 8) + whole[4096 * 11 :],
        "text": b"not a database at all\n" * 1000,
        "empty tables": whole[:4096],
    }[damage]
    path.write_bytes(spoilt)
    second = started(path)
    assert "set aside as journal.db.corrupt" in second.journal.broken
    assert second.journal.durable
    assert path.with_name("journal.db.corrupt").read_bytes()[:200] == spoilt[:200]
    assert second.journal.after(Kind.ALARM, 3, *ALL, first.epoch) == Missing(0)
    assert second.journal.next_epoch(first.epoch) == second.epoch
    told = publish(second, 1, 2)
    second.journal.close()
    third = started(path)
    assert third.journal.broken == ""
    assert third.journal.after(Kind.ALARM, 0, *ALL, second.epoch) == Page(told, False)


def test_an_empty_file_is_a_new_journal(path: Path) -> None:
    path.touch()
    publisher = started(path)
    assert publisher.journal.durable
    assert publisher.journal.broken == ""


def test_a_journal_damaged_while_in_use_is_written_anew(path: Path) -> None:
    clock = Clock()
    publisher = started(path, clock=clock)
    told = publish(publisher, *range(400))
    publisher.journal.close()  # so that all of it lies in the file, not in the log beside it
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 30))
    told += publish(publisher, 1000)
    assert "damaged" in publisher.journal.broken
    later = healed(publisher, clock, path)
    assert later.journal.after(Kind.ALARM, 0, *ALL, publisher.epoch) == Page(told, False)
    assert len(later.journal.open_events()) == 401


@pytest.mark.parametrize("what", ["folder", "file", "log", "replaced"])
def test_a_journal_deleted_while_in_use_is_begun_anew(tmp_path: Path, what: str) -> None:
    clock, path = Clock(), tmp_path / "state" / "journal.db"
    path.parent.mkdir()
    before = started(path, run="run", clock=clock)
    publish(before, 7)
    before.journal.adopt()
    before.journal.close()
    publisher = started(path, run="run", clock=clock)
    told = publish(publisher, *range(3))
    publisher.journal.note("worker", 5)
    publisher.journal.commit()
    if what == "folder":
        shutil.rmtree(path.parent)
    elif what == "log":
        path.with_name("journal.db-wal").unlink()
    else:
        path.unlink()
    if what == "replaced":
        started(path).journal.close()
    told += publish(publisher, 3)
    assert not publisher.journal.durable
    assert "deleted or replaced" in publisher.journal.trouble
    assert not publisher.journal.uncommitted
    clock.now += 1.5
    told += publish(publisher, 4)
    publisher.journal.take_left()
    publisher.journal.adopt()
    assert publisher.journal.durable
    assert publisher.journal.committed == ("worker", 5)
    if what == "folder":
        assert path.parent.stat().st_mode & 0o777 == 0o700
    publisher.journal.close()
    later = started(path, run="run")
    assert later.journal.after(Kind.ALARM, 0, *ALL, publisher.epoch) == Page(told, False)
    left, others = later.journal.take_left()
    unended = [decode_body(body) for body in publisher.journal.open_events()]
    assert sorted(left, key=lambda one: one.data.id) == sorted(unended, key=lambda one: one.data.id)  # type: ignore[union-attr]
    assert len(left) == 6, "also the one that an earlier epoch told of"
    assert not others, "it knows that these are events of its own run"


def test_a_deleted_journal_is_noticed_though_nothing_happens(path: Path) -> None:
    clock = Clock()
    publisher = started(path, clock=clock)
    publish(publisher, 1)
    path.unlink()
    clock.now += 61
    publisher.journal.commit()
    assert "deleted or replaced" in publisher.journal.trouble


def test_a_journal_that_cannot_be_opened_is_no_reason_to_be_silent(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    clock = Clock()
    publisher = started(folder / "journal.db", clock=clock)
    assert not publisher.journal.durable
    assert "No such file" in publisher.journal.trouble
    told = publish(publisher, *range(5))
    assert not publisher.journal.uncommitted
    assert publisher.journal.after(Kind.ALARM, 2, *ALL) == Page(told[2:], False)
    with pytest.raises(JournalError, match="cannot be read now"):
        publisher.journal.after(Kind.ALARM, 2, *ALL, "another")
    folder.mkdir()
    publisher.journal.commit()
    assert not publisher.journal.durable, "not tried again at once"
    clock.now += 1.5
    publisher.journal.commit()
    assert publisher.journal.durable
    publisher.journal.close()
    later = started(folder / "journal.db")
    assert later.journal.after(Kind.ALARM, 0, *ALL, publisher.epoch) == Page(told, False), "nothing was lost"


def test_more_than_memory_holds_is_told_as_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.durable_journal.BACKLOG", 50)
    assert BACKLOG > 50
    clock = Clock()
    publisher = started(tmp_path / "later" / "journal.db", clock=clock)
    told = publish(publisher, *range(80))
    (tmp_path / "later").mkdir()
    clock.now += 60
    publisher.journal.commit()
    publisher.journal.close()
    later = started(tmp_path / "later" / "journal.db")
    assert later.journal.after(Kind.ALARM, 3, *ALL, publisher.epoch) == Missing(31)
    assert later.journal.after(Kind.ALARM, 30, *ALL, publisher.epoch) == Page(told[30:], False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for _ in range(2 << 20 >> 12):
            with suppress(OSError):
                file.write(bytes(4096))


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    clock = Clock()
    publisher = started(small_disk / "journal.db", clock=clock)
    told = publish(publisher, *range(50))
    assert publisher.journal.durable
    fill(small_disk)
    long = "a person " + "x" * 1900
    for number in range(50, 900):
        told += publish(publisher, number, prompt=long)
        clock.now += 0.01
    assert not publisher.journal.durable
    assert "full" in publisher.journal.trouble
    assert publisher.journal.after(Kind.ALARM, 0, *ALL) == Page(told, False)
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    later = healed(publisher, clock, small_disk / "journal.db")
    assert later.journal.after(Kind.ALARM, 0, *ALL, publisher.epoch) == Page(told, False)


def test_a_disk_that_is_full_from_the_start(small_disk: Path) -> None:
    fill(small_disk)
    clock = Clock()
    publisher = started(small_disk / "journal.db", clock=clock)
    assert not publisher.journal.durable
    told = publish(publisher, 1, 2)
    (small_disk / "filler").unlink()
    later = healed(publisher, clock, small_disk / "journal.db")
    assert later.journal.after(Kind.ALARM, 0, *ALL, publisher.epoch) == Page(told, False)


def test_a_disk_that_is_read_only_for_a_while(small_disk: Path) -> None:
    first = started(small_disk / "journal.db", run="r")
    told = publish(first, 1, 2)
    first.journal.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    clock = Clock()
    second = started(small_disk / "journal.db", run="r", clock=clock)
    assert not second.journal.durable
    more = publish(second, 3)
    assert second.journal.take_left() == ([], False), "it cannot be read either"
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    clock.now += 60
    second.journal.commit()
    assert second.journal.durable
    left, _ = second.journal.take_left()
    assert [event_of(envelope).id for envelope in left] == [make_event(1).id, make_event(2).id]
    assert second.journal.after(Kind.ALARM, 0, *ALL, first.epoch) == Page(told, False)
    second.journal.close()
    third = started(small_disk / "journal.db")
    assert third.journal.after(Kind.ALARM, 0, *ALL, second.epoch) == Page(more, False)


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_wire_store import Clock, publish, started

clock = Clock()
publisher = started(Path(sys.argv[1]), clock=clock)
publish(publisher, *range(10))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))  # as a write that fails: EFBIG, I/O error
for number in range(10, 400):
    publish(publisher, number)
assert not publisher.journal.durable
print(publisher.journal.trouble)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
clock.now += 60
publish(publisher, 400)
assert publisher.journal.durable
publisher.journal.close()
print(publisher.epoch)
"""


def test_a_disk_with_errors_loses_nothing(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    trouble, epoch = done.stdout.split("\n")[:2]
    assert "I/O error" in trouble or "full" in trouble
    page = started(path).journal.after(Kind.ALARM, 0, *ALL, epoch)
    assert isinstance(page, Page)
    assert len(page.messages) == 401
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


class Starts(RuleBasedStateMachine):
    """Any order of publishing, committing, kills and restarts, against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.db"
        self.epochs: list[str] = []
        self.kept: dict[str, dict[str, list[bytes]]] = {}
        self.open: dict[str, bytes] = {}
        self.fresh: list[Message] = []
        self.start()

    def start(self) -> None:
        self.publisher = started(self.path)
        self.epochs.append(self.publisher.epoch)
        self.kept[self.publisher.epoch] = {"alarm": [], "action": []}

    @rule(number=st.integers(0, 5), severity=st.sampled_from([Severity.ALERT, Severity.INFO]), ends=st.booleans())
    def publish(self, number: int, severity: Severity, ends: bool) -> None:
        self.fresh.append(self.publisher.publish_event((make_end if ends else make_event)(number, severity=severity)))

    @rule()
    def commit(self) -> None:
        self.publisher.journal.commit()
        for message in self.fresh:
            self.kept[self.publisher.epoch][message.topic.kind].append(message.body)
            self.open.pop(message.envelope.data.id, None)  # type: ignore[union-attr]
            if message.envelope.data.phase != "end":  # type: ignore[union-attr]
                self.open[message.envelope.data.id] = message.body  # type: ignore[union-attr]
        self.fresh = []

    @rule()
    def kill(self) -> None:
        """As kill -9 does: what SQLite has not committed is gone."""
        journal = self.publisher.journal
        assert journal._thread.submit(journal._store._db.close).wait(10)  # type: ignore[attr-defined]
        self.fresh = []
        self.start()

    @rule(seq=st.integers(0, 6), limit=st.integers(1, 4), data=st.data())
    def ask(self, seq: int, limit: int, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from(self.epochs))
        if epoch == self.publisher.epoch and self.fresh:
            return
        for kind in (Kind.ALARM, Kind.ACTION):
            kept = self.kept[epoch][kind]
            page = self.publisher.journal.after(kind, seq, limit, MUCH, epoch)
            assert page == Page(kept[seq : seq + limit], len(kept) > seq + limit)
            assert self.publisher.journal.newest(epoch, kind) == len(kept)

    @precondition(lambda self: not self.fresh)
    @invariant()
    def open_events(self) -> None:
        assert self.publisher.journal.open_events() == list(self.open.values())
        following = [self.publisher.journal.next_epoch(epoch) for epoch in self.epochs]
        assert following == [*self.epochs[1:], ""]

    def teardown(self) -> None:
        self.publisher.journal.close()
        self.folder.cleanup()


TestStarts = Starts.TestCase
TestStarts.settings = hypothesis_settings(max_examples=30, stateful_step_count=30, deadline=None)
