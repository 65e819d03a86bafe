"""The reference subscriber: messages in order, each once, with what was lost fetched again or told of."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import zmq
from msgspec import Raw

from stream.messages import MAX_BODY, Message, MessageError, decode, decode_body, topic_of
from stream.query import AfterReply, ErrorReply, PromptInfo, Reply, Request, SnapshotReply
from stream.requester import Requester
from stream.sequence import Gap, Sequencer
from stream.structs import VERSION, HeartbeatData, SourceState, UnknownData
from stream.topics import JOURNALED, Kind, prefix
from stream.transport import connect, harden

HIGH_WATER = 10_000
QUERY_TIMEOUT_S = 1.0

_BATCH = 1_000
_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The publisher's state when the subscriber joined, or after the publisher had started anew.

    Messages numbered up to `seqs` may still follow where they were under way: they are older than this state.

    Attributes:
        node, epoch: of the publisher.
        seqs: newest number of each kind at that moment.
        open_events: last message of each event that has not ended, of the topics subscribed to.
        sources: last status of each source.
        prompts: the prompts in use.
    """

    node: str
    epoch: str
    seqs: dict[str, int]
    open_events: list[Message]
    sources: dict[str, SourceState]
    prompts: list[PromptInfo]


Item = Message | Gap | Snapshot


class Subscriber:
    """Yields messages, snapshots and gaps of one publisher, for ever; connects and reconnects by itself.

    Every message of a kind is numbered, whatever its source and name: so whole kinds are subscribed to, and topics
    are told apart here. Otherwise a message of another topic would look like a lost one. One thread only; connected
    from `open` (or `with`) until `close`.

    Args:
        events: the publisher's `events` endpoint (or `skeletons`, where losses are told of but not made good).
        query: its `query` endpoint; without it there is no snapshot, and what is lost stays lost.
        topics: what to yield: "", "alarm", "alarm/cam1" or full topics.
        high_water: messages that the socket queues while nobody reads.
        query_timeout: seconds for a reply; after three of them the subscriber goes on without.

    Raises:
        TopicError: a topic can match nothing.
    """

    def __init__(
        self,
        events: str,
        query: str | None = None,
        topics: Sequence[str] = ("",),
        *,
        high_water: int = HIGH_WATER,
        query_timeout: float = QUERY_TIMEOUT_S,
    ) -> None:
        self._events_endpoint, self._query_endpoint = events, query
        self._prefixes = tuple(prefix(topic) for topic in topics)
        self._kinds = {name.split(b"/")[0] + b"/" if name else b"" for name in self._prefixes}
        self._journaled = [kind for kind in JOURNALED if self._kinds & {b"", f"{kind}/".encode()}]
        self._high_water = high_water
        self._query_timeout = query_timeout
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    def open(self) -> None:
        """Connect; the publisher need not be there yet.

        Raises:
            EndpointError: an endpoint is malformed.
        """
        self._malformed = 0
        self._ready: deque[Item] = deque()
        self._numbers: Sequencer[Message] | None = None
        self._joining = self._query_endpoint is not None
        self._waiting: list[Message] = []
        self._requester: Requester | None = None
        self._poller = zmq.Poller()
        self._context = zmq.Context()
        try:
            self._events = self._context.socket(zmq.SUB)
            harden(self._events, send_high_water=1_000, receive_high_water=self._high_water, max_size=MAX_BODY)
            for kind in sorted({*self._kinds, b"heartbeat/"}):
                self._events.setsockopt(zmq.SUBSCRIBE, kind)
            connect(self._events, self._events_endpoint)
            self._poller.register(self._events, zmq.POLLIN)
            if self._query_endpoint is not None:
                self._requester = Requester(self._context, self._query_endpoint, self._poller, self._query_timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; closing twice does nothing."""
        context, self._context = self._context, None
        if context is not None:
            context.destroy(linger=0)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def malformed(self) -> int:
        """Messages and replies since `open` that were no wire version 1 and were skipped."""
        return self._malformed + (0 if self._requester is None else self._requester.malformed)

    def __iter__(self) -> Iterator[Item]:
        while True:
            item = self.receive()
            if item is not None:
                yield item

    def receive(self, timeout: float | None = None) -> Item | None:
        """Return the next item, or None if none came within `timeout` seconds (None waits for ever)."""
        if self._context is None:
            raise RuntimeError("subscriber is not open")
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._ready:
            left = _TICK_S if deadline is None else deadline - time.monotonic()
            self._step(min(max(left, 0.0), _TICK_S))
            if left <= 0 and not self._ready:
                return None
        return self._ready.popleft()

    def _step(self, wait: float) -> None:
        """Read what is there, waiting at most `wait` seconds for something, and ask for what is missing."""
        requester = self._requester
        if requester is not None:
            if requester.pending is None:
                self._ask(requester)
            until = requester.wait()
            wait = wait if until is None else min(wait, until)
        self._poller.poll(int(1000 * wait) + 1)
        self._read_events()
        if requester is None:
            return
        for reply in requester.replies():
            self._take(requester, reply)
        lost = requester.pending
        if requester.overdue() and lost is not None:
            self._go_without(lost)

    def _read_events(self) -> None:
        for _ in range(_BATCH):
            try:
                message = decode(self._events.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            except MessageError:
                self._malformed += 1
                continue
            if self._numbers is None or self._numbers.epoch != message.envelope.epoch:
                self._numbers = self._start_epoch(message.envelope.epoch)
            if not self._joining:
                self._apply(self._numbers, message)
            elif len(self._waiting) < self._high_water:
                self._waiting.append(message)

    def _start_epoch(self, epoch: str) -> Sequencer[Message]:
        """Close the numbers of a publisher that is gone; of the new one everything counts, unless it is the first."""
        old = self._numbers
        if old is not None:
            self._stop_joining(old)
            for kind, _ in old.holes():
                self._ready.extend(old.give_up(kind))
            if self._requester is not None:
                self._joining = True
                self._requester.reset()
        return Sequencer(epoch, from_start=old is not None)

    def _stop_joining(self, numbers: Sequencer[Message]) -> None:
        self._joining = False
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self._apply(numbers, message)

    def _apply(self, numbers: Sequencer[Message], message: Message) -> None:
        """Bring a published message into order."""
        envelope = message.envelope
        if message.topic.kind == Kind.HEARTBEAT:
            if self._wants(message):
                self._ready.append(message)
            if isinstance(envelope.data, HeartbeatData):
                for kind in self._journaled:
                    numbers.hear(kind, envelope.data.seqs.get(kind, 0))
        else:
            wanted = message if self._wants(message) else None
            self._ready.extend(numbers.push(message.topic.kind, envelope.seq, wanted))
        for hole, _ in numbers.holes():
            if self._requester is None or hole not in self._journaled:
                self._ready.extend(numbers.give_up(hole))

    def _wants(self, message: Message) -> bool:
        known = not isinstance(message.envelope.data, UnknownData)
        return known and message.topic.encode().startswith(self._prefixes)

    def _read(self, body: Raw) -> tuple[int, Message | None]:
        """Return the number of a message that a reply holds, and the message if it is wanted."""
        envelope = decode_body(body)
        if isinstance(envelope.data, UnknownData):
            return envelope.seq, None
        message = Message(topic_of(envelope), envelope, bytes(body))
        return envelope.seq, message if self._wants(message) else None

    def _ask(self, requester: Requester) -> None:
        """Send the next request, if anything is to be asked."""
        if self._joining:
            requester.send(Request(VERSION, "snapshot"))
        elif self._numbers is not None:
            for kind, seq in self._numbers.holes()[:1]:
                requester.send(Request(VERSION, "after", kind=kind, seq=seq))  # type: ignore[arg-type]  # of JOURNALED

    def _take(self, requester: Requester, reply: Reply) -> None:
        """Use a reply; one of another epoch is left to the timeout, since the restart has yet to be heard of."""
        try:
            if isinstance(reply, ErrorReply) and requester.pending is not None:
                self._go_without(requester.pending)
                requester.done()
            elif isinstance(reply, SnapshotReply) and self._joining:
                self._numbers = self._numbers or Sequencer(reply.epoch)
                if reply.epoch == self._numbers.epoch:
                    self._join(self._numbers, reply)
                    requester.done()
            elif isinstance(reply, AfterReply) and self._numbers is not None and reply.epoch == self._numbers.epoch:
                self._fill(self._numbers, reply)
                requester.done()
        except MessageError:
            self._malformed += 1

    def _join(self, numbers: Sequencer[Message], reply: SnapshotReply) -> None:
        events = [message for _, message in map(self._read, reply.open) if message is not None]
        self._ready.append(Snapshot(reply.node, reply.epoch, reply.seqs, events, reply.sources, reply.prompts))
        for kind in self._journaled:
            numbers.snapshot(kind, reply.seqs.get(kind, 0))
        self._stop_joining(numbers)

    def _fill(self, numbers: Sequencer[Message], reply: AfterReply) -> None:
        """Close a hole with what was fetched; what can be fetched no more becomes a `Gap`."""
        before = numbers.holes()
        for body in reply.messages:
            self._ready.extend(numbers.push(reply.kind, *self._read(body)))
        if reply.gap:
            self._ready.extend(numbers.skip(reply.kind, reply.first - 1))
        elif numbers.holes() == before:  # asking again would not help either
            self._ready.extend(numbers.give_up(reply.kind))

    def _go_without(self, request: Request) -> None:
        """Nobody answers: tell of the gap, or join without a snapshot, unless the publisher is silent altogether."""
        if self._numbers is None:
            return
        if request.kind is not None:
            self._ready.extend(self._numbers.give_up(request.kind))
        elif self._waiting:
            self._stop_joining(self._numbers)
