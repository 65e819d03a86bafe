"""The signals that stop the daemon."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at Ctrl-C, SIGTERM and SIGHUP, for as long as the block lasts."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop()

    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]  # Windows has no SIGHUP
    before = {number: signal.signal(number, handler) for number in numbers if number is not None}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
