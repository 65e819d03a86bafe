"""Orders that carry something to do: changes of the prompts, trials, and replies on their way to who asked."""

from __future__ import annotations

from typing import Any

import msgspec

JOB = b"job "
"""What such an order begins with."""
MAX_WAITING = 32
"""Requests that may wait for their turn, at the publisher and at the supervisor."""
PATIENCE_S = 180.0
"""Seconds after which nobody believes in an answer any more."""


class Prepare(msgspec.Struct, tag=True, frozen=True):
    """To the worker: be ready to watch for what another configuration says; change nothing yet.

    It answers `prepared`, `missing` (texts that must be embedded first) or `refused`.
    """

    token: int
    config: dict[str, Any]


class Commit(msgspec.Struct, tag=True, frozen=True):
    """To the worker: do what was prepared. It answers `changed`."""

    token: int


class Try(msgspec.Struct, tag=True, frozen=True):
    """To the worker: see what a prompt of another configuration would have raised.

    It answers `tried`, `missing` or `refused`.
    """

    token: int
    config: dict[str, Any]
    name: str


class EmbedTexts(msgspec.Struct, tag=True, frozen=True):
    """To the embedder: put the vectors of texts where the worker finds them. It answers `embedded`.

    Attributes:
        token: of the request that they are for.
        model: name of the text model.
        dim: D of its vectors.
        texts: new ones.
    """

    token: int
    model: str
    dim: int
    texts: tuple[str, ...]


class Answer(msgspec.Struct, tag=True, frozen=True):
    """To the publisher: what came of a request.

    Attributes:
        token: of the request.
        error: why it was refused, for people; empty if it was not.
        digest: of the prompts that the worker watches for now; empty where that is not known, or does not matter.
        body: fields of the reply.
    """

    token: int
    error: str = ""
    digest: str = ""
    body: dict[str, Any] = {}


Job = Prepare | Commit | Try | EmbedTexts | Answer

_decoder = msgspec.json.Decoder(Job)


def encode_job(job: Job) -> bytes:
    """The order."""
    return JOB + msgspec.json.encode(job)


def decode_job(order: bytes) -> Job:
    """The job of an order that begins with `JOB`."""
    job: Job = _decoder.decode(order.removeprefix(JOB))
    return job


class Asked(msgspec.Struct, frozen=True):
    """What the publisher hands on of a request.

    Attributes:
        token: by which its answer is known; 0 if nobody waits for one.
        type, name, prompt: see `stream.query.Request`.
    """

    token: int
    type: str
    name: str = ""
    prompt: dict[str, Any] = {}
