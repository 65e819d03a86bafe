"""The capture's way to the worker, which may be busy: frames and what happened to their source, counted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

import zmq

from stream.daemon.child import takes
from stream.daemon.frame_part import encode_frame, stamped
from stream.daemon.links import Status, encode
from stream.secrets import redact
from stream.types import NANOSECONDS, SkeletonFrame

QUEUE_FRAMES = 32
"""Frames that wait for a busy worker: of a live source the oldest are then dropped, a recorded one waits. About a
second, as what is older than that is no longer live."""
RATE_FRAMES = 60
_NO_WAIT = int(zmq.NOBLOCK)
"""As a plain number, since it takes time to make one of an enumeration's."""


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
        self._waiting: deque[tuple[str, int, int, int, bytes]] = deque()
        self._refused = False
        self._times: deque[int] = deque(maxlen=RATE_FRAMES)
        self.frames = self.dropped = self.missed = 0
        self.pace = 0.0
        self.sent: dict[str, int] = {}

    def put(
        self,
        frame: SkeletonFrame,
        stages: Mapping[str, float] | None = None,
        name: str = "",
        part: bytes = b"",
        due: int = 0,
    ) -> None:
        """Queue a frame and send what the worker takes.

        Args:
            frame: the frame.
            stages: seconds that each stage of it took until now; of a recorded one only the pose matters.
            name: of its source; by default what the frame says.
            part: what `encode_frame` made of it under that name; by default it is made now.
            due: when a recorded frame was to be handed over, in monotonic ns; 0 for now.
        """
        now = captured = time.monotonic_ns()
        pose = 0
        if stages:
            took = {stage: round(seconds * NANOSECONDS) for stage, seconds in stages.items()}
            pose = took.get("pose", 0)
            captured -= sum(took.values()) if self._live else 0
        if due:
            captured = min(due, now)
        name = name or frame.source
        self.frames += 1
        self.sent.setdefault(name, 0)
        self._times.append(frame.t)
        self._waiting.append((name, captured, pose, now, part or encode_frame(frame, name)))
        if self._live and len(self._waiting) > QUEUE_FRAMES:
            self._waiting.popleft()
            self.dropped += 1
        self.flush()

    def flush(self) -> bool:
        """Send what the worker takes now; True if nothing is left."""
        waiting, sent = self._waiting, self.sent
        if waiting and self._refused and not self._takes_again():
            return False
        while waiting:
            name, captured, pose, handed, part = waiting[0]
            number = sent[name] + 1
            try:
                self._socket.send(stamped(part, number, captured, pose, handed), _NO_WAIT)
            except zmq.Again:
                self._refused = True
                return False
            sent[name] = number
            waiting.popleft()
        return True

    def wait(self, seconds: float) -> None:
        """Wait until the worker takes something, for so long at most."""
        self._socket.poll(round(1000 * seconds), zmq.POLLOUT)

    def report(self, source: str, state: str, detail: str = "") -> bool:
        """Tell the worker and all behind it how the source is; False if it takes nothing now."""
        if state != "running":
            self._times.clear()
            self.pace = 0.0
        if self._refused and not self._takes_again():
            return False
        counts = self.frames, self.dropped, self.rate_hz, self.missed, self.pace
        status = Status(source, state, redact(detail), tuple(self.sent), *counts)
        try:
            self._socket.send_multipart(encode(status), _NO_WAIT)
        except zmq.Again:
            self._refused = True
        return not self._refused

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

    def _takes_again(self) -> bool:
        """Whether the socket takes something after it refused; to ask costs less than to try and fail."""
        self._refused = not takes(self._socket)
        return not self._refused
