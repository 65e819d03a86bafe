"""What the publisher says to requests on its `query` socket."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from stream.clip_reply import MAX_CLIPS
from stream.journal import JournalError, Missing
from stream.publisher import Publisher
from stream.query import (
    FORWARDED,
    MAX_ERROR,
    MAX_EXAMPLES,
    PAGE_BYTES,
    PAGE_MESSAGES,
    AfterReply,
    ErrorReply,
    Pong,
    Reply,
    Request,
    SnapshotReply,
)
from stream.roles import CONTROLS, READS, Role, may
from stream.structs import VERSION, Id
from stream.topics import Kind

Forward = Callable[[Request], str]
"""Hands a request on to who answers it later; returns why it cannot, or nothing."""

NEEDS = {
    "prompt_add": ("prompt",),
    "prompt_set": ("name", "prompt"),
    "prompt_remove": ("name",),
    "prompt_test": ("prompt",),
}
"""What each of them must have beside its type."""


class _IdOnly(Struct):
    id: Id = ""


_EXPECTED = {
    "v": "1, the version of the wire",
    "type": "ping, snapshot, after, example, clip, withheld, prompt_list, prompt_add, prompt_set, prompt_remove, "
    "prompt_reset, prompt_test or reload",
    "id": "a string of at most 128 characters",
    "kind": "alarm, action, anomaly or status",
    "seq": "a whole number from 0",
    "epoch": "the epoch of earlier messages",
    "limit": f"a whole number from 1 to {PAGE_MESSAGES}",
    "event": "the id of an event, 1 to 64 characters",
    "name": "the name of a prompt, 1 to 64 characters",
    "prompt": "an object with the keys of a [[prompts]] block, such as its text",
}
"""What each field of a request may be, in words."""
_WRONG_FIELD = re.compile(r"`\$\.(\w+)`|required field `(\w+)`")

_REQUEST = msgspec.json.Decoder(Request)
_ID_ONLY = msgspec.json.Decoder(_IdOnly)


def answer(publisher: Publisher, body: bytes, role: Role = Role.READ, forward: Forward | None = None) -> bytes | None:
    """Answer a request, whatever its bytes are.

    Args:
        publisher: who knows most answers.
        body: the request.
        role: of who asks.
        forward: takes requests of a type in `FORWARDED` that the role may send; None: there is no daemon behind.

    Returns:
        The reply, or None if the request was handed on.
    """
    try:
        request = _REQUEST.decode(body)
    except (ValueError, RecursionError) as error:
        return error_reply(_id_of(body), f"malformed request: {_wrong(error)}")
    refusal = _refusal(request, role) if request.type in READS | CONTROLS else ""
    if not refusal and request.type not in FORWARDED:
        return msgspec.json.encode(_answer(publisher, request))
    if not refusal:
        refusal = "expected a running daemon: nothing changes here" if forward is None else forward(request)
    return error_reply(request.id, f"request {request.type}: {refusal}") if refusal else None


def error_reply(request: str, error: str) -> bytes:
    """Return the reply that tells of an error, cut to its limit; `request` is the request's id."""
    line = "; ".join(error.splitlines())
    return msgspec.json.encode(_failed(request, line[:MAX_ERROR]))


def _failed(request: str, error: str) -> ErrorReply:
    return ErrorReply(VERSION, "error", request, error)


def _refusal(request: Request, role: Role) -> str:
    """Say why a request is not answered; empty if it is."""
    if not may(role, request.type):
        return f"expected the role {Role.CONTROL}, but this socket gives {role}; see publish.control and your key"
    missing = [key for key in NEEDS.get(request.type, ()) if getattr(request, key) is None]
    return f"{missing[0]} is missing; expected {_EXPECTED[missing[0]]}" if missing else ""


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
    if request.type == "clip":
        return _clip(publisher, request)
    if request.type == "withheld":
        return publisher.withheld(request.id)
    error = f"unknown request type {request.type!r}: expected {_EXPECTED['type']}"
    return _failed(request.id, error)


def _after(publisher: Publisher, request: Request) -> Reply:
    if request.kind is None or request.seq is None:
        return _failed(request.id, "request after: expected kind and seq")
    kind, epoch, journal = Kind(request.kind), request.epoch or publisher.epoch, publisher.journal
    own = epoch == publisher.epoch
    try:
        page = journal.after(kind, request.seq, request.limit, PAGE_BYTES, epoch)
        newest = publisher.seqs()[kind] if own else journal.newest(epoch, kind)
        following = "" if own else journal.next_epoch(epoch)
    except JournalError as error:
        return _failed(request.id, f"request after: {error}"[:MAX_ERROR])
    gap = isinstance(page, Missing)
    messages = [] if isinstance(page, Missing) else page.messages
    return AfterReply(
        VERSION,
        "after",
        request.id,
        publisher.node,
        epoch,
        kind=request.kind,
        gap=gap,
        first=page.first if isinstance(page, Missing) else request.seq + 1 if messages else 0,
        newest=newest,
        messages=[Raw(body) for body in messages],
        more=page.first > 0 if isinstance(page, Missing) else page.more,
        next=following,
    )


def _example(publisher: Publisher, request: Request) -> Reply:
    if request.event is None:
        return _failed(request.id, "request example: expected event, the id of an event")
    reply = publisher.example(request.event, request.id)
    if reply is None:
        limit = f"the examples of the last {MAX_EXAMPLES:,} events are kept"
        return _failed(request.id, f"event {request.event!r} is unknown or too old: {limit}")
    return reply


def _clip(publisher: Publisher, request: Request) -> Reply:
    if request.event is None:
        return _failed(request.id, "request clip: expected event, the id of an event")
    reply = publisher.clip(request.event, request.id)
    if reply is None:
        limit = f"the joints of the last {MAX_CLIPS} events at most are kept, of each once it has ended"
        error = f"event {request.event!r} is unknown, goes on or is too old: {limit}"
        return _failed(request.id, error)
    return reply
