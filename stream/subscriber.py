"""The reference subscriber: messages in order, each once, with what was lost fetched again or told of."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Self

import zmq

from stream.follower import Follower, Item, Snapshot
from stream.messages import MAX_BODY, Message, MessageError, decode
from stream.position import CursorFile, Position
from stream.query import AfterReply, ErrorReply, Reply, SnapshotReply
from stream.requester import Requester
from stream.security.client_keys import ClientKeys
from stream.sequence import Gap
from stream.structs import HeartbeatData
from stream.topics import JOURNALED, Kind, prefix
from stream.transport import connect, harden

HIGH_WATER = 10_000
QUERY_TIMEOUT_S = 1.0
PATIENCE_S = 60.0
"""Seconds for which messages are held back while nobody answers for an earlier one, where none may be missed."""
SILENT_S, SILENT_BEATS = 5.0, 3
"""Seconds, and intervals between heartbeats, without a word after which the publisher is silent: it has died, and
will start again."""
UNREADABLE_S = 3.0
"""Seconds for which the publisher may say that it cannot read what is missing, before that is lost: its disk may come
back, but what is new must not wait for that."""

LONGEST_BEAT_S = 60.0
"""Seconds between two heartbeats at most."""
_BATCH = 1_000
_TICK_S = 1.0
_SLOWEST = 8
"""How many times `query_timeout` a publisher that is too busy gets at most: asking again would keep it busier still."""


class Subscriber:
    """Yields messages, snapshots and gaps of one publisher, for ever; connects and reconnects by itself.

    Every message of a kind is numbered, whatever its source and name: so whole kinds are subscribed to, and topics
    are told apart here. Otherwise a message of another topic would look like a lost one. One thread only; connected
    from `open` (or `with`) until `close`.

    Of a publisher with a durable journal each alarm comes exactly once and in order, over restarts of both: of the
    publisher in any case, of the subscriber with `resume`. Asking for the next item says that the one before is done
    with: then the cursor file is written, so that after a kill that one item at most comes again. Who cannot have even
    that stores `position` together with what it made of the item, and hands it in as `resume`.

    Args:
        events: the publisher's `events` endpoint (or `skeletons`, where losses are told of but not made good).
        query: its `query` endpoint; without it there is no snapshot, and what is lost stays lost.
        topics: what to yield: "", "alarm", "alarm/cam1" or full topics.
        high_water: messages that the socket queues while nobody reads.
        query_timeout: seconds for a reply, more where a publisher is too busy; after thirty of them the subscriber goes
            on without, unless it is to `resume`: then after a minute, and in no case while the publisher is silent.
            Of one that answers, but cannot read its journal, what is missing is lost after a few seconds.
        keys: to be let in by, where the publisher asks for any.
        resume: where to go on, or the file that tells; needs `query`.

    Raises:
        TopicError: a topic can match nothing.
        ValueError: `resume` without `query`.
    """

    def __init__(
        self,
        events: str,
        query: str | None = None,
        topics: Sequence[str] = ("",),
        *,
        high_water: int = HIGH_WATER,
        query_timeout: float = QUERY_TIMEOUT_S,
        keys: ClientKeys | None = None,
        resume: CursorFile | Position | None = None,
    ) -> None:
        if resume is not None and query is None:
            raise ValueError("nobody to ask for what was missed; expected a query endpoint")
        self._events_endpoint, self._query_endpoint = events, query
        self._prefixes = tuple(prefix(topic) for topic in topics)
        self._kinds = {name.split(b"/")[0] + b"/" if name else b"" for name in self._prefixes}
        self._journaled = [kind for kind in JOURNALED if self._kinds & {b"", f"{kind}/".encode()}]
        self._high_water = high_water
        self._query_timeout = query_timeout
        self._keys = keys
        self._resume = resume
        self._patience = 30 * query_timeout if resume is None else PATIENCE_S
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    def open(self) -> None:
        """Connect; the publisher need not be there yet.

        Raises:
            EndpointError: an endpoint is malformed.
            CursorError: the cursor file cannot be used.
        """
        self._malformed = 0
        self._position = self._resume.read() if isinstance(self._resume, CursorFile) else self._resume
        self._follower = Follower(
            self._prefixes,
            self._journaled,
            asks=self._query_endpoint is not None,
            limit=self._high_water,
            position=self._position,
        )
        self._heard = -math.inf
        self._beat, self._beat_s = ("", 0.0), 0.0
        """Epoch and uptime of the last heartbeat, and how long it was after the one before."""
        self._stepped = time.monotonic()
        self._asked: float | None = None
        """Since when something is missing without a reply of use, None if nothing is; and of that the first refusal."""
        self._refused: float | None = None
        self._requester: Requester | None = None
        self._poller = zmq.Poller()
        self._context = zmq.Context()
        try:
            self._events = self._context.socket(zmq.SUB)
            harden(self._events, send_high_water=1_000, receive_high_water=self._high_water, max_size=MAX_BODY)
            for kind in sorted({*self._kinds, b"heartbeat/"}):
                self._events.setsockopt(zmq.SUBSCRIBE, kind)
            connect(self._events, self._events_endpoint, keys=self._keys)
            self._poller.register(self._events, zmq.POLLIN)
            if self._query_endpoint is not None:
                self._requester = Requester(
                    self._context, self._query_endpoint, self._poller, self._query_timeout, keys=self._keys
                )
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

    @property
    def position(self) -> Position | None:
        """Up to where everything is done with, the last item that was received included; None before anything was."""
        return self._position

    def acknowledge(self) -> None:
        """Say that the last item is done with, before the next one is asked for.

        Raises:
            CursorError: the cursor file cannot be written.
        """
        if isinstance(self._resume, CursorFile) and self._position is not None:
            self._resume.write(self._position)

    def receive(self, timeout: float | None = None) -> Item | None:
        """Return the next item, or None if none came within `timeout` seconds (None waits for ever).

        Raises:
            CursorError: the cursor file cannot be written.
        """
        if self._context is None:
            raise RuntimeError("subscriber is not open")
        self._done()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        tick = time.monotonic() + _TICK_S
        ready = self._follower.ready
        while not ready:
            now = time.monotonic()
            if now >= tick:
                tick = now + _TICK_S
                self._done()
            self._step(min(max(deadline - now, 0.0), _TICK_S))
            if now >= deadline and not ready:
                return None
        item = ready.popleft()
        self._position = self._follower.position if not ready else _after(self._position, item, self._journaled)
        return item

    def _done(self) -> None:
        """What was received is done with, and so is all that was not wanted behind it."""
        if not self._follower.ready:
            self._position = self._follower.position or self._position
        self.acknowledge()

    def _step(self, wait: float) -> None:
        """Read what is there, waiting at most `wait` seconds for something, and ask for what is missing."""
        self._pass_over(time.monotonic() - self._stepped)
        self._take_step(wait)
        self._stepped = time.monotonic()

    def _pass_over(self, idle_s: float) -> None:
        """Leave out a time in which nobody had us read, as it tells nothing of the publisher."""
        if idle_s < SILENT_S:
            return
        if self._asked is not None:
            self._asked += idle_s
        if self._refused is not None:
            self._refused += idle_s

    def _take_step(self, wait: float) -> None:
        requester = self._requester
        if requester is not None:
            self._ask(requester)
            until = requester.wait()
            wait = wait if until is None else min(wait, until)
        self._poller.poll(int(1000 * wait) + 1)
        self._read_events()
        if requester is None:
            return
        for reply in requester.replies():
            self._take(requester, reply)
        lost, asked = requester.pending, self._asked
        if not requester.overdue() or lost is None or asked is None:
            return
        now = time.monotonic()
        if now - self._heard > max(SILENT_S, SILENT_BEATS * self._beat_s):
            self._asked = now  # silent altogether: it is waited for, as it has a journal, and may start again
        elif now - asked >= self._patience:
            self._follower.give_up(lost)
        requester.timeout = min(2 * requester.timeout, _SLOWEST * self._query_timeout)

    def _read_events(self) -> None:
        for _ in range(_BATCH):
            try:
                message = decode(self._events.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            except MessageError:
                self._malformed += 1
                continue
            self._hear(message)
            if self._follower.hear(message) and self._requester is not None:
                self._requester.reset()
                self._asked = self._refused = None

    def _hear(self, message: Message) -> None:
        """Take note that the publisher lives, and of how often it says so."""
        self._heard = time.monotonic()
        epoch, data = message.envelope.epoch, message.envelope.data
        if isinstance(data, HeartbeatData):
            before, since = self._beat
            self._beat_s = min(data.uptime_s - since, LONGEST_BEAT_S) if before == epoch else 0.0
            self._beat = epoch, data.uptime_s

    def _ask(self, requester: Requester) -> None:
        """Send the next request, if anything is to be asked."""
        wanted, pending = self._follower.request(), requester.pending
        if wanted is None:
            self._asked = self._refused = None
            return
        if pending and (pending.type, pending.epoch) == (wanted.type, wanted.epoch):
            return
        if pending is not None:  # nobody needs that any more
            requester.done()
        if self._asked is None:
            self._asked = time.monotonic()
        requester.send(wanted)

    def _take(self, requester: Requester, reply: Reply) -> None:
        """Use a reply; one of an epoch not yet heard of is left to the timeout, as is an error, since it may pass."""
        try:
            used = (isinstance(reply, SnapshotReply) and self._follower.take_snapshot(reply)) or (
                isinstance(reply, AfterReply) and self._follower.take_after(reply)
            )
        except MessageError:
            self._malformed += 1
            return
        if used:
            self._asked = self._refused = None
            requester.timeout = self._query_timeout
            requester.done()
        elif isinstance(reply, ErrorReply):
            self._refuse(requester)

    def _refuse(self, requester: Requester) -> None:
        """Take note of an error; the limit is one for all that is missing, not for each kind of it."""
        now = time.monotonic()
        if self._refused is None:
            self._refused = now
        lost = requester.pending
        if lost is not None and lost.kind is not None and now - self._refused >= UNREADABLE_S:
            self._follower.give_up(lost)
            requester.done()


def _after(position: Position | None, item: Item, kinds: Sequence[Kind]) -> Position | None:
    """The position once this item is done with too, while later ones are on their way already.

    Args:
        position: before it.
        item: the item.
        kinds: of `JOURNALED`, those subscribed to: of a new epoch all of each is wanted.
    """
    if isinstance(item, Snapshot):
        return position or Position(item.epoch, item.seqs)
    if isinstance(item, Gap):
        epoch, kind, seq = item.epoch, item.kind, item.last
    else:
        epoch, kind, seq = item.envelope.epoch, item.topic.kind, item.envelope.seq
    if seq is None or kind not in JOURNALED:
        return position
    if position is None:
        return Position(epoch, {kind: seq})
    if position.epoch != epoch:
        position = position.in_next(epoch, {each.value: 0 for each in kinds})
    return Position(epoch, {**position.seqs, kind: seq}, position.former)
