"""Messages between the daemon's own processes: a tag, msgpack heads, raw arrays behind them.

Skeleton frames alone are of another form (`stream.daemon.frame_part`).

These never leave the machine and may change with any release; the public contract is `stream.messages`.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np

from stream.daemon.frame_part import TAG, decode_frame, encode_frame, joints_of
from stream.events import Suppression
from stream.layouts import CANONICAL
from stream.query import PromptInfo
from stream.types import Clip, Event, Example, Scores, SkeletonFrame, Space, Tracked


class _TrackedHead(msgspec.Struct, array_like=True):
    source: str
    t: int
    space: Space
    bodies: int


class _ScoresHead(msgspec.Struct, array_like=True):
    source: str
    track: int
    t: int
    anomaly: float | None
    coverage: float
    prompts_digest: str


class _ExampleHead(msgspec.Struct, array_like=True):
    event: str
    source: str
    name: str
    t: int
    score: float
    model: str


class _ClipHead(msgspec.Struct, array_like=True):
    event: Event
    model: str


class Status(msgspec.Struct, frozen=True):
    """What happened to a source.

    Attributes:
        source: name of the source.
        state: `running`, `lost` (it may come back), `ended` or `error` (see `FINAL`).
        detail: one line for people.
        sources: names that the source's frames carried.
        frames: frames so far.
        dropped: of them, those that a worker was too slow for.
        rate_hz: frames a second lately, by capture time.
        missed: images that became no frame, as the pose took too long.
        pace: of a recorded source, how many times real time it plays lately; 0 where that is unknown.
    """

    source: str
    state: str
    detail: str = ""
    sources: tuple[str, ...] = ()
    frames: int = 0
    dropped: int = 0
    rate_hz: float = 0.0
    missed: int = 0
    pace: float = 0.0


class WorkerState(msgspec.Struct, frozen=True):
    """How the worker itself is; a message of its own, since a source may be called anything.

    Attributes:
        state: `started`, `running` (repeated, for a publisher that was started again) or `stopped`.
        digest: of its prompts.
        prompts: what it watches for, in the order of the scores' columns.
        open: all events that have not ended, each as it was last told; after everything that was told of them.
        told: number of the last event that was told (see `stream.daemon.outbox`), 0 for none.
        settled: of those up to this number none is kept any more.
    """

    state: str
    digest: str
    prompts: tuple[PromptInfo, ...] = ()
    open: tuple[Event, ...] = ()
    told: int = 0
    settled: int = 0


class Turn(msgspec.Struct, frozen=True):
    """What one turn of the worker took, told after everything that came of it.

    Attributes:
        taken: by source name of the frames, the numbers of the first and the last one taken (see `Stamp`), and the
            people in the last one.
        captured: when the oldest frame was captured that completed a window, in ns as in `Stamp`; 0 if none did.
        decided: when the turn was done, likewise.
    """

    taken: dict[str, tuple[int, int, int]]
    captured: int
    decided: int


class Measured(msgspec.Struct, frozen=True):
    """What the worker measured since it last told.

    Attributes:
        stages: by stage, what `stream.latency.Histogram.take` gave.
        unsent: messages that the publisher was too slow for.
    """

    stages: dict[str, dict[int, int]]
    unsent: int


class Taken(msgspec.Struct, frozen=True):
    """What the publisher says to a worker, whose events it numbers.

    Attributes:
        number: all events up to this one were taken, and published.
        committed: all up to this one are in the journal.
        again: send again what follows `number`.
    """

    number: int
    committed: int
    again: bool


FINAL = ("ended", "error")
"""States after which a source's capture leaves."""

Message = (
    SkeletonFrame | Tracked | Scores | Event | Example | Clip | Suppression | Status | WorkerState | Turn | Measured
)

_NUMBER = struct.Struct("<2q")
_TAGS = {Event: b"E", Suppression: b"W", Status: b"s", WorkerState: b"w", Turn: b"t", Measured: b"m"}
_encoder = msgspec.msgpack.Encoder()
_TAKEN = msgspec.msgpack.Decoder(Taken)
_DECODERS: dict[bytes, msgspec.msgpack.Decoder[Any]] = {
    tag: msgspec.msgpack.Decoder(kind)
    for tag, kind in (
        (b"T", _TrackedHead),
        (b"S", _ScoresHead),
        (b"E", Event),
        (b"W", Suppression),
        (b"X", _ExampleHead),
        (b"C", _ClipHead),
        (b"s", Status),
        (b"w", WorkerState),
        (b"t", Turn),
        (b"m", Measured),
    )
}


def encode(message: Message) -> list[bytes]:
    """Message to ZeroMQ frames."""
    if isinstance(message, SkeletonFrame):
        return [encode_frame(message, message.source)]
    if isinstance(message, Tracked):
        head = _TrackedHead(message.source, message.t, message.space, len(message.track_ids))
        body = message.joints.tobytes() + message.confidence.tobytes() + message.track_ids.tobytes()
        return [b"T", _encoder.encode(head), body]
    if isinstance(message, Scores):
        scores = _ScoresHead(
            message.source, message.track, message.t, message.anomaly, message.coverage, message.prompts_digest
        )
        arrays = (message.similarity, message.probability, message.margin)
        return [b"S", _encoder.encode(scores), *(array.tobytes() for array in arrays)]
    if isinstance(message, Example):
        example = _ExampleHead(message.event, message.source, message.name, message.t, message.score, message.model)
        return [b"X", _encoder.encode(example), message.embedding.tobytes()]
    if isinstance(message, Clip):
        return [b"C", _encoder.encode(_ClipHead(message.event, message.model)), message.recording]
    return [_TAGS[type(message)], _encoder.encode(message)]


def decode(parts: list[bytes]) -> Message:
    """ZeroMQ frames to message.

    Raises:
        ValueError: the frames are not one of ours.
    """
    tag = parts[0][:1]
    if tag == TAG:
        return decode_frame(parts[0])
    if tag not in _DECODERS:
        raise ValueError(f"unknown message tag {tag!r}")
    head = _DECODERS[tag].decode(parts[1])
    if isinstance(head, Event | Suppression | Status | WorkerState | Turn | Measured):
        return head
    if isinstance(head, _ClipHead):
        return Clip(head.event, head.model, parts[2])
    if isinstance(head, _ExampleHead | _ScoresHead):
        arrays = [np.frombuffer(part, np.float32) for part in parts[2:5]]
        if isinstance(head, _ExampleHead):
            return Example(head.event, head.source, head.name, head.t, head.score, head.model, arrays[0])
        told = (head.anomaly, head.coverage, head.prompts_digest)
        return Scores(head.source, head.track, head.t, arrays[0], arrays[1], arrays[2], *told)
    count = head.bodies * len(CANONICAL)
    joints, confidence = joints_of(parts[2], head.bodies, len(CANONICAL), 0)
    ids = np.frombuffer(parts[2], np.int64, head.bodies, 16 * count)
    return Tracked(head.source, head.t, head.space, ids, joints, confidence)


def numbered(event: bytes, previous: int, number: int) -> list[bytes]:
    """An event as the second of `encode`'s frames, with its number and that of the one kept before it."""
    return [_TAGS[Event] + _NUMBER.pack(previous, number), event]


def numbers_of(parts: list[bytes]) -> tuple[int, int] | None:
    """The previous and the own number of a message, if it has them."""
    if len(parts[0]) != 1 + _NUMBER.size:
        return None
    previous, number = _NUMBER.unpack(parts[0][1:])
    return previous, number


def encode_taken(taken: Taken) -> bytes:
    """Acknowledgement to bytes."""
    return _encoder.encode(taken)


def decode_taken(body: bytes) -> Taken:
    """Bytes to acknowledgement."""
    return _TAKEN.decode(body)
