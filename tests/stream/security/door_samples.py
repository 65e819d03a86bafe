"""Sockets with a door, and peers that try to get through it: real ones, over tcp."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import zmq

from stream.publisher import Publisher
from stream.security.client_keys import ClientKeys
from stream.security.door import Door
from stream.security.key_ring import KeyRing, KeyRole
from stream.security.keys import KeyPair
from stream.sockets import PublisherSockets
from stream.types import Event, EventKind, Phase, Severity, SkeletonFrame

ANY = "tcp://127.0.0.1:*"
NAMES = ("events", "query", "skeletons")


def alarm(number: int = 0) -> Event:
    """An alarm that begins; `number` sets its id and time."""
    t = (number + 1) * 1_000_000_000
    return Event(
        id=f"01J{number:023d}",
        phase=Phase.START,
        kind=EventKind.ACTION,
        severity=Severity.ALERT,
        source="cam1",
        track=3,
        name="fall",
        prompt="a person falls to the floor",
        t=t,
        t_start=t,
        t_end=None,
        score=0.9,
        peak=0.9,
        margin=0.1,
        reason=None,
    )


def nobody() -> SkeletonFrame:
    """A frame without people."""
    joints, confidence = np.zeros((0, 25, 3), np.float32), np.zeros((0, 25), np.float32)
    return SkeletonFrame("cam1", 0, 1, "kinect_v2", joints, confidence, np.zeros(0, np.int64))


def issue(ring: KeyRing, name: str = "reader", role: KeyRole = "subscribe") -> ClientKeys:
    """Make a key and read it back as its owner does."""
    return ClientKeys.read(ring.new(name, role), ring.server_public)


def stranger(ring: KeyRing) -> ClientKeys:
    """Keys that nobody allowed."""
    return ClientKeys(KeyPair.fresh(), ring.server().public)


def behind(door: Door | None, **options: object) -> PublisherSockets:
    """All three sockets, not yet bound."""
    addresses = {"events": ANY, "query": ANY, "skeletons": ANY}
    return PublisherSockets(Publisher("n"), **{**addresses, "heartbeat_s": 0.02, "door": door, **options})  # type: ignore[arg-type]


@contextmanager
def peer(sockets: PublisherSockets, name: str, keys: ClientKeys | None) -> Iterator[zmq.Socket[bytes]]:
    """A plain client of one socket that wants whatever it can get."""
    with zmq.Context() as context, context.socket(zmq.DEALER if name == "query" else zmq.SUB) as sock:
        sock.linger = 0
        sock.reconnect_ivl = 20
        if keys is not None:
            keys.apply(sock)
        sock.connect(sockets.endpoints[name])
        if name != "query":
            sock.subscribe(b"")
        yield sock


def receives(sockets: PublisherSockets, name: str, sock: zmq.Socket[bytes], seconds: float) -> list[bytes] | None:
    """Publish and answer for so long; return what the peer gets first, None if that is nothing."""
    if name == "query":
        sock.send(b'{"v":1,"type":"ping","id":"me"}')
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        sockets.serve(5)
        sockets.send(sockets.publisher.publish_event(alarm()))
        sockets.send(sockets.publisher.publish_skeleton(nobody()))
        if sock.poll(0):
            return sock.recv_multipart()
    return None


def gets_in(sockets: PublisherSockets, name: str, keys: ClientKeys | None, seconds: float = 0.6) -> bool:
    """Whether a peer with these keys, or none, gets anything at all."""
    with peer(sockets, name, keys) as sock:
        return receives(sockets, name, sock, seconds) is not None


def asks(sockets: PublisherSockets, keys: ClientKeys | None, request: dict[str, object]) -> dict[str, object]:
    """The reply to a request."""
    with peer(sockets, "query", keys) as sock:
        sock.send(json.dumps({"v": 1, **request}).encode())
        deadline = time.monotonic() + 10
        while not sock.poll(0):
            assert time.monotonic() < deadline, "no reply"
            sockets.serve(5)
        return dict(json.loads(sock.recv_multipart()[-1]))


def ring_in(folder: Path) -> KeyRing:
    """An empty key ring."""
    return KeyRing(folder / "keys")


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
