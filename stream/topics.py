"""Topics of wire version 1: `kind/source/name/`, every level ending in a slash.

ZeroMQ matches subscriptions by byte prefix: without the closing slash `alarm/cam1` would also match `cam10`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from stream.errors import PosewireError

NAME_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"
"""What nodes, sources, prompt names and epochs look like on the wire."""

MAX_NAME = 64
MAX_TOPIC = 2 * MAX_NAME + 16
"""Bytes of the longest topic, with room for kinds to come."""

_NAME = re.compile(NAME_PATTERN.strip("^$"))


class TopicError(PosewireError):
    """A topic, or a name that would become a level of one, is malformed."""


class Kind(StrEnum):
    """First level of a topic; messages are numbered per kind."""

    ALARM = "alarm"
    ACTION = "action"
    ANOMALY = "anomaly"
    STATUS = "status"
    HEARTBEAT = "heartbeat"
    SKELETON = "skeleton"
    SCORE = "score"


JOURNALED = (Kind.ALARM, Kind.ACTION, Kind.ANOMALY, Kind.STATUS)
"""Kinds that the publisher keeps for a subscriber that missed some; the others are worth nothing when late."""


def check_name(text: str, what: str = "name") -> str:
    """Return `text` if it may stand in a topic.

    Raises:
        TopicError: it may not; `what` says in the message whose name it is.
    """
    if not _NAME.fullmatch(text):
        raise TopicError(f"{what} {text[:80]!r}: expected 1 to {MAX_NAME} of the characters A-Z a-z 0-9 _ . -")
    return text


def slug(text: str) -> str:
    """Return a name for topics made from any text, the same for the same text on every machine.

    Accents are dropped and runs of other characters become one underscore. A text that is too long, or of which
    nothing is left (another script), gets a digest, so that two such texts still differ.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    name = re.sub(r"[^a-z0-9.-]+", "_", plain).strip("_")
    if name and len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9] or 'prompt'}_{digest}"


def prefix(text: str) -> bytes:
    """Return what to subscribe to for a topic as a person types it: "", "alarm", "alarm/cam1" or a full topic.

    Raises:
        TopicError: it can match no topic of version 1.
    """
    if not text:
        return b""
    levels = text.removesuffix("/").split("/")
    if len(levels) > 3 or levels[0] not in list(Kind):
        raise TopicError(f"topic {text[:80]!r}: expected kind/source/name/ or its start, kind one of {', '.join(Kind)}")
    for level in levels[1:]:
        check_name(level, f"level of topic {text[:80]!r}")
    return "".join(f"{level}/" for level in levels).encode("ascii")


@dataclass(frozen=True, slots=True)
class Topic:
    """A full topic. `kind` is a string, since a newer publisher may have kinds that this one does not know.

    Raises:
        TopicError: a level is malformed.
    """

    kind: str
    source: str
    name: str

    def __post_init__(self) -> None:
        for level in (self.kind, self.source, self.name):
            check_name(level, "level of a topic")

    def __str__(self) -> str:
        return f"{self.kind}/{self.source}/{self.name}/"

    def encode(self) -> bytes:
        """Return the bytes of the message's first frame."""
        return str(self).encode("ascii")

    @classmethod
    def parse(cls, data: bytes) -> Topic:
        """Read a message's first frame.

        Raises:
            TopicError: it is no topic.
        """
        levels = data.split(b"/")
        if len(data) > MAX_TOPIC or len(levels) != 4 or levels[3]:
            raise TopicError(f"topic {data[:80]!r}: expected kind/source/name/")
        try:
            return cls(*(level.decode("ascii") for level in levels[:3]))
        except UnicodeDecodeError:
            raise TopicError(f"topic {data[:80]!r}: expected ASCII") from None
