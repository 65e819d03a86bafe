"""Turns results into numbered messages; knows nothing of sockets."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from stream.clip_reply import MAX_RECORDING, ClipReply, ClipShelf
from stream.journal import Journal
from stream.messages import Message, MessageError, encode, topic_of
from stream.query import MAX_EMBEDDING, MAX_EXAMPLES, ExampleReply, PromptInfo
from stream.structs import (
    MAX_TEXT,
    VERSION,
    Data,
    Envelope,
    EventData,
    HeartbeatData,
    Quantiles,
    ScoreData,
    SkeletonData,
    SourceState,
)
from stream.topics import Kind, check_name
from stream.withheld_reply import WithheldReply, WithheldShelf, WithheldStart

if TYPE_CHECKING:
    from stream.events import Suppression
    from stream.types import Clip, Event, Example, Float32Array, Scores, SkeletonFrame

MAX_SOURCES = 256
"""Sources told of in heartbeats and snapshots, the most recently changed ones."""

RATE_DECIMALS = 2
"""Decimals of frame rates, which are measured no better."""

_SLACK = 1e-4
"""How far rounding may carry a score out of its range."""
_UNIT_SLACK = 1e-2


def seconds(t: int) -> float:
    """Return nanoseconds as the wire's seconds, rounded to microseconds without a second rounding error."""
    return ((t + 500) // 1000) / 1e6


def rounded(value: float, low: float, high: float, what: str) -> float:
    """Return a number as the wire has it: in `low`..`high`, 6 decimals, no negative zero.

    Raises:
        MessageError: it is not finite or out of range by more than rounding explains.
    """
    number = float(value)
    if not low - _SLACK <= number <= high + _SLACK:
        raise MessageError(f"{what} is {number}: expected {low:g} to {high:g}")
    return round(min(max(number, low), high), 6) + 0.0


def event_data(event: Event) -> EventData:
    """Return an event as the wire has it.

    Raises:
        MessageError: a number is not finite or out of range.
    """
    return EventData(
        id=event.id,
        phase=event.phase.value,
        kind=event.kind.value,
        severity=event.severity.value,
        track=event.track,
        name=event.name,
        prompt=event.prompt,
        t=seconds(event.t),
        t_start=seconds(event.t_start),
        t_end=None if event.t_end is None else seconds(event.t_end),
        score=rounded(event.score, 0.0, 1.0, "score of an event"),
        peak=rounded(event.peak, 0.0, 1.0, "peak of an event"),
        margin=rounded(event.margin, -2.0, 2.0, "margin of an event"),
        reason=None if event.reason is None else event.reason.value,
    )


def _nothing() -> tuple[dict[str, Quantiles], dict[str, int]]:
    return {}, {}


class Publisher:
    """Numbers, journals and encodes messages; every method returns the message that is to be sent, in that order.

    Not thread safe. A message that raises is neither numbered nor journaled.

    Args:
        node: name of this daemon.
        epoch: None for a random one. Give one only where the messages go to a file: on a socket two starts with the
            same epoch look like one, and subscribers would drop the second one's messages as repeated.
        replay: whether a recording is replayed.
        journal: None for one in memory.
        clock: wall clock in seconds, for `t_pub`.

    Raises:
        TopicError: `node` or `epoch` is no valid name.
    """

    def __init__(
        self,
        node: str,
        *,
        epoch: str | None = None,
        replay: bool = False,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.node = check_name(node, "node")
        self.epoch = check_name(secrets.token_hex(8) if epoch is None else epoch, "epoch")
        self.replay = replay
        self.journal = Journal() if journal is None else journal
        self.journal.begin(self.epoch)
        self.prompts: list[PromptInfo] = []
        self.prompts_digest = ""
        self.sources: dict[str, SourceState] = {}
        self.flow: Callable[[], tuple[dict[str, Quantiles], dict[str, int]]] = _nothing
        """Gives the latencies and the losses by stage that heartbeats tell of, where they are measured."""
        self._examples: dict[str, Example] = {}
        self._clips = ClipShelf()
        self._withheld = WithheldShelf()
        self._clock = clock
        self._started = time.monotonic()
        self._seqs = dict.fromkeys(Kind, 0)

    def set_prompts(self, prompts: Iterable[PromptInfo], digest: str) -> None:
        """Take note of the prompts in use, for snapshots."""
        self.prompts, self.prompts_digest = list(prompts), digest

    def keep_example(self, example: Example) -> None:
        """Keep an event's example for who asks for it, in place of an earlier one, and forget the oldest.

        Raises:
            MessageError: it does not fit the contract.
        """
        length = float(example.embedding @ example.embedding)
        if not abs(length - 1) < _UNIT_SLACK or len(example.embedding) > MAX_EMBEDDING:
            raise MessageError(f"example of event {example.event[:80]!r}: expected a unit vector")
        self._examples.pop(example.event, None)
        self._examples[example.event] = example
        if len(self._examples) > MAX_EXAMPLES:
            del self._examples[next(iter(self._examples))]

    def example(self, event: str, request: str) -> ExampleReply | None:
        """Return the reply to a request, of this id, for the example of an event; None if there is none."""
        kept = self._examples.get(event)
        if kept is None:
            return None
        return ExampleReply(
            VERSION,
            "example",
            request,
            self.node,
            self.epoch,
            event=kept.event,
            source=kept.source,
            name=kept.name,
            t=seconds(kept.t),
            score=rounded(kept.score, 0.0, 1.0, "score of an example"),
            model=kept.model,
            embedding=[rounded(number, -1.0, 1.0, "embedding") for number in kept.embedding.tolist()],
        )

    def keep_clip(self, clip: Clip) -> None:
        """Keep the joints around an event for who asks for them, and forget the oldest.

        Raises:
            MessageError: there are too many of them.
        """
        if len(clip.recording) > MAX_RECORDING:
            raise MessageError(f"joints of event {clip.event.id[:80]!r}: expected at most {MAX_RECORDING} bytes")
        self._clips.put(clip)

    def clip(self, event: str, request: str) -> ClipReply | None:
        """Return the reply to a request, of this id, for the joints around an event; None if there are none."""
        kept = self._clips.get(event)
        if kept is None:
            return None
        return ClipReply(
            VERSION,
            "clip",
            request,
            self.node,
            self.epoch,
            event=event,
            kind="anomaly" if kept.event.kind.value == "anomaly" else "action",
            source=kept.event.source,
            track=kept.event.track,
            name=kept.event.name,
            prompt=kept.event.prompt,
            t_start=seconds(kept.event.t_start),
            t_end=None if kept.event.t_end is None else seconds(kept.event.t_end),
            peak=rounded(kept.event.peak, 0.0, 1.0, "peak of an event"),
            model=kept.model,
            recording=kept.recording,
        )

    def keep_withheld(self, one: Suppression) -> None:
        """Keep a start that was withheld for who asks why nothing was raised, and forget the oldest.

        Raises:
            MessageError: it does not fit the contract.
        """
        score = rounded(one.score, 0.0, 1.0, "score of a withheld start")
        start = WithheldStart(one.name, one.source, one.track, seconds(one.t), score, one.reason)
        try:
            self._withheld.put(msgspec.convert(msgspec.to_builtins(start), WithheldStart))
        except msgspec.ValidationError as error:
            raise MessageError(f"withheld start of {one.name[:80]!r}: {error}") from None

    def withheld(self, request: str) -> WithheldReply:
        """Return the reply to a request, of this id, for the starts that were withheld."""
        return WithheldReply(
            VERSION,
            "withheld",
            request,
            self.node,
            self.epoch,
            starts=self._withheld.starts(),
            counts=self._withheld.counts(),
        )

    def seqs(self) -> dict[str, int]:
        """Return the newest number of each kind but heartbeat, 0 where there is none."""
        return {kind.value: seq for kind, seq in self._seqs.items() if kind is not Kind.HEARTBEAT}

    def states(self) -> dict[str, SourceState]:
        """Return the last status of each source, as published."""
        return {
            name: msgspec.structs.replace(state, rate_hz=round(state.rate_hz, RATE_DECIMALS))
            for name, state in self.sources.items()
        }

    def publish_event(self, event: Event) -> Message:
        """Return the next alarm, action or anomaly message.

        Raises:
            MessageError: the event does not fit the contract.
        """
        return self._publish("event", event.source, event.t, event_data(event))

    def publish_status(
        self,
        source: str,
        state: str,
        *,
        detail: str = "",
        frames: int = 0,
        dropped: int = 0,
        rate_hz: float = 0.0,
        t: int | None = None,
    ) -> Message:
        """Return the next status message.

        Args:
            source: name of the source, or of the node for the daemon itself.
            state: running, lost, faulted, ended, error or stopped.
            detail: one line for a person; cut to `MAX_TEXT` characters.
            frames, dropped: counts since the source started.
            rate_hz: frames per second lately, published to two decimals.
            t: in ns on the wall clock; None for now, which is what every caller in this version wants.

        Raises:
            MessageError: a value does not fit the contract.
        """
        rate = round(rounded(rate_hz, 0.0, 1e6, f"rate of source {source!r}"), RATE_DECIMALS)
        data = SourceState(state=state, detail=detail[:MAX_TEXT], frames=frames, dropped=dropped, rate_hz=rate)
        message = self._publish("status", source, t, data)
        self.sources.pop(source, None)
        self.sources[source] = data
        if len(self.sources) > MAX_SOURCES:
            del self.sources[next(iter(self.sources))]
        return message

    def publish_skeleton(self, frame: SkeletonFrame) -> Message:
        """Return the next skeleton message, for a frame in the canonical layout; unseen joints become zeros.

        Raises:
            MessageError: the frame is in another layout or does not fit the contract.
        """
        import numpy as np  # here, so that a publisher of events only starts without it

        bodies, joints = frame.joints.shape[:2]
        data = SkeletonData(
            track_ids=[int(track) for track in frame.track_ids],
            layout=frame.layout,  # type: ignore[arg-type]  # checked when encoded
            shape=(bodies, joints, 4),  # type: ignore[arg-type]  # likewise
            space=frame.space.value,
        )
        array = np.concatenate([frame.joints, frame.confidence[..., None]], axis=2).astype("<f4")
        array[frame.confidence <= 0] = 0.0
        if not np.isfinite(array).all() or (array[..., 3] > 1).any():
            raise MessageError(f"skeleton of source {frame.source!r}: expected finite joints, confidences in 0..1")
        return self._publish("skeleton", frame.source, frame.t, data, array.tobytes())

    def publish_scores(self, scores: Scores, names: Sequence[str]) -> Message:
        """Return the next score message; `names` are the K prompts' short names.

        Raises:
            MessageError: the scores do not fit the contract.
        """

        def column(values: Float32Array, low: float, high: float, what: str) -> list[float]:
            return [rounded(value, low, high, what) for value in values.tolist()]

        data = ScoreData(
            track=scores.track,
            prompts_digest=scores.prompts_digest,
            prompts=list(names),
            similarity=column(scores.similarity, -1.0, 1.0, "similarity"),
            probability=column(scores.probability, 0.0, 1.0, "probability"),
            margin=column(scores.margin, -2.0, 2.0, "margin"),
            anomaly=None if scores.anomaly is None else rounded(scores.anomaly, 0.0, 1.0, "anomaly"),
            coverage=rounded(scores.coverage, 0.0, 1.0, "coverage"),
        )
        return self._publish("score", scores.source, scores.t, data)

    def heartbeat(self) -> Message:
        """Return the next heartbeat."""
        uptime = round(time.monotonic() - self._started, 3)
        data = HeartbeatData(self.seqs(), uptime, self.states(), self.journal.durable, *self.flow())
        return self._publish("heartbeat", self.node, None, data)

    def _publish(self, kind: str, source: str, t: int | None, data: Data, payload: bytes | None = None) -> Message:
        """Number, check and journal one message, its `t` in ns or None for now."""
        now = round(self._clock(), 6)
        when = now if t is None else seconds(t)
        envelope: Envelope[Data] = Envelope(
            VERSION, kind, self.node, self.epoch, source, 1, when, now, self.replay, data
        )
        topic = Kind(topic_of(envelope).kind)
        seq = self._seqs[topic] + 1
        message = encode(msgspec.structs.replace(envelope, seq=seq), payload)
        self.journal.append(message)
        self._seqs[topic] = seq
        return message
