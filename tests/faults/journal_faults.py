"""Faults of what the journal is kept on: full, read-only, failing and hanging disks, a file that is damaged or gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from stream.durable_journal import DurableJournal
from stream.journal import Page
from stream.journal_store import JournalStore, Row
from tests.faults.catalogue import fault
from tests.faults.heard import until
from tests.faults.needs import tmpfs, tracing
from tests.faults.scene import CAMERA, DEMO, Daemon, Scene

FAILED, BROKEN = "journal-failed", "journal-broken"
GOES_ON = "alarms still come, a critical fault and durable=false tell; it recovers by itself, and then loses nothing"


def not_durable(daemon: Daemon, mark: int) -> str:
    """Wait until it says that alarms are not durable, that they come all the same, and return how long that took."""
    told = until(lambda: daemon.heard.starts(FAILED, mark), 60, lambda: f"{FAILED}; the log ends {daemon.log[-800:]}")
    (start,) = daemon.heard.starts(FAILED, mark)
    assert (start.severity, start.kind) == ("critical", "fault")
    until(lambda: daemon.heard.heartbeat is not None and not daemon.heard.heartbeat.durable)
    daemon.flows()
    return f"told after {told:.1f} s ({start.prompt.removeprefix('alarms are not durable: ')})"


def durable_again(daemon: Daemon, mark: int) -> str:
    """Wait until it says that alarms are durable again, without a restart; return how long that took."""
    took = until(lambda: daemon.heard.ends(FAILED, mark), 60, lambda: daemon.log[-800:])
    assert [event.reason for event in daemon.heard.ends(FAILED, mark)] == ["recovered"]
    until(lambda: daemon.heard.heartbeat is not None and daemon.heard.heartbeat.durable)
    return f"recovered {took:.1f} s after the end of it"


def journal_holds(daemon: Daemon) -> None:
    """What was told until now outlives the publisher: all of it is there after a kill."""
    daemon.kill("publisher")
    daemon.flows()
    daemon.heard.check()


def fill(filler: Path) -> None:
    """Leave no room on a disk."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@contextlib.contextmanager
def injected(pid: int, calls: str, what: str) -> Iterator[None]:
    """System calls of a running process that fail, or wait, by strace."""
    command = ["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"inject={calls}:{what}"]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def disk_fails(scene: Scene, calls: str) -> str:
    """What becomes of it that these system calls of the publisher fail for a while."""
    with scene.shared() as daemon:
        mark = daemon.heard.mark
        with injected(daemon.pids("publisher")[0], calls, "error=EIO"):
            told = not_durable(daemon, mark)
        again = durable_again(daemon, mark)
        journal_holds(daemon)
    return f"{told}; {again}"


@fault(
    "files",
    "the disk of the state folder is full",
    how="a tmpfs filled to the last byte",
    required=GOES_ON,
    needs=tmpfs,
    slow=True,
)
def disk_full(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark, filler = daemon.heard.mark, daemon.folder / "state" / "filler"
        try:
            fill(filler)
            told = not_durable(daemon, mark)
        finally:
            filler.unlink()
        again = durable_again(daemon, mark)
        journal_holds(daemon)
    return f"{told}; {again}"


@fault(
    "files",
    "the disk of the state folder is full at the start",
    how="a tmpfs filled to the last byte, then posewire run",
    required=GOES_ON,
    needs=tmpfs,
    slow=True,
)
def disk_full_at_start(scene: Scene) -> str:
    place = scene.folder / "state"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "none", str(place)], check=True)
    try:
        filler = place / "filler"
        fill(filler)
        with scene.daemon(CAMERA) as daemon:
            heard = daemon.heard
            until(lambda: heard.heartbeat is not None and not heard.heartbeat.durable)
            # Who comes later than it is told of by the snapshot; who comes just then, twice.
            told = [message.envelope.data for shot in heard.snapshots for message in shot.open_events]
            told += heard.starts(FAILED)
            faults = {one.id: (one.severity, one.kind) for one in told if one.name == FAILED}
            assert list(faults.values()) == [("critical", "fault")]
            daemon.flows()
            filler.unlink()
            again = durable_again(daemon, 0)
            daemon.unhurt()
            journal_holds(daemon)
            daemon.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
    return f"alarms and the fault came; {again}"


@fault(
    "files",
    "the state folder becomes read-only",
    how="a read-only bind mount over it, and SIGKILL to the publisher, as a file that is open stays writable",
    required="new alarms within seconds; a critical fault and durable=false tell; a gap is told of what cannot be read "
    "now, and of nothing else; it recovers by itself, and then loses nothing",
    needs=tmpfs,
    slow=True,
)
def read_only(scene: Scene) -> str:
    with scene.daemon() as daemon:
        mark, state, before = daemon.heard.mark, str(daemon.state), daemon.heard.snapshots[-1].epoch
        subprocess.run(["mount", "--bind", state, state], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
            daemon.kill("publisher")
            told = not_durable(daemon, mark)
        finally:
            subprocess.run(["umount", "--lazy", state], check=True)
        again = durable_again(daemon, mark)
        gaps, recovered = daemon.heard.gaps, daemon.heard.mark
        assert {(gap.epoch, gap.last) for gap in gaps} == {(before, None)}, gaps
        daemon.kill("publisher")
        daemon.flows()
        daemon.heard.check(since=recovered)
    return f"{told}; {again}"


@fault(
    "files",
    "the disk fails at each flush",
    how="EIO from fsync and fdatasync of the running publisher, by strace",
    required=GOES_ON,
    needs=tracing,
    slow=True,
)
def flush_fails(scene: Scene) -> str:
    return disk_fails(scene, "fsync,fdatasync")


@fault(
    "files",
    "the disk fails at each write",
    how="EIO from pwrite64 of the running publisher, by strace",
    required=GOES_ON,
    needs=tracing,
    slow=True,
)
def write_fails(scene: Scene) -> str:
    return disk_fails(scene, "pwrite64")


@fault(
    "files",
    "the disk hangs at each flush",
    how="fsync and fdatasync of the running publisher wait for a minute, by strace",
    required=f"{GOES_ON}; the publisher is not taken for hanging",
    needs=tracing,
    slow=True,
)
def flush_hangs(scene: Scene) -> str:
    with scene.shared() as daemon:
        mark, publisher = daemon.heard.mark, daemon.pids("publisher")
        with injected(publisher[0], "fsync,fdatasync", "delay_enter=60s"):
            told = not_durable(daemon, mark)
        again = durable_again(daemon, mark)
        assert daemon.pids("publisher") == publisher
        journal_holds(daemon)
    return f"{told}; {again}"


@fault(
    "files",
    "the journal is overwritten while the daemon runs",
    how="random bytes over the first 256 KiB of its file and its log, then SIGKILL to the publisher",
    required="it is kept aside as .corrupt and a critical fault tells; alarms go on, in a new journal",
    slow=True,
)
def journal_overwritten(scene: Scene) -> str:
    with scene.daemon() as daemon:
        mark, began = daemon.heard.mark, time.monotonic()
        for name in ("journal.db", "journal.db-wal"):
            with (daemon.state / name).open("r+b") as file:
                file.write(os.urandom(256 << 10))
        daemon.flows()
        daemon.kill("publisher")
        until(lambda: daemon.heard.starts(BROKEN, mark), 60, lambda: daemon.log[-800:])
        took = time.monotonic() - began
        (start,) = daemon.heard.starts(BROKEN, mark)
        assert start.severity == "critical"
        assert (daemon.state / "journal.db.corrupt").exists()
        daemon.flows()
        daemon.kill("publisher")
        daemon.flows()
        assert len(daemon.heard.starts(BROKEN, mark)) == 1
        assert "Traceback" not in daemon.log
    return f"told after {took:.1f} s; alarms go on, and outlive the publisher again"


def filled(path: Path) -> DurableJournal:
    """A journal with an epoch of messages in it, closed."""
    store = JournalStore(path)
    store.open("e1")
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO messages VALUES ('alarm', 1, ?, 0, ?)", [(n, os.urandom(400)) for n in range(1, 2000)]
        )
    return DurableJournal(JournalStore(path), "salt")


def set_aside(journal: DurableJournal, path: Path) -> str:
    """Open a damaged journal: it must be kept aside whole, and a new one begun. What it says."""
    before = path.read_bytes()
    with contextlib.closing(journal):
        journal.begin("e2")
        assert journal.broken, journal.trouble
        until(lambda: not journal.commit() and journal.durable, 60)
        said = journal.broken
    aside = path.with_name("journal.db.corrupt")
    assert aside.read_bytes() == before
    return said


@fault(
    "files",
    "the power fails in the midst of a commit",
    how="a copy of the files as they are after 50 commits, and then half of a 51st, or without the end of the 50th",
    required="what was acknowledged is there, all of it; nothing counts as damaged",
)
def torn_commit(scene: Scene) -> str:
    path = scene.folder / "journal.db"
    store = JournalStore(path)
    store.open("e1")
    for number in range(1, 51):
        store.write([Row("alarm", number, time.time(), os.urandom(400))])
    with path.with_name("journal.db-wal").open("rb") as file:
        whole = file.read()
    left = []
    for name, log in (("more", whole + os.urandom(5000)), ("less", whole[:-100])):
        copy = scene.folder / name / "journal.db"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        copy.with_name("journal.db-wal").write_bytes(log)
        after = JournalStore(copy)
        after.open("e2")
        page = after.after("alarm", 0, 1000, 1 << 20, "e1")
        assert isinstance(page, Page)
        left.append(len(page.messages))
        after.close()
    store.close()
    assert left == [50, 49], left
    return "50 of 50 with half a commit behind them; 49 without the end of the last one, which was not acknowledged"


@fault(
    "files",
    "the journal was cut short while the daemon was stopped",
    how="its file truncated to a third",
    required="it is kept aside unchanged as .corrupt, that is told, and a new one is begun at once",
)
def journal_truncated(scene: Scene) -> str:
    path = scene.folder / "journal.db"
    journal = filled(path)
    os.truncate(path, path.stat().st_size // 3)
    return set_aside(journal, path)


@fault(
    "files",
    "the journal is another kind of file",
    how="a recording in its place",
    required="it is kept aside unchanged as .corrupt, that is told, and a new one is begun at once",
)
def journal_another(scene: Scene) -> str:
    path = scene.folder / "journal.db"
    shutil.copy(DEMO / "Seq1_10.csv", path)
    return set_aside(DurableJournal(JournalStore(path), "salt"), path)


@fault(
    "files",
    "the journal is of a later release",
    how="another format number in its file",
    required="it is kept aside unchanged as .corrupt, that is told, and a new one is begun at once",
)
def journal_later(scene: Scene) -> str:
    path = scene.folder / "journal.db"
    journal = filled(path)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 9")
    return set_aside(journal, path)


@fault(
    "files",
    "the state folder is deleted while the daemon runs",
    how="rm -rf",
    required="alarms still come; a critical fault and durable=false tell; it is made anew, with what memory holds",
    slow=True,
)
def state_deleted(scene: Scene) -> str:
    with scene.daemon() as daemon:
        mark, began = daemon.heard.mark, time.monotonic()
        shutil.rmtree(daemon.state)
        until(lambda: daemon.heard.starts(FAILED, mark), 60, lambda: f"no word; the log ends {daemon.log[-500:]}")
        told = time.monotonic() - began
        daemon.flows()
        again = durable_again(daemon, mark)
        journal_holds(daemon)
        assert (daemon.state / "journal.db").exists()
        assert daemon.state.stat().st_mode & 0o777 == 0o700
        assert "Traceback" not in daemon.log
    return f"told after {told:.1f} s; {again}"
