"""Requests to the publisher's `query` socket and their replies: JSON, one frame each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from stream.journal import Missing
from stream.messages import MessageError
from stream.structs import VERSION, Cosine, Count, Label, Name, Seconds, Share, SourceState, Text
from stream.topics import Kind

if TYPE_CHECKING:
    from stream.publisher import Publisher

MAX_REQUEST = 64 << 10
"""Bytes of the largest request."""
MAX_REPLY = 32 << 20
"""Bytes of the largest reply that a client takes; far above what the limits below add up to in practice."""
PAGE_MESSAGES = 500
PAGE_BYTES = 1 << 20
MAX_EMBEDDING = 8192
MAX_EXAMPLES = 1_000
"""Events whose example the publisher keeps."""

JournaledKind = Literal["alarm", "action", "anomaly", "status"]
Id = Annotated[str, Meta(max_length=128, description="any string of the asker's, or none; the reply repeats it")]
Bodies = Annotated[list[Raw], Meta(description="envelopes, as published")]


class Request(Struct, frozen=True, omit_defaults=True):
    """What a client sends; `kind`, `seq` and `limit` belong to type after, `event` to type example."""

    v: Literal[1]
    type: Annotated[Label, Meta(description="ping, snapshot, after or example")]
    id: Id = ""
    kind: Annotated[JournaledKind | None, Meta(description="whose numbers")] = None
    seq: Annotated[Count | None, Meta(description="the last number that the asker has; 0 for none")] = None
    limit: Annotated[Annotated[int, Meta(ge=1, le=PAGE_MESSAGES)], Meta(description="messages at most")] = PAGE_MESSAGES
    event: Annotated[Label | None, Meta(description="id of an event")] = None


class PromptInfo(Struct, frozen=True):
    """A prompt in use."""

    name: Annotated[Name, Meta(description="last level of its events' topics")]
    prompt: Annotated[Text, Meta(description="its text")]
    severity: Literal["info", "warning", "critical"]


class Pong(Struct, frozen=True):
    """Reply to ping."""

    v: Literal[1]
    type: Literal["pong"]
    id: Id
    node: Name
    epoch: Name


class SnapshotReply(Struct, frozen=True):
    """Reply to snapshot: the state at the moment when the newest numbers were `seqs`."""

    v: Literal[1]
    type: Literal["snapshot"]
    id: Id
    node: Name
    epoch: Name
    seqs: Annotated[dict[Label, Count], Meta(description="newest number of each kind but heartbeat; 0: none yet")]
    open: Annotated[Bodies, Meta(description="last message of every event that has not ended")]
    open_dropped: Annotated[Count, Meta(description="open events left out since the start because there were too many")]
    sources: Annotated[dict[Name, SourceState], Meta(description="last status of each source")]
    prompts: list[PromptInfo]
    prompts_digest: Annotated[str, Meta(max_length=64, description="as in score messages; empty before the first set")]


class AfterReply(Struct, frozen=True):
    """Reply to after: a page of messages, or the news that the first ones are no longer kept."""

    v: Literal[1]
    type: Literal["after"]
    id: Id
    node: Name
    epoch: Name
    kind: JournaledKind
    gap: Annotated[bool, Meta(description="true: some that were asked for are gone; go on with after first - 1")]
    first: Annotated[Count, Meta(description="number of the first message here, or with gap the oldest kept; 0: none")]
    newest: Annotated[Count, Meta(description="newest number of the kind")]
    messages: Bodies
    more: Annotated[bool, Meta(description="true: ask again after the last one here")]


class ExampleReply(Struct, frozen=True):
    """Reply to example: the window in which an event was surest, as the numbers that the model makes of it."""

    v: Literal[1]
    type: Literal["example"]
    id: Id
    node: Name
    epoch: Name
    event: Annotated[Label, Meta(description="id of the event")]
    source: Name
    name: Annotated[Name, Meta(description="short name of the event's prompt")]
    t: Annotated[Seconds, Meta(description="capture time of the window's end, s")]
    score: Annotated[Share, Meta(description="probability of the prompt in this window")]
    model: Annotated[str, Meta(max_length=64, description="sha256 of the weights; others' embeddings do not compare")]
    embedding: Annotated[list[Cosine], Meta(max_length=MAX_EMBEDDING, description="unit vector, 6 decimals")]


class ErrorReply(Struct, frozen=True):
    """Reply to anything else."""

    v: Literal[1]
    type: Literal["error"]
    id: Id
    error: Annotated[str, Meta(max_length=1000, description="one line")]


Reply = Pong | SnapshotReply | AfterReply | ExampleReply | ErrorReply

REPLIES: dict[str, type[Any]] = {
    "pong": Pong,
    "snapshot": SnapshotReply,
    "after": AfterReply,
    "example": ExampleReply,
    "error": ErrorReply,
}


class _Head(Struct):
    type: str


class _IdOnly(Struct):
    id: Id = ""


_EXPECTED = {
    "v": "1, the version of the wire",
    "type": "ping, snapshot, after or example",
    "id": "a string of at most 128 characters",
    "kind": "alarm, action, anomaly or status",
    "seq": "a whole number from 0",
    "limit": f"a whole number from 1 to {PAGE_MESSAGES}",
    "event": "the id of an event, 1 to 64 characters",
}
"""What each field of a request may be, in words."""
_WRONG_FIELD = re.compile(r"`\$\.(\w+)`|required field `(\w+)`")

_REQUEST = msgspec.json.Decoder(Request)
_ID_ONLY = msgspec.json.Decoder(_IdOnly)
_REPLY_HEAD = msgspec.json.Decoder(_Head)
_REPLIES = {name: msgspec.json.Decoder(reply) for name, reply in REPLIES.items()}


def decode_reply(body: bytes) -> Reply:
    """Read a reply.

    Raises:
        MessageError: the bytes are no reply of version 1.
    """
    try:
        reply: Reply = _REPLIES[_REPLY_HEAD.decode(body).type].decode(body)
    except (ValueError, RecursionError, KeyError) as error:
        raise MessageError(f"reply is not wire version {VERSION}: {error}") from None
    return reply


def answer(publisher: Publisher, body: bytes) -> bytes:
    """Return the reply to a request, whatever its bytes are."""
    try:
        request = _REQUEST.decode(body)
    except (ValueError, RecursionError) as error:
        return msgspec.json.encode(ErrorReply(VERSION, "error", _id_of(body), f"malformed request: {_wrong(error)}"))
    return msgspec.json.encode(_answer(publisher, request))


def _id_of(body: bytes) -> str:
    """Return the `id` of a request of which something else is wrong; empty where it cannot be read."""
    try:
        return _ID_ONLY.decode(body).id
    except (ValueError, RecursionError):
        return ""


def _wrong(error: Exception) -> str:
    """Say what is wrong with a request in words of the contract."""
    match = _WRONG_FIELD.search(str(error))
    name = match and (match[1] or match[2])
    return f"{name}: expected {_EXPECTED[name]}" if name in _EXPECTED else "expected one JSON object in UTF-8"


def _answer(publisher: Publisher, request: Request) -> Reply:
    who = publisher.node, publisher.epoch
    if request.type == "ping":
        return Pong(VERSION, "pong", request.id, *who)
    if request.type == "snapshot":
        return SnapshotReply(
            VERSION,
            "snapshot",
            request.id,
            *who,
            seqs=publisher.seqs(),
            open=[Raw(body) for body in publisher.journal.open_events()],
            open_dropped=publisher.journal.open_dropped,
            sources=publisher.states(),
            prompts=publisher.prompts,
            prompts_digest=publisher.prompts_digest,
        )
    if request.type == "after":
        return _after(publisher, request)
    if request.type == "example":
        return _example(publisher, request)
    known = request.type.startswith("prompt")
    error = "prompt control is not available" if known else f"unknown request type {request.type!r}"
    return ErrorReply(VERSION, "error", request.id, f"{error}: expected {_EXPECTED['type']}")


def _after(publisher: Publisher, request: Request) -> Reply:
    if request.kind is None or request.seq is None:
        return ErrorReply(VERSION, "error", request.id, "request after: expected kind and seq")
    page = publisher.journal.after(Kind(request.kind), request.seq, request.limit, PAGE_BYTES)
    gap = isinstance(page, Missing)
    messages = [] if isinstance(page, Missing) else page.messages
    return AfterReply(
        VERSION,
        "after",
        request.id,
        publisher.node,
        publisher.epoch,
        kind=request.kind,
        gap=gap,
        first=page.first if isinstance(page, Missing) else request.seq + 1 if messages else 0,
        newest=publisher.seqs()[request.kind],
        messages=[Raw(body) for body in messages],
        more=gap or (not isinstance(page, Missing) and page.more),
    )


def _example(publisher: Publisher, request: Request) -> Reply:
    if request.event is None:
        return ErrorReply(VERSION, "error", request.id, "request example: expected event, the id of an event")
    reply = publisher.example(request.event, request.id)
    if reply is None:
        limit = f"the examples of the last {MAX_EXAMPLES:,} events are kept"
        return ErrorReply(VERSION, "error", request.id, f"event {request.event!r} is unknown or too old: {limit}")
    return reply
