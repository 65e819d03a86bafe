"""`posewire purge` with everything that posewire stores, as posewire writes it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from in_process import Run, in_process
from poses import frame, person

from models.examples import Examples
from models.examples import save as save_examples
from models.normal import NormalModel
from models.normal_file import save_normals
from models.prototypes import OnlinePrototypes
from models.whole_file import part_of
from stream.config_file import load_config
from stream.durable_journal import DurableJournal
from stream.journal import Missing, Page
from stream.journal_store import JournalStore
from stream.position import CursorFile, Position
from stream.publisher import Publisher
from stream.regression_clips import RegressionClip
from stream.regression_clips import save as save_clip
from stream.security.key_ring import KeyRing
from stream.sifting import erase_messages
from stream.sources.recording import RecordingWriter, pack_frame, pack_recording
from stream.stored import CATEGORIES, inventory
from stream.topics import Kind
from stream.types import NANOSECONDS, Event, EventKind, Phase, Severity

DAY = 86_400.0
SECRET = "a person weeps by the window"
"""What a prompt says, and with it every event of it."""
FRAMES = [frame(number * NANOSECONDS // 30, person(), seq=number) for number in range(3)]
CLIP = RegressionClip("01K6Z0", "action", "cam", "weep", SECRET, 1.0, 2.5, 0.9, "0" * 64, SECRET, "")
HOLDER = """
import sys, time
from stream.config import Node
from stream.daemon.state_folder import held_state
with held_state(Node(state=sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(monkeypatch, capsys)


def alarm(number: int, text: str = SECRET) -> Event:
    t = (number + 1) * NANOSECONDS
    kind, severity = EventKind.ACTION, Severity.ALERT
    return Event(
        f"01J{number:023d}", Phase.START, kind, severity, "cam1", 3, "weep", text, t, t, None, 0.9, 0.9, 0.1, None
    )


def publish(path: Path, age_s: float, numbers: range, text: str = SECRET, epoch: str = "e") -> Publisher:
    """Alarms in the journal, as a publisher that ran so long ago left it."""
    now = time.time() - age_s
    publisher = Publisher("n", epoch=epoch, journal=DurableJournal(JournalStore(path)), clock=lambda: now)
    for number in numbers:
        publisher.publish_event(alarm(number, text))
    publisher.journal.commit()
    publisher.journal.close()
    return publisher


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that is stored."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = tmp_path / "test.toml"
    config.write_text(
        '[node]\nstate = "state"\n[prototypes]\npath = "prototypes.safetensors"\n[anomaly]\nnormal = "n.safetensors"\n'
    )
    state, digest = tmp_path / "state", "0" * 64
    (state / "sinks").mkdir(parents=True)
    state.chmod(0o700)
    publish(state / "journal.db", 10 * DAY, range(3))
    (state / "journal.db.corrupt").write_text(SECRET)
    KeyRing(state / "keys").new("nurses", "subscribe")
    (state / "prompts.json").write_text("{}")
    CursorFile(state / "sinks" / "home.cursor").write(Position("e", {"alarm": 1}))
    (state / "sinks" / "home.cursor.corrupt").write_text("{")
    letter = {"t": time.time() - 10 * DAY, "id": "1", "topic": "alarm/cam1/weep/", "why": "404", "message": SECRET}
    (state / "sinks" / "home.dead.ndjson").write_bytes(msgspec.json.encode(letter) + b"\n")
    save_clip(tmp_path / "regressions", CLIP, pack_recording(map(pack_frame, FRAMES), 1 << 20))
    save_examples(tmp_path / "examples", Examples("weep", SECRET, "info", digest, np.eye(2, 8, dtype=np.float32)))
    OnlinePrototypes(2, 8).save(tmp_path / "prototypes.safetensors", digest)
    for path in (tmp_path / "n.safetensors", state / "normal.safetensors"):
        save_normals(path, {"person": NormalModel(4)}, digest)
    (tmp_path / "tapes").mkdir()
    with RecordingWriter(tmp_path / "tapes" / "monday.pwr") as tape:
        tape.write(FRAMES[0])
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


KEPT = {
    "test.toml", "state/lock", "state/prompts.json", "state/sinks/home.cursor", "tapes/monday.pwr",
    "state/sinks/home.cursor.corrupt",
    "state/keys/server.key", "state/keys/server.pub", "state/keys/allowed/nurses.pub", "state/keys/issued/nurses.key",
}  # fmt: skip


def test_all_about_people_goes_and_nothing_else(home: Path, run: Run) -> None:
    config = home / "test.toml"
    listed = run("purge", "--list", "--config", config)
    assert listed.returncode == 0
    for name, category in CATEGORIES.items():
        people = "yes" if category.people else "no"
        assert re.search(
            rf"^ {name} +{people} +{0 if name in ('recordings', 'texts') else '[1-9]'}", listed.stdout, re.M
        )
    assert SECRET.encode() in raw(home)
    done = run("purge", "--yes", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(home) == KEPT
    assert SECRET.encode() not in raw(home)
    again = run("purge", "--yes", "--config", config)
    assert (again.returncode, again.stdout) == (0, "nothing to erase\n")


def test_what_is_asked_for_by_name(home: Path, run: Run) -> None:
    before = files(home)
    words = ("--yes", "--config", home / "test.toml")
    assert run("purge", "--what", "keys,prompts,regressions", *words).returncode == 0
    gone = {name for name in before if name.startswith(("state/keys", "state/prompts", "regressions"))}
    assert files(home) == before - gone | {"state/lock"}
    assert run("purge", "--what", "recordings", "--recording", home / "tapes", *words).returncode == 0
    assert "tapes/monday.pwr" not in files(home)


def test_nothing_is_erased_while_a_daemon_runs(home: Path, run: Run) -> None:
    before = files(home)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(home / "state")], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"held\n"
        done = run("purge", "--yes", "--config", home / "test.toml")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert f"in use by another posewire daemon (process {daemon.pid})" in done.stderr
        assert run("purge", "--list", "--config", home / "test.toml").returncode == 0
        daemon.kill()
    assert files(home) == before | {"state/lock"}


def test_strangers_stay_and_links_are_not_followed(home: Path, run: Run) -> None:
    outside = home.parent / f"{home.name}-outside"
    outside.mkdir()
    for name in ("x.pwr", "journal.db", "a.dead.ndjson"):
        (outside / name).write_text("mine")
    strangers = ["state/holiday.jpg", "regressions/party.json", "examples/other.safetensors", "regressions/old.pwr"]
    for name in strangers:
        (home / name).write_text("mine")
    (home / "state" / "journal.db").unlink()
    (home / "state" / "journal.db").symlink_to(outside / "journal.db")
    (home / "regressions" / "x.pwr").symlink_to(outside / "x.pwr")
    (home / "state" / "sinks").rename(home / "sinks-before")
    (home / "state" / "sinks").symlink_to(outside)
    left_by_a_kill = [part_of(home / "regressions" / "weep-1.json"), part_of(home / "examples" / "weep.safetensors")]
    for path in left_by_a_kill:
        path.write_text(SECRET)
    done = run("purge", "--yes", "--config", home / "test.toml")
    assert done.returncode == 2
    for name in strangers:
        assert f"not posewire's, left alone: {home / name}\n" in done.stderr
        assert (home / name).read_text() == "mine"
    assert f"not posewire's, left alone: {home / 'state' / 'sinks'}\n" in done.stderr
    for name in ("state/journal.db", "regressions/x.pwr"):
        assert f"left: {home / name}: is no regular file; not followed\n" in done.stderr
    assert {path.read_text() for path in outside.iterdir()} == {"mine"}
    assert len(list(outside.iterdir())) == 3
    assert not any(path.exists() for path in left_by_a_kill)


@pytest.mark.parametrize("words", [["--yes"], ["--list"]])
def test_the_state_of_nobody_is_told(tmp_path: Path, run: Run, words: list[str]) -> None:
    """As of another user, or of a service: nothing was erased, though there is something elsewhere."""
    (tmp_path / "test.toml").write_text('[node]\nstate = "none"\n')
    done = run("purge", *words, "--config", tmp_path / "test.toml")
    assert done.stderr.startswith(f"{tmp_path / 'none'}: there is no state folder; expected that of the daemon")
    assert not (tmp_path / "none").exists()


def test_nobody_to_ask_is_no_yes(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(home)
    done = run("purge", "--config", home / "test.toml")
    assert done.returncode == 2
    assert "nobody to ask; expected --yes" in done.stderr
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, code in (("n", 2), ("", 2), ("y", 0)):
        assert files(home) >= before
        monkeypatch.setattr("builtins.input", lambda *_, answer=answer: answer)
        assert run("purge", "--config", home / "test.toml").returncode == code
    assert files(home) == KEPT


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--what", "journal,images"], "'images' is none; expected some of journal,"),
        (["--what", ""], "--what: expected some of journal,"),
        (["--what", "recordings"], "expected --recording PATH"),
        (["--recording", "{home}/state/prompts.json"], "is no recording"),
        (["--recording", "{home}/none.pwr"], "cannot be read"),
        (["--older-than", "soon"], "'soon' is no age; expected one such as 90m, 12h or 7d"),
        (["--older-than", "-1d"], "is no age"),
        (["--older-than", "7"], "is no age"),
    ],
)
def test_what_is_asked_for_wrongly_erases_nothing(home: Path, run: Run, words: list[str], message: str) -> None:
    before = files(home)
    done = run("purge", "--yes", "--config", home / "test.toml", *(word.format(home=home) for word in words))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert files(home) <= before | {"state/lock"}
    assert files(home) >= before


def test_only_what_is_old(home: Path, run: Run) -> None:
    state, config = home / "state", home / "test.toml"
    new = "a person dances"
    publish(state / "journal.db", 1 * DAY, range(10, 13), new, epoch="f")
    with (state / "sinks" / "home.dead.ndjson").open("ab") as file:
        file.write(msgspec.json.encode({"t": time.time(), "message": new}) + b'\n{"t": 1, "half')
    for name in ("regressions/weep-01K6Z0.json", "regressions/weep-01K6Z0.pwr"):
        os.utime(home / name, (1.0, 1.0))
    before = files(home)
    done = run("purge", "--older-than", "7d", "--what", "journal,undelivered,regressions", "--yes", "--config", config)
    assert done.returncode == 0, done.stderr
    assert re.search(r"journal\.db, \d+ messages of it", done.stdout)
    gone = {"regressions/weep-01K6Z0.json", "regressions/weep-01K6Z0.pwr", "state/journal.db.corrupt"}
    assert files(home) == before - gone | {"state/lock"}
    stored = raw(state)
    assert SECRET.encode() not in stored
    assert new.encode() in stored
    assert (state / "sinks" / "home.dead.ndjson").read_bytes().count(b"\n") == 1
    store = JournalStore(state / "journal.db")
    store.open("g")
    assert store.after("alarm", 0, 10, 1 << 20, "e") == Missing(4)  # gone, and told to be
    page = store.after("alarm", 0, 10, 1 << 20, "f")
    assert isinstance(page, Page)
    assert len(page.messages) == 3
    assert len(store.open_events()) == 3
    store.close()
    again = run("purge", "--older-than", "7d", "--yes", "--config", config)
    assert "nothing to erase older than 7d" in again.stdout


def test_what_retention_left_in_the_file_goes_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    publish(path, 40 * DAY, range(200))
    store = JournalStore(path, keep_days=30.0)
    store.open("later")
    store._started -= 40 * DAY  # it runs for longer than it keeps
    store.prune()
    store.close()
    assert SECRET.encode() in raw(tmp_path)  # the bytes of what was deleted
    erase_messages(path, time.time() - 30 * DAY)
    assert SECRET.encode() not in raw(tmp_path)


def test_nothing_of_the_journal_is_written_elsewhere(tmp_path: Path) -> None:
    """Not even for the moment that `VACUUM` takes: whoever makes a file in a folder changes its time."""
    path, elsewhere = tmp_path / "journal.db", tmp_path / "elsewhere"
    publish(path, 10 * DAY, range(3_000))
    publish(path, 0.0, range(3_000, 6_000), epoch="f")
    elsewhere.mkdir()
    os.utime(elsewhere, (1.0, 1.0))
    script = "import sys, time; from pathlib import Path; from stream.sifting import erase_messages\n"
    script += "erase_messages(Path(sys.argv[1]), time.time() - 86_400)"
    subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=True, env={**os.environ, "SQLITE_TMPDIR": str(elsewhere), "TMPDIR": str(elsewhere)},
    )  # fmt: skip
    assert elsewhere.stat().st_mtime == 1.0


def test_a_damaged_journal_is_not_sifted(home: Path, run: Run) -> None:
    journal = home / "state" / "journal.db"
    journal.write_bytes(b"SQLite format 3\0" + bytes(5000))
    done = run("purge", "--older-than", "1d", "--yes", "--config", home / "test.toml")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected a whole journal, or no --older-than" in done.stderr
    assert journal.exists()
    assert run("purge", "--yes", "--config", home / "test.toml").returncode == 0
    assert not journal.exists()


def test_an_end_half_way_breaks_no_start(home: Path) -> None:
    """After any number of its files a start finds a journal that is whole, or none."""
    state, config = home / "state", load_config(home / "test.toml")
    publisher = Publisher("n", epoch="x", journal=DurableJournal(JournalStore(state / "journal.db")))
    publisher.publish_event(alarm(77))
    publisher.journal.commit()  # and is killed: its WAL stays
    copies = {stored.path: stored.path.read_bytes() for stored in inventory(config).files}
    journal = [path for path in copies if path.name.startswith("journal.db")]
    publisher.journal.close()
    assert state / "journal.db-wal" in journal
    for count in range(len(journal) + 1):
        for path, data in copies.items():
            path.write_bytes(data)
        for path in journal[:count]:
            path.unlink()
        later = Publisher("n", journal=DurableJournal(JournalStore(state / "journal.db")))
        later.publish_event(alarm(78))
        later.journal.commit()
        assert (later.journal.durable, later.journal.broken) == (True, "")
        assert later.journal.after(Kind.ALARM, 0, 10, 1 << 20)
        later.journal.close()


def test_a_kill_while_the_journal_is_sifted_leaves_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    publish(path, 10 * DAY, range(3_000))
    publish(path, 0.0, range(3_000, 3_020), "a person dances", epoch="f")
    before = path.read_bytes()
    script = (
        "import sys, time; from pathlib import Path; from stream.sifting import erase_messages\n"
        "print('go', flush=True); erase_messages(Path(sys.argv[1]), time.time() - 86_400); print('done', flush=True)"
    )
    killed = 0
    for turn in range(8):
        for name in ("journal.db-wal", "journal.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        path.write_bytes(before)
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"go\n"
            time.sleep(0.004 * turn)
            process.send_signal(signal.SIGKILL)
            killed += process.stdout.read() != b"done\n"
        store = JournalStore(path)
        store.open("g")
        page = store.after("alarm", 0, 50, 1 << 20, "f")
        assert isinstance(page, Page)
        assert len(page.messages) == 20
        store.close()
        erase_messages(path, time.time() - DAY)
        assert SECRET.encode() not in raw(tmp_path)
    assert killed >= 2
