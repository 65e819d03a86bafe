"""A thread that alone uses a file, so that a disk that hangs stops nobody else.

Whoever hands it a job decides how long to wait; the job goes on in any case, since a system call that hangs cannot be
called off. The thread ends with its `JournalThread`, and holds up no process that ends.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """Something that the thread does."""

    def __init__(self, action: Callable[[], T]) -> None:
        self._action = action
        self._done = threading.Event()
        self._value: T | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Do it; for the thread."""
        try:
            self._value = self._action()
        except Exception as error:  # noqa: BLE001  # `result` raises it in its own thread
            self._error = error
        self._done.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is done, for so long at most; return whether it is."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """Return what came of it, or raise what it raised; it is done."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class JournalThread:
    """The thread. It starts with the first job."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._started = False
        weakref.finalize(self, self._jobs.put, None)

    def submit(self, action: Callable[[], T]) -> Job[T]:
        """Have something done after everything that was submitted before."""
        if not self._started:
            self._started = True
            threading.Thread(target=_work, args=(self._jobs,), name="journal", daemon=True).start()
        job = Job(action)
        self._jobs.put(job)
        return job


def _work(jobs: SimpleQueue[Job[Any] | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # what it holds is free while there is nothing to do
