"""The options that every socket of posewire has, and how it binds and connects."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import zmq

from stream.endpoints import EndpointError, check_bind, clear_stale, reachable
from stream.security.client_keys import ClientKeys

HEARTBEAT_MS = 5_000
HANDSHAKE_MS = 5_000
UNBIND_S = 5.0


def harden(sock: zmq.Socket[bytes], *, send_high_water: int, receive_high_water: int, max_size: int) -> None:
    """Set what every socket has: bounded queues, bounded frames, dead peers noticed, no wait at close.

    Args:
        sock: a socket that is neither bound nor connected.
        send_high_water, receive_high_water: messages queued per peer.
        max_size: bytes of the largest frame taken from a peer; one that sends more is disconnected.
    """
    sock.setsockopt(zmq.SNDHWM, send_high_water)
    sock.setsockopt(zmq.RCVHWM, receive_high_water)
    sock.setsockopt(zmq.MAXMSGSIZE, max_size)
    sock.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    sock.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
    sock.setsockopt(zmq.HEARTBEAT_TTL, 3 * HEARTBEAT_MS)
    sock.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.IPV6, 0)


def bind(sock: zmq.Socket[bytes], endpoint: str, key: str, *, secured: bool = False) -> str:
    """Bind a socket and return the address it got (the port, where any would do).

    Args:
        sock: a socket with its options set.
        endpoint: see `check_bind`.
        key: the configuration key that it comes from, for errors.
        secured: the socket has CURVE on, and who may connect is asked of an authenticator.

    Raises:
        EndpointError: the address is in use or cannot be bound to.
    """
    where = f'{key} = "{endpoint}"'
    try:
        endpoint = check_bind(endpoint, secured=secured)
        if endpoint.startswith("ipc://"):
            clear_stale(Path(endpoint.removeprefix("ipc://")))
    except EndpointError as error:
        raise EndpointError(f"{key} = {error}") from None
    if "[" in endpoint:
        sock.setsockopt(zmq.IPV6, 1)
    try:
        sock.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise EndpointError(f"{where}: address already in use; is another posewire running?") from None
        raise EndpointError(f"{where}: cannot bind: {error.strerror}") from None
    return sock.getsockopt_string(zmq.LAST_ENDPOINT)


def unbind(sock: zmq.Socket[bytes], endpoint: str) -> None:
    """Unbind a socket and wait until its address is free, as libzmq does it in its own time.

    Raises:
        EndpointError: it does not become free.
    """
    sock.unbind(endpoint)
    deadline = time.monotonic() + UNBIND_S
    while _is_bound(endpoint):
        if time.monotonic() > deadline:
            raise EndpointError(f'"{endpoint}": still in use {UNBIND_S:.0f} s after it was unbound')
        time.sleep(0.001)


def _is_bound(endpoint: str) -> bool:
    if endpoint.startswith("ipc://"):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(endpoint.removeprefix("ipc://")) == 0
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    with socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as libzmq does: old connections do not count
        try:
            probe.bind((host.strip("[]"), int(port)))
            probe.listen()
        except OSError:
            return True
    return False


def connect(sock: zmq.Socket[bytes], endpoint: str, keys: ClientKeys | None = None) -> None:
    """Connect a socket; the peer need not be there yet.

    Args:
        sock: a socket with its options set.
        endpoint: of the peer, also as it binds to it.
        keys: to be let in by, where the peer asks for any.

    Raises:
        EndpointError: the endpoint is malformed.
    """
    if keys is not None:
        keys.apply(sock)
    if "[" in endpoint:
        sock.setsockopt(zmq.IPV6, 1)
    try:
        sock.connect(reachable(endpoint))
    except zmq.ZMQError as error:
        expected = "expected an address such as tcp://127.0.0.1:5558"
        raise EndpointError(f"cannot connect to {endpoint!r}: {error.strerror}; {expected}") from None
