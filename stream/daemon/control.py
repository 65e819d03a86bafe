"""The supervisor's end of the control socket: pings and orders to the children, and what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

from stream.daemon.child import BEAT_S, PING, RELEASE, waits
from stream.daemon.jobs import Job, encode_job
from stream.daemon.process import ChildProcess

STEADY_BEAT_S = 1.0
"""Seconds between two pings to a capture that gives frames: its counts are of no use to anybody sooner, and each answer
costs both ends as much as a frame."""

OnMessage = Callable[[str, dict[str, Any]], None]


class Control:
    """Orders out, answers in. Use in a `with` block.

    Args:
        folder: of the daemon's sockets.
        children: all there are.
        on_message: called with a child's name and message (`ready`, `event`, ...).
    """

    def __init__(self, folder: Path, children: Sequence[ChildProcess], on_message: OnMessage) -> None:
        self.endpoint = f"ipc://{folder}/control"
        self._children = {child.name: child for child in children}
        self._on_message = on_message
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._next_ping = self._next_ping_all = 0.0

    def __enter__(self) -> Self:
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a child that was started again takes over its name
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(self.endpoint)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._context.term()

    def order(self, children: Iterable[ChildProcess], order: bytes) -> None:
        """Give an order; a child that is not there, or has not connected yet, does not get it."""
        for child in children:
            self._socket.send_multipart([child.name.encode(), order])

    def give(self, children: Iterable[ChildProcess], job: Job) -> None:
        """Give a job, as an order."""
        self.order(children, encode_job(job))

    def listen(self, timeout_ms: int) -> None:
        """Ping the children where it is time, and take what they say, waiting for the first word at most so long."""
        if (now := time.monotonic()) >= self._next_ping:
            self._next_ping = now + BEAT_S
            every = now >= self._next_ping_all
            if every:
                self._next_ping_all = now + STEADY_BEAT_S
            self.order((child for child in self._children.values() if every or not child.steady), PING)
        if not waits(self._socket) and not self._socket.poll(timeout_ms):
            return
        while waits(self._socket):
            name, content = self._socket.recv_multipart()
            child = self._children.get(name.decode())
            if child is not None:
                self._take(child, msgspec.json.decode(content))

    def _take(self, child: ChildProcess, message: dict[str, Any]) -> None:
        child.heard(time.monotonic())
        match message.pop("kind"):
            case "beat":
                child.counts = message
                # A capture is there before its camera is; others show life only once they have what they need.
                child.proven |= child.source < 0 or bool(message.get("frames"))
                if "sources" in message:  # the publisher's summary of the whole daemon
                    self._on_message(child.name, {"kind": "beat", **message})
            case "source_ended":
                capture = self._children.get(f"capture:{message['source']}")
                if capture is not None:
                    capture.released = True
                    self.order([capture], RELEASE)
            case kind:
                child.ready |= kind == "ready"
                self._on_message(child.name, {"kind": kind, **message})
