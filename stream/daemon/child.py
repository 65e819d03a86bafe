"""What every child process of the daemon shares: its orders, its life line, and its way to stop.

A child is `python -m stream.daemon ROLE`, with its orders as JSON on standard input (never on the command line, which
every user of the machine can read). Its main loop answers the supervisor's pings, with its counts: a child that neither
answers nor is gone hangs, also where other threads of it still run, or where it cannot hear.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
import time
from typing import Any

import msgspec
import zmq

from stream.config_sources import SourceEntry
from stream.daemon.jobs import JOB, Job, decode_job

PR_SET_PDEATHSIG = 1
BEAT_S = 0.25
"""Seconds between two pings, and the longest that a main loop may wait in one place. A capture that gives frames is
asked less often (see `stream.daemon.control`), and looks after its orders less often (see `stream.daemon.capture`)."""
DRAIN_S = 1.0
"""Seconds to work off what has arrived once told to stop."""
LINGER_MS = 10_000
"""How long a process that ends waits for the next one to take its last messages; the supervisor may cut it short."""
_EVENTS, _READABLE, _WRITABLE = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.POLLOUT)
"""As plain numbers, since arithmetic with an enumeration's takes longer than what it is for."""
PING = b"ping"
"""Order to show life."""
STOP, FINISH, RELEASE, LOST, STATUS, NOTICE = b"stop", b"finish", b"release", b"lost ", b"status ", b"notice "
"""Orders to stop soon, to stop once everything is worked off, to leave (see `released`), to end the source that is
named behind it, to publish the `SourceNote` behind it, and to say of the daemon what stands behind it. Others are those
of `stream.daemon.jobs`."""
REFUSED = 2
"""Exit code of a child whose orders cannot be carried out, such as for a wrong setting or a broken recording: to start
it again would be no use. A camera that is away is no such case."""


class SourceNote(msgspec.Struct, frozen=True):
    """What the supervisor knows of a source and nobody else can tell.

    Attributes:
        source: name of its `[[sources]]` block, or label of its `[[sinks]]` block.
        state: `faulted`; of a sink any state.
        detail: one line for people.
        frames, dropped: of a sink, messages that were delivered, and that were refused for good.
    """

    source: str
    state: str
    detail: str
    frames: int = 0
    dropped: int = 0


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
        ended: for a worker or recorder, the sources that ended before its start: nobody will tell it so.
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
    ended: tuple[str, ...] = ()


class Child:
    """The child's end of the supervisor's control socket. Use in a `with` block.

    Attributes:
        orders: see `Orders`.
        context: the process's ZeroMQ context, terminated at the end of the block.
        stopping: True once the supervisor has asked for the end.
        released: for a capture, the worker has its last word.
        lost: sources whose capture died, for a worker to end; whoever handles them clears the list.
        statuses: notes for a publisher to publish, repeated while they hold; whoever handles them clears the list.
        notice: what a publisher is to say of the daemon itself; empty for nothing.
        deadline: monotonic time by which to have worked off what has arrived; infinite where all sources have ended by
            themselves and nobody is waiting.
    """

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.stopping = False
        self.deadline = math.inf
        self.lost: list[str] = []
        self.statuses: list[SourceNote] = []
        self.notice = ""
        self._jobs: list[Job] = []
        self.released = False
        self.context = zmq.Context()
        self._socket = self.context.socket(zmq.DEALER)
        self._asked = True  # the first sign of life comes unasked

    def __enter__(self) -> Child:
        # Ctrl-C reaches the whole terminal group, and SIGTERM that of a service: only the supervisor acts on them, and
        # then stops its children in order. One that went by itself would end what the others go on with.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        die_with(self.orders.parent)
        self._socket.setsockopt(zmq.ROUTING_ID, self.orders.name.encode())
        self._socket.setsockopt(zmq.LINGER, 500)
        self._socket.connect(self.orders.control)
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        # A process that ends must not wait for a peer that is gone: sockets carry their own linger.
        self.context.term()

    def _stop(self) -> None:
        if self.deadline == math.inf:
            self.deadline = time.monotonic() + DRAIN_S
        self.stopping = True

    def tell(self, kind: str, **data: Any) -> bool:
        """Send the supervisor a message, dropping it if the supervisor does not read: then False."""
        try:
            self._socket.send(msgspec.json.encode({"kind": kind, **data}), zmq.NOBLOCK)
        except zmq.Again:
            self._asked = True  # of beats nothing is lost that the next one does not carry
            return False
        return True

    def take_jobs(self) -> list[Job]:
        """The jobs that came since the last call."""
        jobs, self._jobs = self._jobs, []
        return jobs

    def wait(self, seconds: float) -> None:
        """Wait for an order, for so long at most."""
        self._socket.poll(round(1000 * seconds))

    def beat(self, **counts: Any) -> None:
        """Take orders and show life where that is asked; cheap, to be called in every turn of the main loop."""
        while waits(self._socket):
            self._take(self._socket.recv())
        if self._asked:
            self._asked = False
            self.tell("beat", pid=os.getpid(), **counts)

    def _take(self, order: bytes) -> None:
        if order == PING:
            self._asked = True
        elif order == STOP:
            self._stop()
        elif order == RELEASE:
            self.released = True
        elif order == FINISH:
            self.stopping = True
        elif order.startswith(LOST):
            self.lost.append(order.removeprefix(LOST).decode())
        elif order.startswith(JOB):
            self._jobs.append(decode_job(order))
        elif order.startswith(NOTICE):
            self.notice = order.removeprefix(NOTICE).decode()
        elif order.startswith(STATUS):
            self.statuses.append(msgspec.json.decode(order.removeprefix(STATUS), type=SourceNote))


def waits(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be received now; many times cheaper than to poll."""
    return int(socket.get(_EVENTS)) & _READABLE != 0


def takes(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message can be sent now; cheaper than to try and fail."""
    return int(socket.get(_EVENTS)) & _WRITABLE != 0


def is_live(entry: SourceEntry) -> bool:
    """Whether a source should never end by itself: a camera or sensor, no recording."""
    return getattr(entry, "path", None) is None


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however it dies (Linux).

    On Windows a virtual environment's Python runs as the child of a launcher, which ends with it: nothing to do there.

    Raises:
        SystemExit: the parent is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the line above: then we belong to another process by now.
    if os.name == "posix" and os.getppid() != parent:
        raise SystemExit(1)
