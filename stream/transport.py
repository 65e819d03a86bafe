"""The options that every socket of posewire has, and how it binds and connects."""

from __future__ import annotations

from pathlib import Path

import zmq

from stream.endpoints import EndpointError, check_bind, clear_stale

HEARTBEAT_MS = 5_000
HANDSHAKE_MS = 5_000


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


def bind(sock: zmq.Socket[bytes], endpoint: str, key: str) -> str:
    """Bind a socket and return the address it got (the port, where any would do).

    Args:
        sock: a socket with its options set.
        endpoint: see `check_bind`.
        key: the configuration key that it comes from, for errors.

    Raises:
        EndpointError: the address is in use or cannot be bound to.
    """
    where = f'{key} = "{endpoint}"'
    try:
        endpoint = check_bind(endpoint)
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


def connect(sock: zmq.Socket[bytes], endpoint: str) -> None:
    """Connect a socket; the peer need not be there yet.

    Raises:
        EndpointError: the endpoint is malformed.
    """
    if "[" in endpoint:
        sock.setsockopt(zmq.IPV6, 1)
    try:
        sock.connect(endpoint)
    except zmq.ZMQError as error:
        expected = "expected an address such as tcp://127.0.0.1:5558"
        raise EndpointError(f"cannot connect to {endpoint!r}: {error.strerror}; {expected}") from None
