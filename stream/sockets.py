"""The publisher's public sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import zmq

from stream.answers import answer
from stream.endpoints import socket_file, unlink_own
from stream.messages import Message
from stream.publisher import Publisher
from stream.query import MAX_REQUEST, Request
from stream.roles import Role
from stream.topics import Kind
from stream.transport import bind, harden

HEARTBEAT_S = 0.5
EVENTS_HIGH_WATER = 10_000
SKELETONS_HIGH_WATER = 200
QUERY_HIGH_WATER = 16
"""Replies queued for a client that does not read; each may be a megabyte."""
LINGER_MS = 1_000

_BATCH = 64
"""Requests answered in one step, so that no client keeps the publisher from publishing."""
_DRAIN = 10_000
_MAX_SUBSCRIPTION = 1024
"""Bytes of the largest frame from a subscriber: a topic, or what its library tells of itself on connecting."""
_SETTLE_S = 0.05
"""A subscriber of several topics sends several subscriptions, a moment apart."""

Address = tuple[bytes, ...]
"""Where a reply goes: the frames to put before it."""


class PublisherSockets:
    """Sends a publisher's messages and answers queries. Bound from `open` (or `with`) until `close`.

    All methods belong to one thread. Nobody who connects can make it wait: events for a subscriber that does not keep
    up are dropped past the high-water mark (it sees that by the numbers), as are replies that nobody reads. The loop
    that owns it calls `serve` often: it answers queries, sends heartbeats and takes in subscriptions.

    Args:
        publisher: whose messages; its journal answers the queries.
        events: endpoint of events, status and heartbeats.
        query: endpoint of queries, None for none.
        skeletons: endpoint of skeletons and scores, None for none.
        heartbeat_s: seconds between heartbeats.
        events_high_water: events queued for a subscriber that does not keep up.

    Attributes:
        publisher: see above.
        endpoints: the addresses bound to, by `events`, `query` and `skeletons`.
        role: of everybody who asks.
        forward: takes requests that the publisher cannot answer; returns why not, or nothing: then `reply` is called
            later. None: nobody takes them.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        events: str,
        query: str | None = None,
        skeletons: str | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        events_high_water: int = EVENTS_HIGH_WATER,
    ) -> None:
        self.publisher = publisher
        self.endpoints: dict[str, str] = {}
        self.role = Role.READ
        self.forward: Callable[[Address, Request], str] | None = None
        self._wanted = {"events": events, "query": query, "skeletons": skeletons}
        self._heartbeat_s = heartbeat_s
        self._high_water = {"events": events_high_water, "query": QUERY_HIGH_WATER, "skeletons": SKELETONS_HIGH_WATER}
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._files: list[tuple[Path, int]] = []
        self._poller = zmq.Poller()
        self._next_heartbeat = 0.0
        self._subscriptions = 0

    def open(self) -> None:
        """Bind.

        Raises:
            EndpointError: an address is in use, or may not be bound to.
        """
        self._context = zmq.Context()
        try:
            for name, endpoint in self._wanted.items():
                if endpoint is not None:
                    self._bind(self._context, name, endpoint)
        except BaseException:
            self.close()
            raise

    def _bind(self, context: zmq.Context[zmq.Socket[bytes]], name: str, endpoint: str) -> None:
        sock = context.socket(zmq.ROUTER if name == "query" else zmq.XPUB)
        self._sockets[name] = sock
        harden(
            sock,
            send_high_water=self._high_water[name],
            receive_high_water=1_000,
            max_size=MAX_REQUEST if name == "query" else _MAX_SUBSCRIPTION,
        )
        self.endpoints[name] = bind(sock, endpoint, f"publish.{name}")
        own = socket_file(self.endpoints[name])
        if own is not None:
            self._files.append(own)
        self._poller.register(sock, zmq.POLLIN)

    @property
    def wants_skeletons(self) -> bool:
        """Whether there is a socket for skeletons and scores."""
        return "skeletons" in self._sockets

    def send(self, message: Message) -> None:
        """Send a message to whoever subscribed to it; skeletons and scores go nowhere without their own socket."""
        name = "skeletons" if message.topic.kind in (Kind.SKELETON, Kind.SCORE) else "events"
        sock = self._sockets.get(name)
        if sock is not None:
            sock.send_multipart(message.frames())

    def serve(self, timeout_ms: int = 0) -> None:
        """Answer queries, take in subscriptions and send a heartbeat when it is due.

        Args:
            timeout_ms: how long to wait for something to do; 0 only does what is there.
        """
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self.send(self.publisher.heartbeat())
            self._next_heartbeat = now + self._heartbeat_s
        until_heartbeat = int(1000 * (self._next_heartbeat - now)) + 1
        ready = dict(self._poller.poll(min(timeout_ms, until_heartbeat)))
        for name, sock in self._sockets.items():
            if sock in ready:
                if name == "query":
                    self._answer(sock)
                else:
                    self._subscribe(sock, name)

    def reply(self, address: Address, body: bytes) -> None:
        """Send a reply; one for a client that is gone, or reads none, is dropped."""
        sock = self._sockets.get("query")
        if sock is not None:
            with suppress(zmq.Again):
                sock.send_multipart([*address, body], zmq.NOBLOCK)

    def wait_for_subscriber(self, timeout: float) -> bool:
        """Serve until somebody has subscribed to events, for at most `timeout` seconds; return whether anybody has.

        What is sent afterwards reaches them: the subscription is in force when it is seen here.
        """
        deadline = time.monotonic() + timeout
        while not self._subscriptions and time.monotonic() < deadline:
            self.serve(50)
        known = -1
        while known != self._subscriptions and time.monotonic() < deadline:
            known = self._subscriptions
            settled = time.monotonic() + _SETTLE_S
            while time.monotonic() < settled:
                self.serve(10)
        return self._subscriptions > 0

    def close(self) -> None:
        """Send what is queued, for at most a second, and unbind; closing twice does nothing."""
        sockets, self._sockets = self._sockets, {}
        context, self._context = self._context, None
        files, self._files = self._files, []
        self._subscriptions = 0
        for sock in sockets.values():
            if sock in self._poller:
                self._poller.unregister(sock)
            sock.close(linger=LINGER_MS)
        if context is not None:
            context.term()
        for path, inode in files:
            unlink_own(path, inode)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _subscribe(self, sock: zmq.Socket[bytes], name: str) -> None:
        """Take in subscriptions: XPUB tells of the first subscriber of a topic and of the last to leave it."""
        for _ in range(_DRAIN):
            try:
                data = sock.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if name == "events" and data[:1] in (b"\0", b"\1"):
                self._subscriptions += 1 if data[0] else -1

    def _answer(self, sock: zmq.Socket[bytes]) -> None:
        for _ in range(_BATCH):
            try:
                identity, *parts = sock.recv_multipart(zmq.NOBLOCK)
                # a REQ socket puts an empty frame before the request and wants it back; a DEALER need not
                *delimiter, body = parts if len(parts) in (1, 2) else [b""]
            except zmq.Again:
                return
            address = (identity, *delimiter)
            forward = None if self.forward is None else partial(self.forward, address)
            reply = answer(self.publisher, body, self.role, forward)
            if reply is not None:
                self.reply(address, reply)
