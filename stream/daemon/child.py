"""What every child process of the daemon shares: its orders, its life line, and its way to stop.

A child is `python -m stream.daemon ROLE`, with its orders as JSON on standard input (never on the command line, which
every user of the machine can read). It shows life in every turn of its loop, so that a hung child can be told from a
busy one.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

import msgspec
import zmq

PR_SET_PDEATHSIG = 1
BEAT_S = 0.25
"""Seconds between two signs of life."""
DRAIN_S = 1.0
"""Seconds to work off what has arrived once told to stop."""
LINGER_MS = 10_000
"""How long a process that ends waits for the next one to take its last messages; the supervisor may cut it short."""
STOP, FINISH, RELEASE, LOST = b"stop", b"finish", b"release", b"lost "
"""Orders to stop soon, to stop once everything is worked off, to leave (see `released`), and to end the source that is
named behind it."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is told at its start.

    Attributes:
        name: the child's name, unique among its siblings: `worker`, `publisher`, `capture:cam1`.
        parent: process id of the supervisor.
        control: endpoint of the supervisor's control socket.
        frames: endpoint of the worker's (or recorder's) frame inlet.
        outputs: endpoint of the publisher's inlet.
        config: path that error messages name, and the content of the configuration.
        config_path: see `config`.
        source: for a capture child, the index of its source in the configuration.
        recording: for a recorder, the file to write.
        salt: for a worker, what makes its event ids differ from those of every other run.
    """

    name: str
    parent: int
    control: str
    frames: str
    outputs: str
    config_path: str
    config: dict[str, Any]
    source: int = -1
    recording: str = ""
    salt: str = ""


class Child:
    """The child's end of the supervisor's control socket. Use in a `with` block.

    Attributes:
        orders: see `Orders`.
        context: the process's ZeroMQ context, terminated at the end of the block.
        stopping: True once the supervisor, or SIGTERM, has asked for the end.
        released: for a capture, the worker has its last word.
        lost: sources whose capture died, for a worker to end; whoever handles them clears the list.
        deadline: monotonic time by which to have worked off what has arrived; infinite where all sources have ended by
            themselves and nobody is waiting.
    """

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.stopping = False
        self.deadline = math.inf
        self.lost: list[str] = []
        self.released = False
        self.context = zmq.Context()
        self._socket = self.context.socket(zmq.DEALER)
        self._next_beat = 0.0

    def __enter__(self) -> Child:
        # Ctrl-C reaches the whole terminal group; only the supervisor acts on it, and then stops its children in order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_terminate)
        die_with(self.orders.parent)
        self._socket.setsockopt(zmq.ROUTING_ID, self.orders.name.encode())
        self._socket.setsockopt(zmq.LINGER, 500)
        self._socket.connect(self.orders.control)
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        # A process that ends must not wait for a peer that is gone: sockets carry their own linger.
        self.context.term()

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.deadline == math.inf:
            self.deadline = time.monotonic() + DRAIN_S
        self.stopping = True

    def tell(self, kind: str, **data: Any) -> None:
        """Send the supervisor a message, dropping it if the supervisor does not read."""
        try:
            self._socket.send(msgspec.json.encode({"kind": kind, **data}), zmq.NOBLOCK)
        except zmq.Again:
            self._next_beat = 0.0  # nothing is lost that the next beat does not carry

    def beat(self, **counts: Any) -> None:
        """Show life and take orders; cheap, to be called in every turn of the main loop."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + BEAT_S
            self.tell("beat", pid=os.getpid(), **counts)
        while self._socket.poll(0):
            order = self._socket.recv()
            if order == STOP:
                self._stop()
            elif order == RELEASE:
                self.released = True
            elif order == FINISH:
                self.stopping = True
            elif order.startswith(LOST):
                self.lost.append(order.removeprefix(LOST).decode())


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however it dies (Linux).

    Raises:
        SystemExit: the parent is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the line above: then we belong to another process by now.
    if os.getppid() != parent:
        raise SystemExit(1)
