"""The capture process: one source, read and handed to the worker.

It is a process of its own because a driver's `read` can block for ever: the supervisor must be able to kill it without
hurting anything else. Images stay here: what is handed on are joints.
"""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path

import zmq

from stream.config import Config
from stream.config_file import parse_config
from stream.config_sources import AzureKinectSource, FileSource, SourceEntry, VideoSource
from stream.daemon.child import BEAT_S, LINGER_MS, REFUSED, Child, is_live
from stream.daemon.outlet import Outlet
from stream.daemon.reader import Reader
from stream.errors import PosewireError
from stream.pace import Pacer
from stream.secrets import guard_outputs
from stream.sources.base import EndOfSource, Source, SourceHung, SourceTimeout
from stream.sources.configured import configured_source
from stream.sources.reconnecting import Reconnecting
from stream.types import NANOSECONDS

HIGH_WATER = 4
"""Frames in ZeroMQ's own queue, which cannot drop the oldest."""
AHEAD = 32
"""Frames of a skeleton file that are read at once. A video's are not: their poses take time."""
LOOK_S = 0.2
"""Seconds between two looks at the orders and the reports while frames flow: less than `BEAT_S`."""
REPORT_S = 1.0
"""Seconds between two reports on a source whose state stays as it is."""
RETRY_S = 10.0
"""Seconds, more or less, until a camera is tried again that lacks something here: a pose network, the file of its
password (which was there as the daemon started)."""
HUNG = 3
"""Exit code where only another process can open the source again."""

log = logging.getLogger(__name__)


def main(child: Child) -> int:
    """Run the capture of source number `orders.source` until its end or a stop.

    A camera that lacks something here, which may be there later, is tried again; but not where it is to be recorded, as
    then somebody waits for it.

    Returns:
        Exit code: 0, `REFUSED` if the source could not be read, or `HUNG`.
    """
    guard_outputs()
    orders = child.orders
    config = parse_config(orders.config, Path(orders.config_path))
    entry = config.sources[orders.source]
    socket = child.context.socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.connect(orders.frames)
    with socket:
        outlet = Outlet(socket, live=is_live(entry))
        again = is_live(entry) and not orders.recording
        try:
            fault = _read(child, entry, config, outlet)
            while fault and again and not child.stopping:
                _wait(child, outlet, entry.name, fault)
                fault = "" if child.stopping else _read(child, entry, config, outlet)
        except SourceHung as error:
            log.error("%s", error)
            return HUNG
        _leave(child, outlet, entry.name, fault)
    return REFUSED if fault else 0


def _read(child: Child, entry: SourceEntry, config: Config, outlet: Outlet) -> str:
    """Read a source until it ends or the child is stopped; returns why it cannot be read further, if so.

    Raises:
        SourceHung: see there.
    """
    try:
        with open_for_capture(entry, config) as source:
            reader = Reader(source, AHEAD if isinstance(entry, FileSource) else 1)
            _pump(child, reader, outlet, None if source.live else speed(entry))
    except SourceHung:
        raise
    except PosewireError as error:
        return str(error)
    return ""


def _wait(child: Child, outlet: Outlet, source: str, fault: str) -> None:
    """Say what is wrong with a camera until it is time to try again, or the child is stopped."""
    end, next_report = time.monotonic() + RETRY_S * random.uniform(0.75, 1.25), 0.0
    while not child.stopping and (now := time.monotonic()) < end:
        child.beat(**outlet.counts)
        if outlet.flush() and now >= next_report and outlet.report(source, "lost", fault):
            next_report = now + REPORT_S
        time.sleep(0.02)


def open_for_capture(entry: SourceEntry, config: Config) -> Source:
    """The source of one block, not yet open; a live one comes back whenever it can.

    Raises:
        SourceError: it cannot be made; see `configured_source`.
    """
    source = configured_source(entry)
    if not source.live:
        return source
    return Reconnecting(source, stall_s=config.capture.stall_s, frozen_s=config.capture.frozen_s)


def speed(entry: SourceEntry) -> float | None:
    """At how many times its own speed a recorded source is played."""
    return entry.speed if isinstance(entry, FileSource | VideoSource | AzureKinectSource) else None


def _leave(child: Child, outlet: Outlet, source: str, fault: str) -> None:
    """Say that the source ended, until the supervisor confirms that the worker has heard it.

    A process that leaves earlier loses what its reader has not taken: ZeroMQ drops what is left in the socket when the
    other end closes while the reader is behind.
    """
    next_report = 0.0
    while not child.released and time.monotonic() < child.deadline:
        now = time.monotonic()
        if outlet.flush() and now >= next_report and outlet.report(source, "error" if fault else "ended", fault):
            next_report = now + REPORT_S  # again, should a worker have died with it
        child.beat(**outlet.counts)
        time.sleep(0.01)
    child.tell("beat", **outlet.counts)


class _Reporter:
    """Reports how a source is: at once when that changes, and every `REPORT_S`, as whoever listens may be new."""

    def __init__(self, source: Source, outlet: Outlet, pacer: Pacer) -> None:
        self._source = source
        self._outlet = outlet
        self._pacer = pacer
        self._before = outlet.frames
        self._told: tuple[str, str] | None = None
        self._next = 0.0

    def look(self) -> None:
        """Report if it is time to."""
        source, outlet = self._source, self._outlet
        state = ("running", "")
        if isinstance(source, Reconnecting):
            state = source.state, source.detail
            # One that fails again and again before its first frame must not say that all is well in between.
            if state[0] == "running" and outlet.frames == self._before:
                return
        now = time.monotonic()
        if state == self._told and now < self._next:
            return
        outlet.missed = source.dropped
        outlet.pace = 0.0 if source.live else self._pacer.pace
        if state[0] != "running" and not outlet.flush():
            return  # frames from before the loss go first
        if outlet.report(source.name, *state):
            self._told, self._next = state, now + REPORT_S


def _pump(child: Child, reader: Reader, outlet: Outlet, speed: float | None) -> None:
    """Move frames until the source ends or the child is stopped; `speed` paces a recorded source by its own times."""
    source = reader.source
    live = source.live
    pacer = Pacer(speed)
    reporter = _Reporter(source, outlet, pacer)
    next_look = 0.0
    while not child.stopping:
        look = (now := time.monotonic()) >= next_look
        if look:
            next_look = now + LOOK_S
            child.beat(**outlet.counts)
        if look or live:
            reporter.look()
        if not outlet.flush() and outlet.full:
            outlet.wait(BEAT_S)  # and not by looking again and again: 64 that do leave a busy worker no time at all
            continue
        try:
            name, frame, part, stages = reader.read()
        except SourceTimeout:
            next_look = 0.0
            continue
        except EndOfSource:
            return
        wait = pacer.due(frame, now := time.monotonic())
        if wait > BEAT_S:
            _sleep(child, outlet, now + wait)
        elif wait > 0:
            time.sleep(wait)
        outlet.put(frame, stages, name, part, due=0 if live else round((now + wait) * NANOSECONDS))


def _sleep(child: Child, outlet: Outlet, due: float) -> None:
    """Sleep until a monotonic time, or the child is stopped."""
    while not child.stopping and (wait := due - time.monotonic()) > 0:
        time.sleep(min(wait, BEAT_S))
        child.beat(**outlet.counts)
