"""The capture's way to the worker, which may be busy: frames and what happened to their source, counted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

import zmq

from stream.daemon.links import Stamp, Status, encode, stamped
from stream.secrets import redact
from stream.types import NANOSECONDS, SkeletonFrame

QUEUE_FRAMES = 32
"""Frames that wait for a busy worker: of a live source the oldest are then dropped, a recorded one waits. About a
second, as what is older than that is no longer live."""
RATE_FRAMES = 60


class Outlet:
    """The way to the worker; drops the oldest frames of a live source, and counts them.

    Args:
        socket: connected PUSH socket.
        live: whether frames may be dropped.

    Attributes:
        frames, dropped: counts so far.
        missed: images that became no frame, as the source tells.
        pace: of a recorded source, how many times real time it plays lately, as whoever paces it tells; else 0.
        sent: by the source names that the frames carried, how many were sent.
    """

    def __init__(self, socket: zmq.Socket[bytes], live: bool) -> None:
        self._socket = socket
        self._live = live
        self._waiting: deque[tuple[str, Stamp, list[bytes]]] = deque()
        self._times: deque[int] = deque(maxlen=RATE_FRAMES)
        self.frames = self.dropped = self.missed = 0
        self.pace = 0.0
        self.sent: dict[str, int] = {}

    def put(self, frame: SkeletonFrame, stages: Mapping[str, float] | None = None) -> None:
        """Queue a frame and send what the worker takes.

        Args:
            frame: the frame.
            stages: seconds that each stage of it took until now; of a recorded one only the pose matters.
        """
        now = time.monotonic_ns()
        took = {stage: round(seconds * NANOSECONDS) for stage, seconds in (stages or {}).items()}
        stamp = Stamp(0, now - sum(took.values()) if self._live else now, took.get("pose", 0), now)
        self.frames += 1
        self.sent.setdefault(frame.source, 0)
        self._times.append(frame.t)
        self._waiting.append((frame.source, stamp, encode(frame)))
        if self._live and len(self._waiting) > QUEUE_FRAMES:
            self._waiting.popleft()
            self.dropped += 1
        self.flush()

    def flush(self) -> bool:
        """Send what the worker takes now; True if nothing is left."""
        while self._waiting:
            name, stamp, parts = self._waiting[0]
            number = self.sent[name] + 1
            if not self._send(stamped(parts, Stamp(number, stamp.captured, stamp.pose, stamp.handed))):
                return False
            self.sent[name] = number
            self._waiting.popleft()
        return True

    def wait(self, seconds: float) -> None:
        """Wait until the worker takes something, for so long at most."""
        self._socket.poll(round(1000 * seconds), zmq.POLLOUT)

    def report(self, source: str, state: str, detail: str = "") -> bool:
        """Tell the worker and all behind it how the source is; False if it takes nothing now."""
        if state != "running":
            self._times.clear()
            self.pace = 0.0
        counts = self.frames, self.dropped, self.rate_hz, self.missed, self.pace
        return self._send(encode(Status(source, state, redact(detail), tuple(self.sent), *counts)))

    @property
    def counts(self) -> dict[str, int]:
        """The counters, for the supervisor."""
        return {"frames": self.frames, "dropped": self.dropped, "missed": self.missed}

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
