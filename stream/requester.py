"""A client of the publisher's `query` socket that never blocks and outlives restarts of the publisher."""

from __future__ import annotations

import itertools
import time

import msgspec
import zmq

from stream.errors import PosewireError
from stream.messages import MessageError
from stream.query import MAX_REPLY, Reply, Request, decode_reply
from stream.security.client_keys import ClientKeys
from stream.transport import connect, harden

ATTEMPTS = 3


class NoAnswer(PosewireError):
    """Nobody answers a request."""


def ask(
    endpoint: str,
    request: Request,
    timeout: float = 1.0,
    attempts: int = ATTEMPTS,
    keys: ClientKeys | None = None,
) -> Reply:
    """The reply to one request, waited for.

    Args:
        endpoint: the publisher's `query` endpoint.
        request: its id is set here.
        timeout: seconds for a reply.
        attempts: how often to ask; once for what must not be done twice.

    Raises:
        NoAnswer: none came.
        EndpointError: the endpoint is malformed.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    poller = zmq.Poller()
    try:
        requester = Requester(context, endpoint, poller, timeout, attempts, keys)
        requester.send(request)
        while True:
            poller.poll(max(1, round(1000 * (requester.wait() or 0.0))))
            for reply in requester.replies():
                return reply
            if requester.overdue():
                raise NoAnswer(f"nobody answers at {endpoint}; expected a running daemon")
    finally:
        context.destroy(linger=0)


class Requester:
    """One request at a time, sent again over a fresh connection when no reply comes. One thread only.

    Args:
        context: of the socket.
        endpoint: the publisher's `query` endpoint.
        poller: where the socket is to be registered; it changes over time.
        timeout: seconds for a reply.
        attempts: how often to ask before giving up.
        keys: to be let in by, where the publisher asks for any.

    Attributes:
        pending: the request under way, None when there is none.
        malformed: replies that were no wire version 1.
        timeout: see above; of the next request that is sent.

    Raises:
        EndpointError: the endpoint is malformed.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        poller: zmq.Poller,
        timeout: float,
        attempts: int = ATTEMPTS,
        keys: ClientKeys | None = None,
    ) -> None:
        self.pending: Request | None = None
        self.malformed = 0
        self._context = context
        self._endpoint = endpoint
        self._poller = poller
        self.timeout = timeout
        self._most = attempts
        self._keys = keys
        self._deadline = 0.0
        self._attempts = 0
        self._ids = itertools.count(1)
        self._socket: zmq.Socket[bytes] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the request and connect anew, so that nothing waits in the queue of a publisher that is gone."""
        self.pending = None
        self._attempts = 0
        self._reconnect()

    def send(self, request: Request) -> None:
        """Send a request in place of the one under way, if any; its id is set here."""
        self.pending = msgspec.structs.replace(request, id=str(next(self._ids)))
        self._attempts += 1
        self._deadline = time.monotonic() + self.timeout
        if self._socket is not None:
            self._socket.send(msgspec.json.encode(self.pending))

    def done(self) -> None:
        """End the request: its reply was of use."""
        self.pending = None
        self._attempts = 0

    def wait(self) -> float | None:
        """Return the seconds until `overdue` has something to do, None while no request is under way."""
        return None if self.pending is None else max(self._deadline - time.monotonic(), 0.0)

    def replies(self) -> list[Reply]:
        """Return the replies to the request under way that have come; call `done` when one was of use."""
        found: list[Reply] = []
        while self._socket is not None and self.pending is not None:
            try:
                reply = decode_reply(self._socket.recv_multipart(zmq.NOBLOCK)[-1])
            except zmq.Again:
                break
            except MessageError:
                self.malformed += 1
                continue
            if reply.id == self.pending.id:
                found.append(reply)
        return found

    def overdue(self) -> bool:
        """Send the request again if its time is up; after the last attempt forget it and return True."""
        if self.pending is None or time.monotonic() < self._deadline:
            return False
        if self._attempts >= self._most:
            self.reset()
            return True
        self._reconnect()
        self.send(self.pending)
        return False

    def _reconnect(self) -> None:
        if self._socket is not None:
            self._poller.unregister(self._socket)
            self._socket.close(linger=0)
        self._socket = self._context.socket(zmq.DEALER)
        harden(self._socket, send_high_water=16, receive_high_water=16, max_size=MAX_REPLY)
        connect(self._socket, self._endpoint, self._keys)
        self._poller.register(self._socket, zmq.POLLIN)
