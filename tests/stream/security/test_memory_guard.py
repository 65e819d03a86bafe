from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running_daemon import ROOT

from stream.security import memory
from stream.security.memory import MemoryGuard, TooLarge, resident_bytes

NAMES = ["query", "events"]


class Held:
    """Memory and time as a test wants them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self.now = 100.0
        monkeypatch.setattr(memory, "resident_bytes", lambda: self.bytes)
        monkeypatch.setattr(memory.time, "monotonic", lambda: self.now)

    def look(self, guard: MemoryGuard, held: int, after: float = 1.0) -> str | None:
        self.bytes, self.now = held << 20, self.now + after
        return guard.look(NAMES)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


def test_nobody_is_dropped_within_the_limit(held: Held):
    guard = MemoryGuard(100 << 20)
    assert [held.look(guard, size) for size in (10, 99, 100)] == [None] * 3


def test_one_socket_after_the_other_until_it_helps(held: Held):
    guard = MemoryGuard(100 << 20)
    assert held.look(guard, 150) == "query"
    assert held.look(guard, 151, 0.1) is None, "what was dropped is being freed"
    assert held.look(guard, 150) == "events"
    assert held.look(guard, 50) is None
    assert held.look(guard, 150) == "query", "from the first again"


def test_what_grows_on_is_not_waited_for(held: Held):
    guard = MemoryGuard(100 << 20)
    assert held.look(guard, 150) == "query"
    assert held.look(guard, 190, 0.1) == "events"


def test_an_attack_that_goes_on_does_not_end_the_process(held: Held):
    guard = MemoryGuard(100 << 20)
    for _ in range(50):
        assert held.look(guard, 150) == "query"
        assert held.look(guard, 50) is None


def test_memory_that_no_peer_fills_ends_the_process(held: Held):
    guard = MemoryGuard(100 << 20)
    assert [held.look(guard, 150) for _ in range(4)] == NAMES * 2
    with pytest.raises(TooLarge, match="150 MiB of memory in use; expected at most 100 MiB"):
        held.look(guard, 150)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_what_is_held_is_seen():
    before = resident_bytes()
    block = bytearray(64 << 20)
    assert resident_bytes() - before > 60 << 20
    del block


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's bound is set on Linux only")
def test_the_kernel_gives_no_more_than_the_bound():
    code = (
        "from stream.security.memory import limit_process\n"
        "limit_process(512 << 20)\n"
        "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    raise SystemExit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 7


def test_bounds_on_top_of_what_a_process_holds_end_with_the_block():
    """A replay that publishes has a model in its memory already."""
    resource = pytest.importorskip("resource", reason="the kernel bounds no process's memory here")
    if sys.platform != "linux":
        pytest.skip("bounds its memory as Linux does")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.bounded_process() as guard:
        inside = resource.getrlimit(resource.RLIMIT_DATA)[0]
        assert memory.HARD_BYTES < inside < memory.HARD_BYTES + (64 << 30)
        assert memory.LIMIT_BYTES < guard.limit <= memory.LIMIT_BYTES + 2 * resident_bytes()
        assert guard.look(NAMES) is None
        with pytest.raises(MemoryError):
            bytearray(inside)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
