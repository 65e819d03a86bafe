"""How far a sink is behind what its daemon has published, by the daemon's heartbeats."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import zmq

from stream.messages import MAX_BODY, MessageError, decode
from stream.position import Position
from stream.security.client_keys import ClientKeys
from stream.structs import HeartbeatData
from stream.topics import Kind
from stream.transport import connect, harden


class Lag:
    """Hears heartbeats beside the subscriber, which is not read while a message cannot be delivered.

    Use in a `with` block.

    Args:
        endpoint: the daemon's `events`.
        kinds: those that the sink wants.
        keys: to be let in by, where the daemon asks for any.
    """

    def __init__(self, endpoint: str, kinds: Sequence[str], keys: ClientKeys | None) -> None:
        self._kinds = tuple(kinds)
        self._epoch = ""
        self._newest: dict[str, int] = {}
        self._heard = time.monotonic()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        harden(self._socket, send_high_water=1, receive_high_water=10, max_size=MAX_BODY)
        self._socket.setsockopt(zmq.SUBSCRIBE, f"{Kind.HEARTBEAT}/".encode())
        connect(self._socket, endpoint, keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    def listen(self) -> None:
        """Take what has come; never waits."""
        while self._socket.poll(0):
            try:
                envelope = decode(self._socket.recv_multipart()).envelope
            except MessageError:
                continue
            if isinstance(envelope.data, HeartbeatData):
                self._epoch, self._newest, self._heard = envelope.epoch, envelope.data.seqs, time.monotonic()

    @property
    def known(self) -> bool:
        """Whether there was a heartbeat, without which nobody knows how far behind a position is."""
        return bool(self._epoch)

    @property
    def silent_s(self) -> float:
        """Seconds since the last heartbeat."""
        return time.monotonic() - self._heard

    def behind(self, position: Position | None) -> int:
        """How many messages of the sink's kinds follow a position; of earlier epochs it is not known how many."""
        if position is None:
            return 0
        done = position.seqs if position.epoch == self._epoch else {}
        return sum(max(self._newest.get(kind, 0) - done.get(kind, 0), 0) for kind in self._kinds)
