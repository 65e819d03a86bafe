"""Worker processes that end with the one that started them, and by nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children, parent_process
from multiprocessing.connection import wait
from threading import Thread


def end_with_parent() -> None:
    """Start watching the process that this worker works for: if it is killed, nothing else would end the worker.

    Ctrl-C, of which a terminal tells both, is left to that process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def starting_workers() -> Iterator[None]:
    """Where processes are started: Ctrl-C waits until that is done, and they never see it.

    Their initialiser, `end_with_parent`, comes too late: a process that is still importing would tell how it ended.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which a new process takes over
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def end_workers() -> None:
    """End all workers of this process, whatever they do."""
    for worker in active_children():
        worker.terminate()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)  # not sys.exit, which would only end this thread
