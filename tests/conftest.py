"""What every test gets: state of its own, one thread, and a Ctrl-C that works."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from in_process import Run

# Threads of torch wait for each other in a loop. Where two tests run at once on two cores, what takes one thread a
# second takes two of them ten. Set before torch is there, for the daemons that tests start as well.
os.environ["OMP_NUM_THREADS"] = "1"
# Who forbids bytecode would have each process that a test starts compile the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, of `-n auto`: at most times one of them waits for a daemon."""
    return 1 + len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By names of files, not by folders: all daemons at once would be in each other's way, and others wait for none."""
    items.sort(key=lambda item: item.path.name)


@pytest.fixture(autouse=True)
def _state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon of a test keeps its state where the user's do, or where another test's does."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A command that a test ran in its own process leaves no other number of threads behind."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture
def posewire(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command in this process, where torch is loaded already, with the default configuration."""
    from in_process import in_process

    monkeypatch.chdir(tmp_path)
    return in_process(monkeypatch, capsys)
