"""Requests to the publisher's `query` socket and their replies: JSON, one frame each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from stream.clip_reply import ClipReply
from stream.messages import MessageError
from stream.prompt_replies import PromptsReply, TrialReply
from stream.roles import CONTROLS
from stream.structs import VERSION, Cosine, Count, Id, Label, Name, Seconds, Share, SourceState, Text
from stream.withheld_reply import WithheldReply

MAX_REQUEST = 64 << 10
"""Bytes of the largest request."""
MAX_REPLY = 32 << 20
"""Bytes of the largest reply that a client takes; far above what the limits below add up to in practice."""
PAGE_MESSAGES = 500
PAGE_BYTES = 64 << 10
"""Small, so that who replays much does not keep others waiting for long."""
MAX_EMBEDDING = 8192
MAX_EXAMPLES = 1_000
"""Events whose example the publisher keeps."""
MAX_ERROR = 1_000
"""Characters of the longest error."""
FORWARDED = CONTROLS | {"prompt_list"}
"""Requests that the publisher has answered by the process that knows."""
JournaledKind = Literal["alarm", "action", "anomaly", "status"]
Bodies = Annotated[list[Raw], Meta(description="envelopes, as published")]


class Request(Struct, frozen=True, omit_defaults=True):
    """What a client sends.

    `kind`, `seq`, `limit` and `epoch` belong to type after, `event` to types example and clip, `name` and `prompt` to
    those of prompts.
    """

    v: Literal[1]
    type: Annotated[Label, Meta(description="ping, snapshot, after, example, clip, withheld, prompt_list ... reload")]
    id: Id = ""
    kind: Annotated[JournaledKind | None, Meta(description="whose numbers")] = None
    seq: Annotated[Count | None, Meta(description="the last number that the asker has; 0 for none")] = None
    limit: Annotated[Annotated[int, Meta(ge=1, le=PAGE_MESSAGES)], Meta(description="messages at most")] = PAGE_MESSAGES
    epoch: Annotated[Name | None, Meta(description="whose numbers; left out or null: the publisher's own")] = None
    event: Annotated[Label | None, Meta(description="id of an event")] = None
    name: Annotated[Label | None, Meta(description="name of a prompt in use")] = None
    prompt: Annotated[
        dict[str, Any] | None, Meta(description="keys of a [[prompts]] block; in prompt_set null: the default again")
    ] = None


class PromptInfo(Struct, frozen=True):
    """A prompt in use."""

    name: Annotated[Name, Meta(description="last level of its events' topics")]
    prompt: Annotated[Text, Meta(description="its text")]
    severity: Literal["info", "alert", "critical"]


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
    epoch: Annotated[Name, Meta(description="whose numbers these are: the one that was asked for")]
    kind: JournaledKind
    gap: Annotated[bool, Meta(description="true: some that were asked for are gone; go on with after first - 1")]
    first: Annotated[Count, Meta(description="number of the first message here, or with gap the oldest kept; 0: none")]
    newest: Annotated[Count, Meta(description="newest number of the kind in that epoch, as far as known")]
    messages: Bodies
    more: Annotated[bool, Meta(description="true: ask again after the last one here")]
    next: Annotated[
        Annotated[str, Meta(max_length=64)],
        Meta(description="the epoch that followed a former one; empty: it is the publisher's own"),
    ] = ""


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
    error: Annotated[str, Meta(max_length=MAX_ERROR, description="one line")]


Reply = (
    Pong
    | SnapshotReply
    | AfterReply
    | ExampleReply
    | ClipReply
    | WithheldReply
    | PromptsReply
    | TrialReply
    | ErrorReply
)
REPLIES: dict[str, type[Any]] = {
    "pong": Pong,
    "snapshot": SnapshotReply,
    "after": AfterReply,
    "example": ExampleReply,
    "clip": ClipReply,
    "withheld": WithheldReply,
    "prompts": PromptsReply,
    "trial": TrialReply,
    "error": ErrorReply,
}


class _Head(Struct):
    type: str


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
