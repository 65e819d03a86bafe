"""The door of the public sockets: CURVE with a list of allowed keys, looked after while the daemon runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import zmq

from stream.roles import Role
from stream.security.authenticator import DOMAIN, Authenticator
from stream.security.key_ring import Client, KeyRing
from stream.security.keys import KeyFileError, KeyPair
from stream.security.probe import DoorOpen, Probe

LOOK_S = 1.0
"""Seconds between two looks at the list of keys."""
PROBE_S = 30.0
"""Seconds between two tries of the door from outside."""
MAX_UNANSWERED = 3
"""Tries in a row that not all answers came of, until the door counts as open. Each waits for `probe.TIMEOUT_S`: a busy
machine answers one of them."""
GIVES = {"subscribe": Role.READ, "control": Role.CONTROL}
"""What a key's role allows to ask."""

log = logging.getLogger(__name__)


class Door:
    """Encrypts sockets and lets in only whom the key ring allows. All methods belong to the sockets' thread.

    What must be set for libzmq not to let everybody in, a domain, its enforcement and an authenticator that knows the
    domain, is set here and nowhere else.

    Args:
        ring: the daemon's keys.

    Raises:
        KeyFileError: the daemon's own keys, or the list of clients, are not in order.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._pair: KeyPair = ring.server()
        self._clients: dict[str, Client] = {}
        self._stamp: object = ring.stamp()
        self._take(ring.clients())
        self._authenticator: Authenticator | None = None
        self._endpoints: dict[str, str] = {}
        self._probe: Probe | None = None
        self._unanswered = 0
        """Tries without all answers, in a row."""
        self._next_look = self._next_probe = 0.0

    def open(self, context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
        """Begin to answer for the sockets of a context, before the first of them is bound.

        Returns:
            A socket to poll: `serve` has something to do when it is readable.
        """
        self._authenticator = Authenticator(context, self.allowed)
        return self._authenticator.socket

    def secure(self, sock: zmq.Socket[bytes]) -> None:
        """Shut a socket that is not yet bound to everybody who is not allowed in."""
        sock.curve_server = True
        sock.curve_publickey = self._pair.public.encode()
        sock.curve_secretkey = self._pair.secret.encode()
        sock.zap_domain = DOMAIN
        sock.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def prove(self, endpoints: Mapping[str, str]) -> None:
        """Try the bound sockets from outside, and again every `PROBE_S` in `serve`.

        Raises:
            DoorOpen: one of them lets strangers in, or gives no answer `MAX_UNANSWERED` times.
        """
        self._endpoints = dict(endpoints)
        proven = False
        while not proven:
            self._next_probe = 0.0
            while self._look_outside():
                self._answer()
                time.sleep(0.002)
            proven = not self._unanswered

    def allowed(self, key: str) -> bool:
        """Whether a public key is on the list."""
        return key in self._clients

    def role(self, key: str | None) -> Role | None:
        """What the holder of a public key may ask; None: nothing."""
        client = self._clients.get(key or "")
        return None if client is None else GIVES[client.role]

    def serve(self) -> bool:
        """Answer who wants to come in, look after the list, and try the door when it is time.

        Returns:
            True when somebody may be connected who is no longer allowed: bind the sockets anew.

        Raises:
            DoorOpen: a socket lets strangers in, or gives no answer `MAX_UNANSWERED` times in a row.
        """
        self._answer()
        self._look_outside()
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_S
        return self._look_at_list()

    def close(self) -> None:
        """Let nobody in any more; closing twice does nothing."""
        self._stop_probe()
        if self._authenticator is not None:
            self._authenticator.close()
            self._authenticator = None

    def _answer(self) -> None:
        if self._authenticator is not None:
            self._authenticator.serve()

    def _look_at_list(self) -> bool:
        stamp = self._ring.stamp()
        if stamp == self._stamp:
            return False
        before = set(self._clients)
        try:
            self._take(self._ring.clients())
            self._stamp = stamp
        except (KeyFileError, OSError) as error:  # tried again at the next look
            if self._clients:
                log.error("%s; nobody is let in until that is put right", error)
            self._clients, self._stamp = {}, None
        return bool(before - set(self._clients))

    def _take(self, clients: list[Client]) -> None:
        self._clients = {client.public: client for client in clients}

    def _look_outside(self) -> bool:
        """Go on with a probe, or begin one that is due; whether one is under way."""
        now = time.monotonic()
        if self._probe is None:
            if now < self._next_probe or not self._endpoints:
                return False
            self._next_probe = now + PROBE_S
            self._probe = Probe(self._endpoints, self._pair.public)
        if not self._probe.step():
            return True
        silent = ", ".join(self._probe.unanswered)
        self._stop_probe()
        self._unanswered = self._unanswered + 1 if silent else 0
        if self._unanswered >= MAX_UNANSWERED:
            raise DoorOpen(
                f"whether the door is shut cannot be told: {self._unanswered} times in a row no answer from {silent}; "
                "closed all public sockets"
            )
        if silent:
            log.warning("the door could not be tried: no answer from %s", silent)
        return False

    def _stop_probe(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None
