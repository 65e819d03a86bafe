"""Messages of wire version 1: `[topic][JSON envelope][little-endian float32 array, if any]`.

docs/protocol.md is the contract in words, docs/schema/v1 in JSON Schema. This module imports neither numpy nor
anything else that a subscriber can do without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from stream.errors import PosewireError
from stream.structs import (
    TYPES,
    VERSION,
    Data,
    Envelope,
    EventData,
    HeartbeatData,
    ScoreData,
    SkeletonData,
    SourceState,
    UnknownData,
)
from stream.topics import Kind, Topic, TopicError

if TYPE_CHECKING:
    from stream.types import Float32Array

MAX_BODY = 1 << 20
"""Bytes of the largest JSON frame."""


class MessageError(PosewireError):
    """Bytes from the wire, or values meant for it, do not keep the contract."""


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(Envelope[data])  # type: ignore[valid-type]
    for name, data in TYPES.items()
}
_UNKNOWN: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Envelope[UnknownData])
_HEAD = msgspec.json.Decoder(Envelope[Raw])
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it stands on the wire, and what it means.

    Attributes:
        topic: first frame.
        envelope: what `body` says.
        body: second frame, JSON; with a line feed it is a line of a `--out` file.
        payload: third frame, empty bytes for a skeleton message without bodies, None where there is no such frame.
    """

    topic: Topic
    envelope: Envelope[Data]
    body: bytes
    payload: bytes | None = None

    def frames(self) -> list[bytes]:
        """Return the parts of the ZeroMQ message."""
        parts = [self.topic.encode(), self.body]
        return parts if self.payload is None else [*parts, self.payload]

    def joints(self) -> Float32Array:
        """Return a skeleton message's array, (M, 25, 4) float32: x, y, z, confidence (needs numpy).

        Raises:
            MessageError: the message has no such array, or it is not finite, or a confidence is not in 0..1.
        """
        import numpy as np  # here, since most subscribers have no use for it

        data = self.envelope.data
        if not isinstance(data, SkeletonData) or self.payload is None:
            raise MessageError(f"message of type {self.envelope.type!r} carries no skeleton array")
        array = np.frombuffer(self.payload, dtype="<f4").reshape(data.shape)
        confidence = array[..., 3]
        if not np.isfinite(array).all() or (confidence < 0).any() or (confidence > 1).any():
            raise MessageError("skeleton array: expected finite numbers and confidences in 0..1")
        return array


def topic_of(envelope: Envelope[Data]) -> Topic:
    """Return the topic that belongs to an envelope: numbers are counted per its `kind`.

    Raises:
        MessageError: a name in it may not stand in a topic, or the type is unknown.
    """
    data = envelope.data
    if isinstance(data, EventData):
        alarm = data.severity != "info" or data.kind == "fault"
        kind, name = Kind.ALARM if alarm else Kind(data.kind), data.name
    elif isinstance(data, SourceState):
        kind, name = Kind.STATUS, data.state
    elif isinstance(data, HeartbeatData):
        kind, name = Kind.HEARTBEAT, "all"
    elif isinstance(data, SkeletonData):
        kind, name = Kind.SKELETON, "all"
    elif isinstance(data, ScoreData):
        kind, name = Kind.SCORE, str(data.track)
    else:
        raise MessageError(f"message type {envelope.type[:80]!r} has no topic in version {VERSION}")
    try:
        return Topic(kind, envelope.source, name)
    except TopicError as error:
        raise MessageError(str(error)) from None


def encode(envelope: Envelope[Data], payload: bytes | None = None) -> Message:
    """Make a message of an envelope, as strictly checked as if it had come from the wire.

    Raises:
        MessageError: it does not keep the contract: a number that is not finite or out of range, a name or text that
            is malformed or too long.
    """
    body = _ENCODER.encode(envelope)
    checked = decode_body(body)
    _check_payload(checked, payload)
    return Message(topic_of(checked), checked, body, payload)


def decode_body(body: bytes | Raw) -> Envelope[Data]:
    """Read an envelope from JSON bytes; unknown fields are ignored, an unknown type gets `UnknownData`.

    Raises:
        MessageError: the bytes are no envelope of version 1.
    """
    data = bytes(body)
    if len(data) > MAX_BODY:
        raise MessageError(f"message of {len(data)} bytes: expected at most {MAX_BODY}")
    try:
        name = _HEAD.decode(data).type
        envelope: Envelope[Data] = _DECODERS.get(name, _UNKNOWN).decode(data)
        _check_fields(envelope.data)
    except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are ValueErrors
        raise MessageError(f"message is not wire version {VERSION}: {error}") from None
    return envelope


def decode(frames: Sequence[bytes]) -> Message:
    """Read a ZeroMQ message.

    Raises:
        MessageError: the frames are no message of version 1, whatever else they are.
    """
    if not 2 <= len(frames) <= 3:
        raise MessageError(f"message of {len(frames)} frames: expected topic, JSON and at most one array")
    try:
        topic = Topic.parse(frames[0])
    except TopicError as error:
        raise MessageError(str(error)) from None
    envelope = decode_body(frames[1])
    if not isinstance(envelope.data, UnknownData) and topic_of(envelope) != topic:
        raise MessageError(f"topic {topic} does not belong to the message, expected {topic_of(envelope)}")
    payload = frames[2] if len(frames) == 3 else None
    _check_payload(envelope, payload)
    return Message(topic, envelope, frames[1], payload)


def _check_fields(data: Data) -> None:
    """Check what no single field can tell."""
    if isinstance(data, EventData):
        if len({data.phase == "end", data.t_end is not None, data.reason is not None}) != 1:
            raise ValueError("t_end and reason belong to phase end, and to it alone")
    elif isinstance(data, SkeletonData):
        if len(data.track_ids) != data.shape[0]:
            raise ValueError(f"{len(data.track_ids)} track_ids for {data.shape[0]} bodies")
    elif isinstance(data, ScoreData):
        lengths = [len(column) for column in (data.prompts, data.similarity, data.probability, data.margin)]
        if len(set(lengths)) != 1:
            raise ValueError(f"prompts, similarity, probability and margin differ in length: {lengths}")


def _check_payload(envelope: Envelope[Data], payload: bytes | None) -> None:
    data = envelope.data
    if isinstance(data, SkeletonData) and (payload is None or len(payload) != data.nbytes):
        size = "none" if payload is None else f"{len(payload)} bytes"
        raise MessageError(f"skeleton array: expected {data.nbytes} bytes for shape {list(data.shape)}, got {size}")
