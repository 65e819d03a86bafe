"""A subscriber by docs/protocol.md alone: nothing of the project is imported, and nothing but pyzmq is needed.

As a program it appends each alarm, action, anomaly and status to a file, one line each, in order and each once, over
restarts of the publisher and of itself:

    python plain_subscriber.py EVENTS QUERY FILE
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence

import zmq

KINDS = ("alarm", "action", "anomaly", "status")
MOST_HELD = 20_000
MOST_FORMER = 64


class PlainSubscriber:
    """Follows one publisher. `epoch` and `seqs` are where it stands; set them before the first step to go on there."""

    def __init__(self, events: str, query: str) -> None:
        self.query = query
        self.context = zmq.Context()
        self.sub = self.context.socket(zmq.SUB)
        self.sub.setsockopt(zmq.HEARTBEAT_IVL, 1000)
        self.sub.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3000)
        for kind in (*KINDS, "heartbeat"):
            self.sub.subscribe(f"{kind}/".encode())
        self.sub.connect(events)
        self.poller = zmq.Poller()
        self.poller.register(self.sub, zmq.POLLIN)
        self.dealer: zmq.Socket | None = None
        self.request: dict | None = None  # under way
        self.deadline = 0.0
        self.count = 0
        self.live = ""  # the publisher's epoch
        self.held: dict[tuple[str, int], dict] = {}  # of that epoch: what came and is not yet due
        self.epoch = ""  # the one whose messages are given out
        self.seqs: dict[str, int] = {}  # the last number of each kind that was given out
        self.known: dict[str, int] = {}  # the newest number of each kind in `epoch` that was heard of
        self.fetch: set[str] = set()  # kinds to ask for
        self.next = ""  # the epoch after an earlier one
        self.former: list[str] = []  # epochs before `epoch`, the latest first, back to one that the journal had
        self.kept: bool | None = None  # whether the journal has `epoch`, an earlier one; None: nobody has said
        self.due: list[tuple[dict, str, dict[str, int], list[str]]] = []

    def go_on(self, epoch: str, seqs: dict[str, int], former: Sequence[str] = ()) -> None:
        """Begin with what follows these numbers."""
        self.epoch, self.seqs, self.known, self.next = epoch, dict(seqs), dict(seqs), ""
        self.former, self.kept = list(former), None
        self.fetch = set(seqs)

    def step(self, timeout_ms: int = 100) -> list[tuple[dict, str, dict[str, int], list[str]]]:
        """What is next: messages, or `{"gap": [epoch, kind, first, last]}`, each with where it then stands."""
        self.ask()
        for sock, _ in self.poller.poll(timeout_ms):
            if sock is self.sub:
                self.hear()
            else:
                self.answered(json.loads(self.dealer.recv()))
        self.flush()
        due, self.due = self.due, []
        return due

    def give(self, message: dict, kind: str, seq: int) -> None:
        self.seqs[kind] = seq
        self.due.append((message, self.epoch, dict(self.seqs), list(self.former)))

    def lose(self, kind: str, last: int | None) -> None:
        first = self.seqs[kind] + 1
        self.give({"gap": [self.epoch, kind, first, last]}, kind, self.seqs[kind] if last is None else last)

    def hear(self) -> None:
        for _ in range(1000):
            try:
                body = self.sub.recv_multipart(zmq.NOBLOCK)[1]
            except zmq.Again:
                return
            message = json.loads(body)
            if message["v"] != 1 or message["type"] not in ("event", "status", "heartbeat"):
                continue
            if message["epoch"] != self.live:  # the publisher's first word, or it has started anew
                self.live, self.held, self.request = message["epoch"], {}, None
                self.epoch = self.epoch or self.live
                self.fetch |= set(self.seqs)
            if message["type"] == "heartbeat":
                newest, before = message["data"]["seqs"], 0
            else:
                newest, before = {kind_of(message): message["seq"]}, 1
                if len(self.held) < MOST_HELD:
                    self.held[kind_of(message), message["seq"]] = message
            for kind in KINDS:
                if self.epoch == self.live and kind in newest:
                    self.seqs.setdefault(kind, newest[kind] - before)  # what came before the first word is not missed
                    self.known[kind] = max(self.known.get(kind, 0), newest[kind])

    def flush(self) -> None:
        """Give out what is due, and see what is missing."""
        if self.epoch != self.live:
            if self.live and not self.fetch and not self.lost_way:  # an earlier epoch, and all of it is there
                for kind in self.seqs:
                    if self.known.get(kind, 0) > self.seqs[kind]:
                        self.lose(kind, self.known[kind])
                former = [self.epoch] if self.kept else [self.epoch, *self.former][:MOST_FORMER]
                self.go_on(self.next or self.live, dict.fromkeys(KINDS, 0), former)
            return
        for kind in self.seqs:
            while (message := self.held.pop((kind, self.seqs[kind] + 1), None)) is not None:
                self.give(message, kind, message["seq"])
            if self.known.get(kind, 0) > self.seqs[kind]:
                self.fetch.add(kind)
        for kind, seq in [key for key in self.held if key[1] <= self.seqs.get(key[0], 0)]:
            del self.held[kind, seq]

    @property
    def lost_way(self) -> bool:
        """The journal never had this epoch: what came after it is what came after the one before."""
        return self.epoch != self.live and not self.fetch and self.kept is False and bool(self.former)

    def ask(self) -> None:
        if not self.live or not (self.fetch or self.lost_way) or (self.request and time.monotonic() < self.deadline):
            return
        if self.dealer is None or self.request:  # at first, or as nobody answered
            self.connect()
        self.count += 1
        self.request = {"v": 1, "type": "after", "id": str(self.count)}
        if self.lost_way:
            self.request |= {"kind": KINDS[0], "seq": 0, "limit": 1, "epoch": self.former[0]}
        else:
            kind = min(self.fetch)
            self.request |= {"kind": kind, "seq": self.seqs[kind]}
        if self.epoch != self.live and not self.lost_way:
            self.request["epoch"] = self.epoch
        self.deadline = time.monotonic() + 1.0
        self.dealer.send(json.dumps(self.request).encode())

    def connect(self) -> None:
        if self.dealer is not None:
            self.poller.unregister(self.dealer)
            self.dealer.close(linger=0)
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.connect(self.query)
        self.poller.register(self.dealer, zmq.POLLIN)

    def answered(self, reply: dict) -> None:
        if self.request is None or reply["id"] != self.request["id"] or reply["type"] == "error":
            return  # an error: asked again after a second
        unknown = reply["gap"] and reply["first"] == 0
        if self.lost_way:
            if self.request.get("epoch") == self.former[0]:
                self.request = None
                if unknown:
                    del self.former[0]
                else:
                    self.next, self.kept = reply["next"], None
            return
        asked_for = self.request.get("epoch", self.live)
        earlier, kind = "epoch" in self.request, self.request["kind"]
        if asked_for != self.epoch or (reply["epoch"] != asked_for and not earlier):
            return  # the publisher has just started anew
        self.request = None
        unknown = unknown or reply["epoch"] != asked_for
        if earlier:
            self.kept = not unknown
        if unknown:
            self.lose(kind, None)
        elif reply["gap"]:
            self.lose(kind, reply["first"] - 1)
        for message in [] if unknown else reply["messages"]:
            if message["seq"] == self.seqs[kind] + 1:
                self.give(message, kind, message["seq"])
        if reply["epoch"] == asked_for:
            self.next = reply["next"]
        if unknown or not reply["more"]:
            self.fetch.discard(kind)


def kind_of(message: dict) -> str:
    """First level of the topic, by the table of the documentation."""
    data = message["data"]
    if message["type"] == "status":
        return "status"
    return "alarm" if data["severity"] != "info" or data["kind"] == "fault" else data["kind"]


def main(events: str, query: str, path: str) -> None:
    subscriber = PlainSubscriber(events, query)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    size = os.fstat(file).st_size
    tail = os.pread(file, 4096, max(size - 4096, 0))
    whole = tail[: tail.rfind(b"\n") + 1]  # a kill may have cut the last line
    os.ftruncate(file, size - len(tail) + len(whole))
    if whole:
        subscriber.go_on(*json.loads(whole.splitlines()[-1])["position"])
    while True:
        for message, epoch, seqs, former in subscriber.step():
            line = {"now": time.time(), "position": [epoch, seqs, former]}
            if "gap" in message:
                line["gap"] = message["gap"]
            else:
                line |= {"epoch": message["epoch"], "kind": kind_of(message), "seq": message["seq"]}
                line |= {"id": message["data"].get("id", ""), "t_pub": message["t_pub"]}
            os.write(file, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
