"""What a subscriber makes of messages and replies: everything in order, each once, over restarts of the publisher.

Pure: no sockets, no clock. It is told what came, and says what to ask for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Raw

from stream.messages import Message, decode_body, topic_of
from stream.position import Position
from stream.query import AfterReply, PromptInfo, Request, SnapshotReply
from stream.sequence import Gap, Sequencer
from stream.structs import VERSION, HeartbeatData, SourceState, UnknownData
from stream.topics import JOURNALED, Kind


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


class Follower:
    """Follows one publisher through its epochs, one after the other.

    What the publisher sends is its `live` epoch; what is given out is that of `numbers`, which after a restart is an
    earlier one until all of that was fetched.

    Args:
        prefixes: of the topics that are wanted.
        kinds: of `JOURNALED`, those subscribed to.
        asks: whether there is somebody to ask for what was missed.
        limit: messages held back while something earlier is fetched; what comes beyond is fetched later too.
        position: where to go on; None to begin with what comes.

    Attributes:
        ready: what is due, in order.
        joining: a snapshot is wanted.
    """

    def __init__(
        self,
        prefixes: tuple[bytes, ...],
        kinds: Sequence[Kind],
        *,
        asks: bool,
        limit: int,
        position: Position | None = None,
    ) -> None:
        self.ready: deque[Item] = deque()
        self.joining = asks
        self._prefixes, self._kinds = prefixes, kinds
        self._asks = asks
        self._limit = limit
        self._numbers: Sequencer[Message] | None = None
        if position is not None:
            self._numbers = Sequencer(position.epoch, cursors=position.seqs)
        self._live: str | None = None
        self._waiting: list[Message] = []
        self._done: set[str] = set()
        """Kinds of an earlier epoch of which nothing more is to be had."""
        self._next = ""
        """The epoch after the earlier one, as far as known."""
        self._former = () if position is None else position.former
        """See `Position.former`."""
        self._known = self._unknown = self._seeking = False
        """Whether the journal has the earlier epoch, whether it has not, and whether a former one is asked about."""

    @property
    def position(self) -> Position | None:
        """Where everything stands once all that is `ready` is done with."""
        if self._numbers is None:
            return None
        cursors = {kind.value: self._numbers.cursor(kind) for kind in self._kinds}
        seqs = {kind: seq for kind, seq in cursors.items() if seq is not None}
        return Position(self._numbers.epoch, seqs, self._former)

    @property
    def _behind(self) -> bool:
        return self._numbers is not None and self._live not in (None, self._numbers.epoch)

    def hear(self, message: Message) -> bool:
        """Take in a published message; True if the publisher has started anew, so that what it was asked is void."""
        epoch, before = message.envelope.epoch, self._live
        if epoch != before:
            self._go_live(epoch)
        if self._numbers is not None and not self.joining and not self._behind:
            self._apply(self._numbers, message)
        elif len(self._waiting) < self._limit:
            self._waiting.append(message)
        return before not in (None, epoch)

    def request(self) -> Request | None:
        """Return what to ask now, None for nothing."""
        while self._numbers is not None and self._behind:
            for kind in self._kinds:
                seq = self._numbers.cursor(kind)
                if kind not in self._done and seq is not None:
                    return Request(VERSION, "after", kind=kind.value, seq=seq, epoch=self._numbers.epoch)  # type: ignore[arg-type]  # of JOURNALED
            self._seeking = self._unknown and bool(self._former)
            if self._seeking:
                kind = self._kinds[0]
                return Request(VERSION, "after", kind=kind.value, seq=0, limit=1, epoch=self._former[0])  # type: ignore[arg-type]  # likewise
            self._go_on(self._numbers)
        if self.joining:
            return Request(VERSION, "snapshot")
        for hole, seq in [] if self._numbers is None else self._numbers.holes()[:1]:
            return Request(VERSION, "after", kind=hole, seq=seq)  # type: ignore[arg-type]  # likewise
        return None

    def take_snapshot(self, reply: SnapshotReply) -> bool:
        """Join; False if the reply is of no use.

        Raises:
            MessageError: it does not keep the contract.
        """
        if not self.joining or self._behind:
            return False
        if self._live is None:
            self._go_live(reply.epoch)
        if self._numbers is None or reply.epoch != self._numbers.epoch:
            return self._behind  # now known; otherwise of an epoch whose first message is yet to be heard
        events = [message for _, message in map(self._read, reply.open) if message is not None]
        self.ready.append(Snapshot(reply.node, reply.epoch, reply.seqs, events, reply.sources, reply.prompts))
        for kind in self._kinds:
            self._numbers.snapshot(kind, reply.seqs.get(kind, 0))
        self._stop_joining(self._numbers)
        return True

    def take_after(self, reply: AfterReply) -> bool:
        """Close a hole with what was fetched; what can be fetched no more becomes a `Gap`. False: of no use.

        Raises:
            MessageError: it does not keep the contract.
        """
        numbers = self._numbers
        if numbers is None:
            return False
        behind = self._behind
        if behind and self._seeking:
            return self._take_former(reply)
        if reply.epoch != numbers.epoch:
            ignorant = behind and reply.epoch == self._live  # a publisher that knows nothing of earlier epochs
            if ignorant:
                self._lose(numbers, reply.kind)
            return ignorant
        before = numbers.holes(), numbers.cursor(reply.kind)
        for body in reply.messages:
            self.ready.extend(numbers.push(reply.kind, *self._read(body)))
        if reply.gap and reply.first:
            self.ready.extend(numbers.skip(reply.kind, reply.first - 1))
        elif reply.gap:
            self._lose(numbers, reply.kind)
        stuck = (numbers.holes(), numbers.cursor(reply.kind)) == before
        if behind:
            self._unknown = reply.gap and not reply.first
            self._known = not self._unknown
            self._next = reply.next or self._next
            if stuck or not reply.more:
                self._done.add(reply.kind)
        elif stuck:  # asking again would not help either
            self.ready.extend(numbers.give_up(reply.kind))
        return True

    def give_up(self, request: Request) -> None:
        """Nobody answers this: tell of the gap, or join without a snapshot, if anything waits for it.

        Of an earlier epoch all is given up at once, so that the current one waits no longer.
        """
        if self._numbers is None:
            return
        if request.kind is None:
            if self._waiting:
                self._stop_joining(self._numbers)
        elif self._behind and self._seeking:
            self._unknown, self._next = False, ""
        elif self._behind:
            for kind in self._kinds:
                if kind not in self._done and self._numbers.cursor(kind) is not None:
                    self._lose(self._numbers, kind)
        else:
            self.ready.extend(self._numbers.give_up(request.kind))

    def _go_live(self, epoch: str) -> None:
        """Take note of the publisher's epoch; of a new one everything counts, unless it is the first that is heard."""
        numbers, before = self._numbers, self._live
        self._live = epoch
        if numbers is None:
            self._numbers = Sequencer(epoch)
        elif before is None and numbers.epoch == epoch:  # a position, and the publisher is still the same
            return
        elif not self._asks:
            for kind, _ in numbers.holes():
                self.ready.extend(numbers.give_up(kind))
            self._numbers = Sequencer(epoch, from_start=True)
        elif before == numbers.epoch:
            self._stop_joining(numbers)
        self._waiting = []

    def _take_former(self, reply: AfterReply) -> bool:
        """Learn what followed an epoch of which all is done: of the one after it the journal knows nothing."""
        if reply.epoch not in (self._former[0], self._live):
            return False
        if reply.epoch == self._live or (reply.gap and not reply.first):
            self._former = self._former[1:]
        else:
            self._next, self._unknown = reply.next, False
        return True

    def _go_on(self, numbers: Sequencer[Message]) -> None:
        """Go on to the next epoch: all of the earlier one that is to be had is there."""
        for kind, _ in numbers.holes():
            self.ready.extend(numbers.give_up(kind))
        following = self._next or self._live or ""
        self._former = Position(numbers.epoch, {}, () if self._known else self._former).in_next(following, {}).former
        self._numbers = Sequencer(following, from_start=True)
        self._done, self._next = set(), ""
        self._known = self._unknown = self._seeking = False
        self.joining = not self._behind

    def _lose(self, numbers: Sequencer[Message], kind: str) -> None:
        """Tell that nobody knows how much of a kind is lost."""
        self.ready.extend(numbers.give_up(kind))
        self.ready.append(Gap(numbers.epoch, kind, (numbers.cursor(kind) or 0) + 1, None))
        self._done.add(kind)

    def _stop_joining(self, numbers: Sequencer[Message]) -> None:
        self.joining = False
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self._apply(numbers, message)

    def _apply(self, numbers: Sequencer[Message], message: Message) -> None:
        """Bring a published message into order."""
        envelope = message.envelope
        if message.topic.kind == Kind.HEARTBEAT:
            if self._wants(message):
                self.ready.append(message)
            if isinstance(envelope.data, HeartbeatData):
                for kind in self._kinds:
                    numbers.hear(kind, envelope.data.seqs.get(kind, 0))
        else:
            wanted = message if self._wants(message) else None
            self.ready.extend(numbers.push(message.topic.kind, envelope.seq, wanted))
        for hole, _ in numbers.holes():
            if not self._asks or hole not in JOURNALED:
                self.ready.extend(numbers.give_up(hole))

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
