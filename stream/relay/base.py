"""What every way to carry messages on has in common."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from stream.errors import PosewireError
from stream.structs import EventData

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Pauses before another try: the first, doubled each time up to the longest."""
JITTER = 0.25
"""Share by which a pause is longer or shorter, so that what failed together does not come back together."""
MAX_WAIT_S = 3600.0
"""The longest that a server may ask to be left alone."""
REFUSALS = frozenset({400, 406, 409, 411, 413, 414, 415, 416, 422, 431})
"""Answers of web servers about this one message. Other errors are about the address, the login or the load: they hold
for all messages and may be put right, so that nothing is set aside for them."""


class NotDelivered(PosewireError):
    """The other end is away, or does not take anything now: the same message is tried again, for as long as it takes.

    Args:
        why: one line for people, without credentials.
        after: seconds to wait that the other end asked for, if it did.
    """

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = None if after is None else min(max(after, 0.0), MAX_WAIT_S)


class Refused(PosewireError):
    """The other end is there, and says that it will never take this message."""


class RelayError(PosewireError):
    """A sink cannot be used as it is configured, or something it needs is not installed."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message on its way.

    Attributes:
        id: the same each time that it is sent, and no other message's: EPOCH-KIND-NUMBER.
        topic: kind/source/name, or gap/kind.
        body: JSON, one line.
        event: what it says of an event, if it is about one.
        source: where that is.
        text: what it says, for people.
    """

    id: str
    topic: str
    body: bytes
    event: EventData | None
    source: str
    text: str


class Relay(Protocol):
    """A way out. Its methods may block for some seconds; all belong to one thread.

    `target` names the other end for people, without credentials.
    """

    target: str

    def tend(self) -> None:
        """See to it that the other end is there, where that can be told; called every second or so.

        Raises:
            NotDelivered: it is not.
        """

    def probe(self) -> bool:
        """Try the other end beside a daemon that may use it now, and return whether that could be done at all: not
        where it would take a message.

        Raises:
            NotDelivered: it is away or lets nobody in.
        """

    def send(self, parcel: Parcel) -> None:
        """Deliver one message: once this returns, the other end has said that it has it.

        Raises:
            NotDelivered: it did not say so, and may have it or not.
            Refused: it will never take it.
        """

    def close(self) -> None:
        """Say good-bye."""


class Backoff:
    """Pauses between tries, longer and longer."""

    def __init__(self) -> None:
        self._tries = 0

    def next(self, after: float | None = None) -> float:
        """Return the next pause in seconds; `after`: at least so long, as the other end asked for."""
        pause: float = min(FIRST_PAUSE_S * 2.0 ** min(self._tries, 30), LONGEST_PAUSE_S)
        self._tries += 1
        return max(pause * random.uniform(1.0 - JITTER, 1.0 + JITTER), after or 0.0)

    def reset(self) -> None:
        """Begin anew: something got through."""
        self._tries = 0
