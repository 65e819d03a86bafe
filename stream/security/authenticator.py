"""Answers libzmq when it asks whether a client may come in (ZAP, https://rfc.zeromq.org/spec/27/).

pyzmq's own authenticator lets every client without a key in until told otherwise, and takes a missing domain for any;
this one has no way to say yes but one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import zmq
from zmq.utils import z85

DOMAIN = b"posewire"
"""libzmq asks nobody, and lets everybody in, for a socket with no domain."""

_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_KEY_BYTES = 32
_BATCH = 256
"""Clients answered in one turn, so that they do not keep the publisher from publishing."""

log = logging.getLogger(__name__)


class Authenticator:
    """Lets in whoever proves a key that `allowed` knows; everything else is refused, also where `allowed` fails.

    It lives in the loop that serves the sockets, `serve` being called often: where that loop stands still, or this is
    closed, libzmq gets no answer and lets nobody in. libzmq has checked that the client holds the secret key when it
    asks.

    Args:
        context: of the sockets that it answers for; it must be there before they are bound.
        allowed: whether a public key, in Z85, may come in.

    Attributes:
        socket: readable when somebody asks.

    Raises:
        zmq.ZMQError: the context has an authenticator already.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allowed: Callable[[str], bool]) -> None:
        self._allowed = allowed
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ENDPOINT)

    def serve(self) -> None:
        """Answer who has asked since."""
        for _ in range(_BATCH):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            key = self._key(frames)
            request = frames[1] if len(frames) > 1 else b""
            reply = [b"400", b"No access", b""] if key is None else [b"200", b"OK", key.encode()]
            self.socket.send_multipart([_VERSION, request, *reply, b""])

    def close(self) -> None:
        """Answer no more: nobody is let in from now on."""
        self.socket.close()

    def _key(self, frames: Sequence[bytes]) -> str | None:
        """Return the key by which somebody is let in, which becomes the `User-Id` of what he sends; None: he is not."""
        if len(frames) != 7:  # one credential, which NULL has none of and PLAIN two
            return None
        version, _request, domain, _address, _identity, mechanism, credential = frames
        if (version, domain, mechanism, len(credential)) != (_VERSION, DOMAIN, b"CURVE", _KEY_BYTES):
            return None
        key = z85.encode(credential).decode()
        try:
            known = self._allowed(key) is True
        except Exception:  # whatever is wrong with the list, it must let nobody in
            log.exception("the list of keys cannot be asked: nobody is let in")
            return None
        return key if known else None
