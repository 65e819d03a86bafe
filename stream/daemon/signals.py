"""The signals that stop the daemon, or have it read its configuration again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def has_terminal() -> bool:
    """Whether this process belongs to a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


@contextmanager
def stopped_by_signals(stop: Callable[[], None], reload: Callable[[], None] | None = None) -> Iterator[None]:
    """Call `stop` at Ctrl-C and SIGTERM, and `reload` at SIGHUP, for as long as the block lasts.

    SIGHUP stops too where there is no `reload`, or where it says that the terminal of this process was closed.
    """
    terminal = has_terminal()

    def handler(number: int, _frame: FrameType | None) -> None:
        if number != hangup or reload is None or (terminal and not has_terminal()):
            stop()
        else:
            reload()

    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    numbers = [signal.SIGINT, signal.SIGTERM, hangup]
    before = {number: signal.signal(number, handler) for number in numbers if number is not None}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
