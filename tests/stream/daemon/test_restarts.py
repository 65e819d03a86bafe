"""When a child that failed is started again: real processes, a clock of the test's own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from stream.daemon.child import Orders
from stream.daemon.process import (
    FAULTED_PAUSE_S,
    JITTER,
    LASTING_S,
    MAX_RESTARTS,
    SILENCE_S,
    START_SILENCE_S,
    ChildProcess,
)

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


def failing(child: ChildProcess, now: float, code: int = 1, life: float = 1.0) -> float:
    """Let a process of this child live from `now` on, then exit; returns when it is to be started again."""
    child.process = subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({code})"])
    child.started = child.seen = now
    child.restart_at = None
    child.process.wait()
    assert child.look(now + life)
    assert child.process is None
    return child.restart_at if child.restart_at is not None else float("nan")


def test_pauses_grow_then_it_is_faulted_and_tried_rarely_until_it_lasts() -> None:
    child, now, starts, pauses = ChildProcess("worker", "worker"), 1000.0, [], []
    while not child.faulted:
        again = failing(child, now, life=0.0)
        pauses.append(again - now)
        starts.append(again)
        now = again
    assert len(pauses) == MAX_RESTARTS + 1
    for number, pause in enumerate(pauses[:-1]):
        assert (1 - JITTER) * 0.5 * 2**number <= pause <= (1 + JITTER) * 0.5 * 2**number
    assert sum(start - 1000.0 < 60.0 for start in starts) == MAX_RESTARTS
    for _ in range(3):
        now, before = failing(child, now), now
        assert child.faulted
        assert FAULTED_PAUSE_S <= now - before - 1 <= FAULTED_PAUSE_S * (1 + JITTER)
    assert failing(child, now, life=LASTING_S) < now + LASTING_S + 1
    assert not child.faulted


def test_pauses_differ_so_that_what_failed_together_does_not_start_together() -> None:
    assert len({failing(ChildProcess(str(number), "worker"), 0.0) for number in range(4)}) == 4


@pytest.mark.parametrize(
    ("finite", "looped", "proven", "code", "ends"),
    [
        (True, False, False, 0, True),
        (True, False, False, 2, True),
        (True, False, False, 1, True),
        (True, True, True, 0, True),
        (True, True, True, 2, True),
        (True, True, True, 1, False),
        (True, True, False, 1, False),
        (False, False, False, 2, True),
        (False, False, True, 2, False),
        (False, False, True, 0, False),
        (False, False, False, 0, False),
        (False, False, False, 1, False),
    ],
)
def test_only_recordings_and_settings_that_never_worked_end_for_good(
    finite: bool, looped: bool, proven: bool, code: int, ends: bool
) -> None:
    child = ChildProcess("capture:cam", "capture", 0, finite=finite, looped=looped, proven=proven)
    failing(child, 0.0, code)
    assert (child.code is not None) == ends == (child.restart_at is None)
    assert child.died == (finite and not looped and code == 1)


@pytest.mark.parametrize("finite", [True, False])
def test_a_process_that_cannot_be_started_is_tried_again_later(finite: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    child = ChildProcess("capture:cam", "capture", 0, finite=finite, released=True)
    orders = Orders(name="capture:cam", parent=0, control="", frames="", outputs="", config_path="", config={})
    real = sys.executable
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    now = 1000.0
    for failures in range(1, MAX_RESTARTS + 2):
        child.start(orders, now)
        assert (child.process, child.code, child.failures, child.released) == (None, None, failures, False)
        assert not child.look(now)
        assert child.restart_at is not None
        assert child.restart_at > now
        now = child.restart_at
    assert child.faulted
    assert child.trouble == "could not be started (No such file or directory)"
    monkeypatch.setattr(sys, "executable", real)
    child.start(orders, now)
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    assert not child.faulted


@pytest.mark.parametrize(
    ("alive", "frames", "silence"), [(False, 0, START_SILENCE_S), (True, 0, START_SILENCE_S), (True, 1, SILENCE_S)]
)
def test_a_child_that_hangs_is_killed(alive: bool, frames: int, silence: float) -> None:
    child = ChildProcess("capture:cam", "capture", 0, started=0.0, alive=alive, counts={"frames": frames})
    child.process = process = subprocess.Popen([sys.executable, "-S", "-c", STUBBORN], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not child.look(silence)
        assert process.poll() is None
        assert not child.look(silence + 0.1)
        assert process.wait(10) == -signal.SIGKILL
    assert child.look(100.0)
    assert child.trouble == "hung"
    assert (child.code, child.failures) == (None, 1)
    assert child.restart_at is not None
