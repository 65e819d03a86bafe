"""Tries the public sockets from outside, as somebody who must not get in."""

from __future__ import annotations

import time
from collections.abc import Mapping

import zmq
from zmq.utils.monitor import parse_monitor_message

from stream.errors import PosewireError
from stream.security.client_keys import ClientKeys
from stream.security.keys import KeyPair
from stream.transport import connect, harden

TIMEOUT_S = 10.0

_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_DISCONNECTED
)


class DoorOpen(PosewireError):
    """A public socket lets strangers in, or nobody can tell that it does not."""


class Probe:
    """Connects to each public socket with no key, and with a key that nobody knows; never waits.

    Args:
        endpoints: where the sockets are bound, by name.
        server: public key of the daemon.
    """

    def __init__(self, endpoints: Mapping[str, str], server: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._tries: dict[tuple[str, str], zmq.Socket[bytes]] = {}
        """What tells of each try that goes on."""
        self._deadline = time.monotonic() + TIMEOUT_S
        for name, endpoint in endpoints.items():
            self._try(name, endpoint, "no key", None)
            self._try(name, endpoint, "an unknown key", ClientKeys(KeyPair.fresh(), server))

    def _try(self, name: str, endpoint: str, what: str, keys: ClientKeys | None) -> None:
        sock = self._context.socket(zmq.DEALER if name == "query" else zmq.SUB)
        self._sockets.append(sock)
        harden(sock, send_high_water=1, receive_high_water=1, max_size=1 << 20)
        sock.reconnect_ivl = -1
        self._tries[name, what] = sock.get_monitor_socket(_EVENTS)
        connect(sock, endpoint, keys)

    def step(self) -> bool:
        """Look at what has come of it, and return whether all is known, or as much as will be.

        Raises:
            DoorOpen: somebody was let in.
        """
        for (name, what), monitor in list(self._tries.items()):
            if not monitor.poll(0):
                continue
            event = parse_monitor_message(monitor.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                raise DoorOpen(
                    f"publish.{name} lets in who has {what}, in spite of security.curve; closed all public sockets"
                )
            self._tries.pop((name, what)).close()
        return not self._tries or time.monotonic() > self._deadline

    @property
    def unanswered(self) -> list[str]:
        """Tries of which nothing came, such as of a machine too busy."""
        return [f"publish.{name} with {what}" for name, what in self._tries]

    def close(self) -> None:
        """Disconnect."""
        self._context.destroy(linger=0)
