"""Those who asked the publisher what only the supervisor can do, and wait for an answer."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import msgspec

from stream.answers import error_reply
from stream.daemon.child import Child
from stream.daemon.jobs import MAX_WAITING, PATIENCE_S, Answer, Asked
from stream.publisher import Publisher
from stream.query import REPLIES, Request
from stream.sockets import Address, PublisherSockets
from stream.structs import VERSION

SETTLE_S = 1.0
"""Seconds for the worker's word to arrive that the prompts are others, which takes another way than the answer."""


@dataclass(slots=True)
class _Waiting:
    address: Address
    request: Request
    until: float
    answer: Answer | None = None


class Waiting:
    """Hands requests on and brings the answers back.

    Args:
        child: the way to the supervisor.
        publisher: named in the replies.
        sockets: the way to who asked.
    """

    def __init__(self, child: Child, publisher: Publisher, sockets: PublisherSockets) -> None:
        self._child = child
        self._publisher = publisher
        self._sockets = sockets
        self._asked: dict[int, _Waiting] = {}
        self._token = secrets.randbits(48)  # an answer to the publisher before this one fits nobody

    def ask(self, address: Address, request: Request) -> str:
        """Hand a request on; returns why that cannot be, or nothing."""
        if len(self._asked) >= MAX_WAITING:
            return "too many requests wait already; expected one at a time"
        self._token += 1
        asked = Asked(self._token, request.type, request.name or "", request.prompt or {})
        try:
            told = self._child.tell("asked", asked=msgspec.to_builtins(asked))
        except (ValueError, OverflowError, RecursionError) as error:
            return f"prompt: {str(error)[:200]}; expected the keys of a [[prompts]] block"
        if not told:
            return "the daemon is busy; expected the same request again, later"
        self._asked[self._token] = _Waiting(address, request, time.monotonic() + PATIENCE_S)
        return ""

    def take(self, answer: Answer) -> None:
        """Take what the supervisor answers."""
        waiting = self._asked.get(answer.token)
        if waiting is not None:
            waiting.answer, waiting.until = answer, time.monotonic() + SETTLE_S

    def look(self) -> None:
        """Reply to those who need not wait any longer."""
        now = time.monotonic()
        for token, waiting in list(self._asked.items()):
            answer = waiting.answer
            settled = answer is not None and answer.digest in ("", self._publisher.prompts_digest)
            if settled or now >= waiting.until:
                del self._asked[token]
                self._sockets.reply(waiting.address, self._reply(waiting.request, answer))

    def close(self) -> None:
        """Reply to everybody: nothing more will come."""
        for waiting in self._asked.values():
            error = f"request {waiting.request.type}: the daemon stops"
            self._sockets.reply(waiting.address, error_reply(waiting.request.id, error))
        self._asked.clear()

    def _reply(self, request: Request, answer: Answer | None) -> bytes:
        if answer is None:
            return error_reply(request.id, f"request {request.type}: no answer in {PATIENCE_S:.0f} s")
        if answer.error:
            return error_reply(request.id, f"request {request.type}: {answer.error}")
        kind = "trial" if request.type == "prompt_test" else "prompts"
        head = {
            "v": VERSION,
            "type": kind,
            "id": request.id,
            "node": self._publisher.node,
            "epoch": self._publisher.epoch,
        }
        digest = {} if kind == "trial" else {"prompts_digest": self._publisher.prompts_digest}
        try:
            return msgspec.json.encode(msgspec.convert({**head, **digest, **answer.body}, REPLIES[kind]))
        except msgspec.ValidationError as error:  # a source with a name that the contract does not know
            return error_reply(request.id, f"request {request.type}: the answer is outside the contract ({error})")
