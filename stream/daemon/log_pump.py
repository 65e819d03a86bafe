"""The daemon's log, which must never hold up its work: whoever reads it may hang, or be gone, or its disk be full.

A pipe takes the place of standard output and error, for this process and its children. Threads carry on what comes:
what nobody takes is dropped, and that is told before the next line that somebody takes.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

LIMIT = 1 << 20
"""Bytes that wait for a reader; what comes beyond that is dropped."""
CHUNK = 64 << 10
PATIENCE_S = 1.0
"""Seconds for the last words at the end."""


@contextmanager
def pumped_output() -> Iterator[None]:
    """Standard output and error neither block nor fail for as long as the block lasts; terminals are left alone."""
    numbers = [number for number in (1, 2) if not os.isatty(number)]
    with ExitStack() as stack:
        if len(numbers) == 2 and os.path.sameopenfile(*numbers):
            stack.enter_context(pumped(*numbers))  # in one pipe, the lines keep their order
        else:
            for number in numbers:
                stack.enter_context(pumped(number))
        yield


@contextmanager
def pumped(*numbers: int) -> Iterator[None]:
    """The same for file descriptors that stand for one file."""
    target = os.dup(numbers[0])
    source, inlet = os.pipe()
    _flush()
    for number in numbers:
        os.dup2(inlet, number)  # which children inherit, unlike the others
    os.close(inlet)
    pump = _Pump(source, target)
    pump.start()
    try:
        yield
    finally:
        _flush()
        for number in numbers:
            os.dup2(target, number)
        pump.join()


class _Pump:
    """Carries on from one file descriptor to another, and closes both at the end of the first."""

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = self._lost = 0
        # They end with the process even where the target never takes anything again.
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._take, self._give)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the end of what comes, and until it is carried on; not for long."""
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _take(self) -> None:
        while data := os.read(self._source, CHUNK):
            with self._lock:
                if self._waiting + len(data) > LIMIT:
                    self._lost += len(data)
                    continue
                if self._lost:
                    data = f"\nposewire: {self._lost} bytes of the log are lost\n".encode() + data
                    self._lost = 0
                self._waiting += len(data)
            self._queue.put(data)
        os.close(self._source)
        self._queue.put(b"")

    def _give(self) -> None:
        while data := self._queue.get():
            written = self._write(data)
            with self._lock:
                self._waiting -= len(data)
                self._lost += 0 if written else len(data)
        os.close(self._target)

    def _write(self, data: bytes) -> bool:
        """Whether all of it was taken."""
        try:
            while data:
                data = data[os.write(self._target, data) :]
        except OSError:  # the reader is gone, or the disk is full; the next line may do better
            return False
        return True


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
