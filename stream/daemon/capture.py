"""The capture process: one source, read and handed to the worker.

It is a process of its own because a driver's `read` can block for ever: the supervisor must be able to kill it without
hurting anything else.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import zmq

from stream.config import FileSource, parse_config
from stream.daemon.child import BEAT_S, Child
from stream.daemon.links import Status, encode, renamed
from stream.errors import SourceError
from stream.sources.base import EndOfSource, Source, SourceTimeout
from stream.sources.configured import configured_source
from stream.types import NANOSECONDS, SkeletonFrame

QUEUE_FRAMES = 256
"""Frames that wait for a busy worker: of a live source the oldest are then dropped, a recorded one waits."""


class Outlet:
    """The way to the worker; drops the oldest frames of a live source, and counts them.

    Args:
        socket: connected PUSH socket.
        live: whether frames may be dropped.

    Attributes:
        frames, dropped: counts so far.
    """

    def __init__(self, socket: zmq.Socket[bytes], live: bool) -> None:
        self._socket = socket
        self._live = live
        self._waiting: deque[list[bytes]] = deque()
        self.frames = self.dropped = 0

    def put(self, frame: SkeletonFrame) -> None:
        """Queue a frame and send what the worker takes."""
        self.frames += 1
        self._waiting.append(encode(frame))
        if self._live and len(self._waiting) > QUEUE_FRAMES:
            self._waiting.popleft()
            self.dropped += 1
        self.flush()

    def flush(self) -> bool:
        """Send what the worker takes now; True if nothing is left."""
        while self._waiting:
            try:
                self._socket.send_multipart(self._waiting[0], zmq.NOBLOCK)
            except zmq.Again:
                return False
            self._waiting.popleft()
        return True

    @property
    def full(self) -> bool:
        """Whether a recorded source has to wait."""
        return not self._live and len(self._waiting) >= QUEUE_FRAMES


def main(child: Child) -> int:
    """Run the capture of source number `orders.source` until its end or a stop.

    Returns:
        Exit code: 0, or 2 if the source could not be read.
    """
    orders = child.orders
    entry = parse_config(orders.config, Path(orders.config_path)).sources[orders.source]
    socket = child.context.socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, QUEUE_FRAMES)
    socket.setsockopt(zmq.LINGER, 2000)
    socket.connect(orders.frames)
    with socket:
        names: dict[str, None] = {}
        try:
            source = configured_source(entry)
            outlet = Outlet(socket, source.live)
            with source:
                socket.send_multipart(encode(Status(entry.name, "running")))
                speed = entry.speed if isinstance(entry, FileSource) else None
                _pump(child, source, outlet, names, speed)
            status, code = Status(entry.name, "ended", "", tuple(names), outlet.frames, outlet.dropped), 0
        except SourceError as error:
            status, code = Status(entry.name, "error", str(error), tuple(names)), 2
        socket.send_multipart(encode(status))
    return code


def _pump(child: Child, source: Source, outlet: Outlet, names: dict[str, None], speed: float | None) -> None:
    """Move frames until the source ends or the child is stopped; `speed` paces a recorded source by its own times."""
    start: tuple[float, int] | None = None
    while not child.stopping:
        child.beat(frames=outlet.frames, dropped=outlet.dropped)
        if not outlet.flush() and outlet.full:
            time.sleep(0.001)
            continue
        try:
            frame = source.read(timeout=BEAT_S)
        except SourceTimeout:
            continue
        except EndOfSource:
            break
        if speed is not None:
            start = start or (time.monotonic(), frame.t)
            due = start[0] + (frame.t - start[1]) / NANOSECONDS / speed
            while not child.stopping and (wait := due - time.monotonic()) > 0:
                child.beat(frames=outlet.frames, dropped=outlet.dropped)
                time.sleep(min(wait, BEAT_S))
        # A recording may hold several sources: they keep their names, under that of the block.
        name = frame.source if frame.source == source.name else f"{source.name}.{frame.source}"
        names[name] = None
        outlet.put(renamed(frame, name))
    deadline = time.monotonic() + 2.0
    while not outlet.flush() and time.monotonic() < deadline:
        child.beat(frames=outlet.frames, dropped=outlet.dropped)
        time.sleep(0.001)
