"""How the daemon's children are ended: asked first, then made to, all within a few seconds."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from stream.daemon.child import FINISH, STOP
from stream.daemon.control import Control
from stream.daemon.process import SILENCE_S, ChildProcess

STOP_S = 3.0
"""Seconds for all children together to stop by themselves once told to."""
STAGE_STOP_S = 1.5
"""The least that the children of one stage get, however long those before took: a worker waits a second for the last
word of a capture that could give none, and must still end its events."""

log = logging.getLogger("posewire")


class Ending:
    """Ends children, stage by stage.

    Args:
        control: the way to them.
        stopping: whether the daemon was asked to stop, and need not wait for what is on its way.
        alive: called all the time, with monotonic time.
    """

    def __init__(self, control: Control, stopping: Callable[[], bool], alive: Callable[[float], None]) -> None:
        self._control = control
        self._stopping = stopping
        self._alive = alive
        self._stop_at = math.inf

    def end(self, stage: list[ChildProcess], before: list[ChildProcess]) -> None:
        """Ask the children of one stage to end, then make them.

        They work off everything that has arrived, as long as they show life: unless this daemon was asked to stop, or
        a child of a stage before died without its last word, for which they would wait.
        """
        running = [child for child in stage if not child.reap()]
        while running and not self._stopping() and not any(child.died for child in before):
            self._ask(running, FINISH)
            now = time.monotonic()
            running = [child for child in running if not child.reap()]
            if any(now - child.seen > SILENCE_S for child in running):
                break
        asked = time.monotonic()
        if running and self._stop_at == math.inf:
            self._stop_at = asked + STOP_S
        grace_end = max(self._stop_at, asked + STAGE_STOP_S)
        while running and time.monotonic() < grace_end:
            self._ask(running, STOP)
            running = [child for child in running if not child.reap()]
        for child in running:
            if child.process is not None:
                log.warning("%s did not stop in %.1f s and was ended", child.name, time.monotonic() - asked)
                child.process.kill()
        while running:
            self._ask(running, STOP)
            running = [child for child in running if not child.reap()]

    def _ask(self, children: list[ChildProcess], order: bytes) -> None:
        """Give an order, and hear what they say to it; to be repeated, since one that starts has no socket yet."""
        self._control.order(children, order)
        self._control.listen(20)
        self._alive(time.monotonic())
