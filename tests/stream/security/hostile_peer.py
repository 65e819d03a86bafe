"""Somebody who means harm, as a process: `python hostile_peer.py ATTACK EVENTS QUERY SECONDS [COUNT]`."""

from __future__ import annotations

import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import zmq

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16 + 32)


def _ready(kind: bytes) -> bytes:
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return b"\x04" + bytes([len(body)]) + body


def _raw(endpoint: str, kind: bytes) -> socket.socket:
    """A connection past the handshake, by ZMTP 3.0 without libzmq (https://rfc.zeromq.org/spec/23/)."""
    sock = socket.create_connection(("127.0.0.1", int(endpoint.rsplit(":", 1)[1])))
    sock.settimeout(5)
    sock.sendall(GREETING + _ready(kind))
    sock.recv(4096)
    return sock


def _frame(body: bytes, *, more: bool) -> bytes:
    return struct.pack(">BQ", 2 | more, len(body)) + body


def _need(taken: int) -> None:
    """An attack on nobody proves nothing."""
    if not taken:
        raise SystemExit("no connection was taken")


def huge_frames(events: str, query: str, until: float) -> None:
    """Announces two gigabytes and sends what it can."""
    taken = 0
    while time.monotonic() < until:
        for endpoint, kind in ((events, b"SUB"), (query, b"DEALER")):
            with suppress(OSError), _raw(endpoint, kind) as sock:
                taken += 1
                sock.sendall(struct.pack(">BQ", 2, 2 << 30))
                for _ in range(200):
                    sock.sendall(bytes(1 << 20))
    _need(taken)


def endless_multipart(events: str, query: str, until: float) -> None:
    """Sends frame after frame of a message that never ends, to both sockets, and comes again when it is dropped."""
    chunks = {query: _frame(bytes(60_000), more=True) * 8, events: _frame(bytes(1_000), more=True) * 400}
    kinds = {events: b"SUB", query: b"DEALER"}
    taken = 0
    while time.monotonic() < until:
        for endpoint in (query, events):
            with suppress(OSError), _raw(endpoint, kinds[endpoint]) as sock:
                taken += 1
                turn = time.monotonic() + 1.5
                while time.monotonic() < min(until, turn):
                    sock.sendall(chunks[endpoint])
    _need(taken)


def subscriptions(events: str, _query: str, until: float) -> None:
    """Subscribes to 200,000 topics."""
    with zmq.Context() as context, context.socket(zmq.SUB) as sock:
        sock.linger, sock.sndhwm = 0, 0
        sock.connect(events)
        for number in range(200_000):
            sock.subscribe(f"alarm/{number:0200d}/".encode())
        time.sleep(max(0.0, until - time.monotonic()))


def half_open(events: str, query: str, until: float) -> None:
    """Opens 1,500 connections and says nothing, or half a greeting."""
    opened: list[socket.socket] = []
    most = 0
    while time.monotonic() < until:
        for number in range(750):
            for endpoint in (events, query):
                with suppress(OSError):
                    sock = socket.create_connection(("127.0.0.1", int(endpoint.rsplit(":", 1)[1])), timeout=1)
                    if number % 2:
                        sock.sendall(GREETING[:12])
                    opened.append(sock)
        most = max(most, len(opened))
        time.sleep(1)
        for sock in opened:
            sock.close()
        opened.clear()
    _need(most > 1000)


def unread_replies(_events: str, query: str, until: float) -> None:
    """Asks for pages of a megabyte from 50 connections and reads none."""
    with zmq.Context() as context:
        socks = [context.socket(zmq.DEALER) for _ in range(50)]
        for sock in socks:
            sock.linger, sock.rcvhwm, sock.rcvbuf = 0, 1, 4096
            sock.connect(query)
        while time.monotonic() < until:
            for sock in socks:
                with suppress(zmq.Again):
                    sock.send(b'{"v":1,"type":"after","kind":"alarm","seq":0}', zmq.NOBLOCK)
            time.sleep(0.01)
        context.destroy(linger=0)


def requests(random: random.Random) -> Iterator[bytes]:
    """Requests that are none, for ever: broken, deep, out of range, of unknown types, and random bytes."""
    good = b'{"v":1,"type":"after","id":"1","kind":"alarm","seq":0,"limit":1,"prompt":{"text":"a person","enter":0.5}}'
    numbers = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"9" * 400, b"1.5", b"null", b'"1"', b"[]", b"true"]
    deep = [b"[" * 30_000, b'{"a":' * 10_000, b'{"v":1,"type":"prompt_add","prompt":' + b'{"a":' * 5_000, b"[" * 900]
    types = [b"reboot", b"__class__", b"\\u0000", b"", b"x" * 65, b"heartbeat", b"../../etc/passwd", b"\xff\xfe"]
    while True:
        way = random.randrange(6)
        if way == 0:
            yield random.randbytes(random.randrange(200))
        elif way == 1:
            cut = bytearray(good)
            for _ in range(random.randrange(1, 6)):
                cut[random.randrange(len(cut))] = random.randrange(256)
            yield bytes(cut)
        elif way == 2:
            field = random.choice([b'"v":1', b'"seq":0', b'"limit":1', b'"enter":0.5'])
            yield good.replace(field, field.split(b":")[0] + b":" + random.choice(numbers))
        elif way == 3:
            yield good.replace(b"after", random.choice(types))
        elif way == 4:
            yield good[: random.randrange(len(good))] + good[random.randrange(len(good)) :]
        else:
            yield random.choice(deep) if random.random() < 0.01 else b"[" * random.randrange(100)


def fuzz(_events: str, query: str, until: float, count: int) -> None:
    """Sends so many requests that are none, in one to three frames, and a good one; reads the replies.

    Tells how many went out, how many replies came (of a flood some are dropped), and whether the good one had its own:
    then all before it were taken, as a connection keeps the order.
    """
    source = random.Random(7)
    with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
        sock.linger, sock.sndtimeo = 0, 5_000
        sock.connect(query)
        sent = replies = 0
        for request in requests(source):
            sock.send_multipart([b""] * source.choice((0, 0, 1, 2)) + [request])
            sent += 1
            if sent % 8 == 0:
                while sock.poll(0):
                    sock.recv_multipart()
                    replies += 1
            if sent >= count or time.monotonic() > until:
                break
        while sock.poll(2_000):
            sock.recv_multipart()
            replies += 1
        sock.send(b'{"v":1,"type":"ping","id":"the last"}')
        good = bool(sock.poll(30_000)) and b"the last" in sock.recv_multipart()[-1]
        sys.stdout.write(f"{sent} {replies} {good:d}\n")


ATTACKS = {
    attack.__name__: attack
    for attack in (huge_frames, endless_multipart, subscriptions, half_open, unread_replies, fuzz)
}

if __name__ == "__main__":
    ATTACKS[sys.argv[1]](sys.argv[2], sys.argv[3], time.monotonic() + float(sys.argv[4]), *map(int, sys.argv[5:]))
