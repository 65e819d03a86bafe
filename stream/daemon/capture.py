"""The capture process: one source, read and handed to the worker.

It is a process of its own because a driver's `read` can block for ever: the supervisor must be able to kill it without
hurting anything else.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import zmq

from stream.config import FileSource
from stream.config_file import parse_config
from stream.daemon.child import BEAT_S, LINGER_MS, Child
from stream.daemon.links import Status, encode, renamed
from stream.errors import SourceError
from stream.pace import Pacer
from stream.sources.base import EndOfSource, Source, SourceTimeout
from stream.sources.configured import configured_source
from stream.topics import MAX_NAME, slug
from stream.types import NANOSECONDS, SkeletonFrame

QUEUE_FRAMES = 32
"""Frames that wait for a busy worker: of a live source the oldest are then dropped, a recorded one waits. About a
second, as what is older than that is no longer live."""
HIGH_WATER = 4
"""Frames in ZeroMQ's own queue, which cannot drop the oldest."""
RATE_FRAMES = 60
REPORT_S = 1.0
"""Seconds between two reports on a running source."""


class Outlet:
    """The way to the worker; drops the oldest frames of a live source, and counts them.

    Args:
        socket: connected PUSH socket.
        live: whether frames may be dropped.

    Attributes:
        frames, dropped: counts so far.
        names: the source names that the frames carried.
    """

    def __init__(self, socket: zmq.Socket[bytes], live: bool) -> None:
        self._socket = socket
        self._live = live
        self._waiting: deque[list[bytes]] = deque()
        self._times: deque[int] = deque(maxlen=RATE_FRAMES)
        self.frames = self.dropped = 0
        self.names: dict[str, None] = {}

    def put(self, frame: SkeletonFrame) -> None:
        """Queue a frame and send what the worker takes."""
        self.frames += 1
        self.names[frame.source] = None
        self._times.append(frame.t)
        self._waiting.append(encode(frame))
        if self._live and len(self._waiting) > QUEUE_FRAMES:
            self._waiting.popleft()
            self.dropped += 1
        self.flush()

    def flush(self) -> bool:
        """Send what the worker takes now; True if nothing is left."""
        while self._waiting and self._send(self._waiting[0]):
            self._waiting.popleft()
        return not self._waiting

    def report(self, source: str, state: str, detail: str = "") -> bool:
        """Tell the worker and all behind it how the source is; False if it takes nothing now."""
        names = tuple(self.names)
        return self._send(encode(Status(source, state, detail, names, self.frames, self.dropped, self.rate_hz)))

    @property
    def rate_hz(self) -> float:
        """Frames a second over the last `RATE_FRAMES`, by capture time: what the sensor gives, not what it claims."""
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return 0.0
        return (len(self._times) - 1) * NANOSECONDS / (self._times[-1] - self._times[0])

    @property
    def full(self) -> bool:
        """Whether a recorded source has to wait."""
        return not self._live and len(self._waiting) >= QUEUE_FRAMES

    def _send(self, parts: list[bytes]) -> bool:
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


def main(child: Child) -> int:
    """Run the capture of source number `orders.source` until its end or a stop.

    Returns:
        Exit code: 0, or 2 if the source could not be read.
    """
    orders = child.orders
    entry = parse_config(orders.config, Path(orders.config_path)).sources[orders.source]
    socket = child.context.socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.connect(orders.frames)
    with socket:
        outlet = Outlet(socket, live=False)
        fault = ""
        try:
            source = configured_source(entry)
            outlet = Outlet(socket, source.live)
            with source:
                _pump(child, source, outlet, entry.speed if isinstance(entry, FileSource) else None)
        except SourceError as error:
            fault = str(error)
        _leave(child, outlet, entry.name, fault)
    return 2 if fault else 0


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
        child.beat(frames=outlet.frames, dropped=outlet.dropped)
        time.sleep(0.002)
    child.tell("beat", frames=outlet.frames, dropped=outlet.dropped)


def _pump(child: Child, source: Source, outlet: Outlet, speed: float | None) -> None:
    """Move frames until the source ends or the child is stopped; `speed` paces a recorded source by its own times."""
    pacer = Pacer(speed)
    next_report = 0.0
    while not child.stopping:
        child.beat(frames=outlet.frames, dropped=outlet.dropped)
        if (now := time.monotonic()) >= next_report and outlet.report(source.name, "running"):
            next_report = now + REPORT_S
        if not outlet.flush() and outlet.full:
            time.sleep(0.001)
            continue
        try:
            frame = source.read(timeout=BEAT_S)
        except SourceTimeout:
            continue
        except EndOfSource:
            return
        due = time.monotonic() + pacer.due(frame, time.monotonic())
        while not child.stopping and (wait := due - time.monotonic()) > 0:
            child.beat(frames=outlet.frames, dropped=outlet.dropped)
            time.sleep(min(wait, BEAT_S))
        # A recording may hold several sources: they keep their names, under that of the block.
        outlet.put(renamed(frame, _name(source.name, frame.source)))


def _name(block: str, own: str) -> str:
    """Name of a frame's source: that of the block, with the frame's own behind it where they differ."""
    joined = block if own == block else f"{block}.{own}"
    return joined if len(joined) <= MAX_NAME else slug(joined)
