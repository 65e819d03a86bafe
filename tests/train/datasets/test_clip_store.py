"""The store of clips: what it holds, a kill and the resumption, other sources, damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.frame50 import frame50
from train.datasets import clip_journal
from train.datasets.archive import DataError
from train.datasets.clip_journal import header
from train.datasets.clip_sources import Item, Raw, Source, main_frames
from train.datasets.clip_store import build, digest_of, empty_set, open_store

ROOT = Path(__file__).parents[3]
EMPTY = empty_set("toy", ("a", "b"))
DAMAGED = "two"


def raw_of(seed: int, frames: int = 20) -> Raw:
    rng = np.random.default_rng(seed)
    return Raw(rng.normal(0, 1, (frames, 2, 25, 3)).astype(np.float32), rng.random((frames, 2, 25)) < 0.9)


def read_toy(source: Source) -> list[Raw | str]:
    """Clips that their names' numbers make; the file only says whether it is damaged."""
    if source.path.read_text() == DAMAGED:
        raise DataError(source.path, "damaged")
    return ["empty" if item.name == "3:1" else raw_of(int(item.name.replace(":", ""))) for item in source.items]


def toy_sources(folder: Path, count: int) -> list[Source]:
    folder.mkdir(exist_ok=True)
    sources = []
    for i in range(count):
        path = folder / f"{i}.txt"
        path.write_text(DAMAGED if i == 2 else "one")
        items = tuple(Item(f"{i}:{k}", i % 2, f"P{i}", "C1", "S1", (k, k + 9)) for k in range(2))
        sources.append(Source(path, 3, items))
    return sources


def test_holds_the_clips_of_good_sources_in_order(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    clips = build(
        tmp_path / "store",
        EMPTY,
        toy_sources(tmp_path / "raw", 5),
        read_toy,
        left_out={"x": "listed"},
        report=lambda done, total: seen.append((done, total)),
    )
    assert clips.names.tolist() == ["0:0", "0:1", "1:0", "1:1", "3:0", "4:0", "4:1"]
    assert clips.labels.tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert clips.subjects[2] == "P1"
    assert clips.name == "toy"
    assert clips.classes == ("a", "b")
    assert isinstance(clips.clips, np.memmap)
    assert not clips.clips.flags.writeable
    raw = raw_of(30)
    expected = frame50(raw.x.transpose(3, 0, 2, 1)[None], raw.seen.transpose(0, 2, 1)[None])[0]
    np.testing.assert_array_equal(clips.clips[4], expected)
    assert seen[0] == (0, 10)
    assert seen[-1] == (10, 10)
    left_out = (tmp_path / "store" / "left_out.txt").read_text().splitlines()
    assert [line.split(": ")[0] for line in left_out] == ["x", "2:0", "2:1", "3:1"]
    assert "damaged" in left_out[1]


def test_opens_at_once_until_the_sources_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = tmp_path / "store"
    sources = toy_sources(tmp_path / "raw", 4)
    first = build(store, EMPTY, sources, read_toy)

    def refuse(source: Source) -> list[Raw | str]:
        raise RuntimeError(f"{source.path} read again")

    again = build(store, EMPTY, sources, refuse)
    np.testing.assert_array_equal(again.clips, first.clips)
    opened = open_store(store, digest_of(EMPTY, sources))
    assert opened is not None
    np.testing.assert_array_equal(opened.clips, first.clips)
    assert open_store(store, digest_of(EMPTY, sources[1:])) is None
    more = build(store, EMPTY, toy_sources(tmp_path / "raw", 6), read_toy)
    assert len(more) == 9
    assert "made of other files" in caplog.text
    assert np.isfinite(first.clips).all(), "a map of the old clips stays valid"


def test_workers_give_the_same_clips(tmp_path: Path) -> None:
    sources = toy_sources(tmp_path / "raw", 6)
    alone = build(tmp_path / "a", EMPTY, sources, read_toy)
    together = build(tmp_path / "b", EMPTY, sources, read_toy, workers=2)
    np.testing.assert_array_equal(alone.clips, together.clips)
    assert alone.names.tolist() == together.names.tolist()


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
from test_clip_store import EMPTY, read_toy, toy_sources
from train.datasets import clip_journal
from train.datasets.clip_store import build
clip_journal.FLUSH_EVERY = 3
folder = Path({folder!r})
def report(done, total):
    sys.stdout.write(f"{{done}}\\n")
    sys.stdout.flush()
    sys.stdin.readline()
build(folder / "store", EMPTY, toy_sources(folder / "raw", 20), read_toy, report=report)
"""


@pytest.mark.parametrize("clips", [0, 4, 8, 24, 40])
def test_goes_on_after_a_kill(tmp_path: Path, clips: int) -> None:
    script = CHILD.format(root=str(ROOT), here=str(Path(__file__).parent), folder=str(tmp_path))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdin is not None
    assert child.stdout is not None
    # The child goes on only when told to, so that the kill comes where it should.
    while int(child.stdout.readline()) < clips:
        child.stdin.write("\n")
        child.stdin.flush()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not (tmp_path / "store" / "index.npz").exists()
    sources = toy_sources(tmp_path / "raw", 20)
    assert open_store(tmp_path / "store", digest_of(EMPTY, sources)) is None
    read: list[Source] = []

    def counted(source: Source) -> list[Raw | str]:
        read.append(source)
        return read_toy(source)

    resumed = build(tmp_path / "store", EMPTY, sources, counted)
    # The source that is being told of was not flushed unless it was the third of its lot.
    assert len(read) == 20 - clips // 2 // 3 * 3
    whole = build(tmp_path / "whole", EMPTY, sources, read_toy)
    for name in ("clips.npy", "left_out.txt"):
        assert (tmp_path / "store" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert resumed.names.tolist() == whole.names.tolist()
    assert not (tmp_path / "store" / "journal").exists()


def tell_pid_and_wait(source: Source) -> list[Raw | str]:
    (source.path.parent / f"{os.getpid()}.pid").touch()
    time.sleep(60)
    return read_toy(source)


SLOW_CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
from test_clip_store import EMPTY, tell_pid_and_wait, toy_sources
from train.datasets.clip_store import build
folder = Path({folder!r})
if __name__ == "__main__":
    build(folder / "store", EMPTY, toy_sources(folder / "raw", 4), tell_pid_and_wait, workers=2)
"""


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_end_when_their_process_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "slow_child.py"
    script.write_text(SLOW_CHILD.format(root=str(ROOT), here=str(Path(__file__).parent), folder=str(tmp_path)))
    child = subprocess.Popen([sys.executable, str(script)])
    until = time.monotonic() + 60
    while len(pids := [int(path.stem) for path in (tmp_path / "raw").glob("*.pid")]) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    child.kill()
    child.wait()
    assert len(pids) == 2
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))


def test_resumes_behind_a_torn_line_and_clips_that_were_not_journalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_journal, "FLUSH_EVERY", 1)
    sources = toy_sources(tmp_path / "raw", 6)
    whole = build(tmp_path / "whole", EMPTY, sources, read_toy)
    store = tmp_path / "store"

    def stopped(source: Source) -> list[Raw | str]:
        if source.path.stem == "4":
            raise KeyboardInterrupt
        return read_toy(source)

    with pytest.raises(KeyboardInterrupt):
        build(store, EMPTY, sources, stopped)
    with (store / "journal").open("ab") as journal, (store / "clips.npy").open("ab") as clips:
        journal.write(b"[null, nu")
        clips.write(b"\1" * 5000)
    np.testing.assert_array_equal(build(store, EMPTY, sources, read_toy).clips, whole.clips)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    sources = toy_sources(tmp_path / "raw", 2)

    def nested(source: Source) -> list[Raw | str]:
        build(tmp_path / "store", EMPTY, sources, read_toy)
        raise AssertionError(source)

    # The inner error is a clip's reason, and then every clip's.
    with pytest.raises(DataError, match="another process"):
        build(tmp_path / "store", EMPTY, sources, nested)


def test_builds_anew_over_a_damaged_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources = toy_sources(tmp_path / "raw", 4)
    store = tmp_path / "store"
    first = np.array(build(store, EMPTY, sources, read_toy).clips)
    for name in ("index.npz", "clips.npy"):
        (store / name).write_bytes((store / name).read_bytes()[:300])
        assert open_store(store, digest_of(EMPTY, sources)) is None
        np.testing.assert_array_equal(build(store, EMPTY, sources, read_toy).clips, first)
    assert caplog.text.count("building it anew") == 4
    assert caplog.text.count("expected a finished store") + caplog.text.count("expected 5 clips") == 4


def test_says_when_nothing_is_left(tmp_path: Path) -> None:
    sources = toy_sources(tmp_path / "raw", 3)[2:]
    with pytest.raises(DataError, match=r"none of 2 clips can be used; the first: .*damaged"):
        build(tmp_path / "store", EMPTY, sources, read_toy)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        build(file / "store", EMPTY, sources, read_toy)


def test_the_header_is_of_one_length() -> None:
    assert {len(header(count)) for count in (0, 9, 114_480, 10**9)} == {128}


def test_main_frames_are_those_of_body_0() -> None:
    raw = raw_of(1)
    seen = np.ones_like(raw.seen)
    seen[3:7, 0] = False
    cut = main_frames(raw.x, seen)
    assert isinstance(cut, Raw)
    np.testing.assert_array_equal(cut.x, np.delete(raw.x, range(3, 7), axis=0))
    assert main_frames(raw.x, np.zeros_like(seen)) == "no body in any frame"
