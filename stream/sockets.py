"""The publisher's public sockets."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import zmq

from stream.allowance import Allowance
from stream.answers import answer
from stream.endpoints import socket_file, unlink_own
from stream.messages import Message
from stream.publisher import Publisher
from stream.query import MAX_REQUEST, PAGE_BYTES, Request
from stream.roles import Role
from stream.security.door import Door
from stream.security.memory import MemoryGuard
from stream.security.probe import DoorOpen
from stream.topics import Kind
from stream.transport import bind, harden, unbind

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

log = logging.getLogger(__name__)

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
        door: encrypts every socket and says who may connect and ask what; None: everybody may who reaches them, which
            only those of this machine do.
        guard: says when peers have filled the memory; None: nobody looks.

    Attributes:
        publisher: see above.
        endpoints: the addresses bound to, by `events`, `query` and `skeletons`.
        role: of everybody who asks; with a door the most that a key gives.
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
        door: Door | None = None,
        guard: MemoryGuard | None = None,
    ) -> None:
        self.publisher = publisher
        self.endpoints: dict[str, str] = {}
        self.role = Role.READ
        self.forward: Callable[[Address, Request], str] | None = None
        self._wanted = {"events": events, "query": query, "skeletons": skeletons}
        self._heartbeat_s = heartbeat_s
        self._door, self._guard = door, guard
        self._high_water = {"events": events_high_water, "query": QUERY_HIGH_WATER, "skeletons": SKELETONS_HIGH_WATER}
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._files: list[tuple[Path, int]] = []
        self._poller = zmq.Poller()
        self._held: list[Message] = []
        self._allowance = Allowance(time.monotonic())
        self._next_heartbeat = 0.0
        self._subscriptions = 0

    def open(self) -> None:
        """Bind.

        Raises:
            EndpointError: an address is in use, or may not be bound to.
            DoorOpen: strangers are let in, in spite of the door.
        """
        self._context = zmq.Context()
        try:
            if self._door is not None:
                self._asked = self._door.open(self._context)
                self._poller.register(self._asked, zmq.POLLIN)
            for name, endpoint in self._wanted.items():
                if endpoint is not None:
                    self._bind(self._context, name, endpoint)
            if self._door is not None:
                self._door.prove(self.endpoints)
        except BaseException:
            self._shut(0)
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
        if self._door is not None:
            self._door.secure(sock)
        self.endpoints[name] = bind(sock, endpoint, f"publish.{name}", secured=self._door is not None)
        own = socket_file(self.endpoints[name])
        if own is not None:
            self._files.append(own)
        self._poller.register(sock, zmq.POLLIN)

    @property
    def wants_skeletons(self) -> bool:
        """Whether there is a socket for skeletons and scores."""
        return "skeletons" in self._sockets

    def send(self, message: Message) -> None:
        """Send a message to whoever subscribed to it; skeletons and scores go nowhere without their own socket.

        With a durable journal it waits for the next `serve`, or `flush`, which commits it first, with all the others.
        """
        if self.publisher.journal.uncommitted:
            self._held.append(message)
        else:
            self._send(message)

    def flush(self) -> None:
        """Commit what was published, then send it."""
        self.publisher.journal.commit()
        held, self._held = self._held, []
        for message in held:
            self._send(message)

    def _send(self, message: Message) -> None:
        name = "skeletons" if message.topic.kind in (Kind.SKELETON, Kind.SCORE) else "events"
        sock = self._sockets.get(name)
        if sock is not None:
            sock.send_multipart(message.frames())

    def serve(self, timeout_ms: int = 0) -> None:
        """Answer queries, take in subscriptions and send a heartbeat when it is due.

        Args:
            timeout_ms: how long to wait for something to do; 0 only does what is there.

        Raises:
            DoorOpen: strangers are let in, in spite of the door; everything is closed.
            TooLarge: there is too much in memory that dropping everybody did not free.
        """
        self._keep_door()
        self.flush()
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self.send(self.publisher.heartbeat())
            self._next_heartbeat = now + self._heartbeat_s
        until = min(self._next_heartbeat - now, self._rest(now) or math.inf)
        ready = dict(self._poller.poll(min(timeout_ms, int(1000 * until) + 1)))
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

    def drop(self, name: str) -> None:
        """Drop everybody who is connected to a socket; who may come in can come again, and ask for what was missed."""
        if self._context is None:
            return
        old = self._sockets[name]
        unbind(old, self.endpoints[name])
        if old in self._poller:
            self._poller.unregister(old)
        old.close(linger=0)
        if name == "events":
            self._subscriptions = 0
        self._files = [file for file in self._files if file[0].exists()]
        self._bind(self._context, name, self.endpoints[name])

    def close(self) -> None:
        """Send what is queued, for a second at most, and unbind; closing twice does nothing."""
        self.flush()
        self._shut(LINGER_MS)

    def _shut(self, linger_ms: int) -> None:
        sockets, self._sockets = self._sockets, {}
        context, self._context = self._context, None
        files, self._files = self._files, []
        self._subscriptions = 0
        for sock in sockets.values():
            if sock in self._poller:
                self._poller.unregister(sock)
            sock.close(linger=linger_ms)
        if self._door is not None and context is not None:
            if self._asked in self._poller:
                self._poller.unregister(self._asked)
            self._door.close()
        if context is not None:
            context.term()
        for path, inode in files:
            unlink_own(path, inode)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _keep_door(self) -> None:
        """See to it that only those are connected who may be, and that they fill no memory."""
        if self._door is not None:
            try:
                struck_off = self._door.serve()
            except DoorOpen:
                # Strangers may be listening: what waits goes to the journal, for who asks later, and to nobody now.
                self._held.clear()
                self._shut(0)
                self.publisher.journal.commit()
                raise
            if struck_off:
                log.info("a key was revoked: everybody connects anew")
                for name in self._sockets:
                    self.drop(name)
        # Whoever asks can fill more, and live events matter most.
        full = None if self._guard is None else self._guard.look([*reversed(self._sockets)])
        if full is not None:
            log.warning("too much memory in use: dropping everybody who is connected to publish.%s", full)
            self.drop(full)

    def _role_of(self, frame: zmq.Frame) -> Role | None:
        """What the sender of a frame may ask; None: nothing."""
        if self._door is None:
            return self.role
        try:
            user = frame.get("User-Id")
        except zmq.ZMQError:  # it has none
            return None
        role = self._door.role(str(user))
        return role if role is None or self.role is Role.CONTROL else Role.READ

    def _subscribe(self, sock: zmq.Socket[bytes], name: str) -> None:
        """Take in subscriptions: XPUB tells of the first subscriber of a topic and of the last to leave it."""
        for _ in range(_DRAIN):
            try:
                data = sock.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if name == "events" and data[:1] in (b"\0", b"\1"):
                self._subscriptions += 1 if data[0] else -1

    def _rest(self, now: float) -> float:
        """Leave requests waiting while it is the turn of live messages; for how many seconds from now."""
        rest = self._allowance.wait(now)
        if "query" in self._sockets:
            self._poller.register(self._sockets["query"], 0 if rest else zmq.POLLIN)  # 0 is none
        return rest

    def _answer(self, sock: zmq.Socket[bytes]) -> None:
        for _ in range(_BATCH):
            began = time.monotonic()
            if self._allowance.wait(began):
                return
            try:
                frames = sock.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            role = self._role_of(frames[-1])
            if role is None:  # struck off a moment ago
                continue
            identity, *parts = (frame.bytes for frame in frames)
            # a REQ socket puts an empty frame before the request and wants it back; a DEALER need not
            *delimiter, body = parts if len(parts) in (1, 2) else [b""]
            address = (identity, *delimiter)
            forward = None if self.forward is None else partial(self.forward, address)
            reply = answer(self.publisher, body, role, forward)
            if reply is not None:
                self.reply(address, reply)
            # A snapshot may be long, but is asked for once.
            self._allowance.spend(time.monotonic() - began, min(len(reply or b""), PAGE_BYTES))
