"""Events read back from their messages, to go on with or to end."""

from __future__ import annotations

from stream.messages import MessageError
from stream.structs import Data, Envelope, EventData
from stream.types import EndReason, Event, EventKind, Phase, Severity


def event_of(envelope: Envelope[Data]) -> Event:
    """Return the event of a message, its times to the microsecond that the wire has.

    Raises:
        MessageError: it is no event, or of a kind that this version does not know.
    """
    data = envelope.data
    if not isinstance(data, EventData):
        raise MessageError(f"message of type {envelope.type[:80]!r}: expected an event")
    try:
        reason = None if data.reason is None else EndReason(data.reason)
    except ValueError as error:
        raise MessageError(f"event {data.id!r}: {error}") from None
    return Event(
        id=data.id,
        phase=Phase(data.phase),
        kind=EventKind(data.kind),
        severity=Severity(data.severity),
        source=envelope.source,
        track=data.track,
        name=data.name,
        prompt=data.prompt,
        t=_nanoseconds(data.t),
        t_start=_nanoseconds(data.t_start),
        t_end=None if data.t_end is None else _nanoseconds(data.t_end),
        score=data.score,
        peak=data.peak,
        margin=data.margin,
        reason=reason,
    )


def _nanoseconds(t: float) -> int:
    """The wire's seconds as nanoseconds, of whole microseconds."""
    return round(t * 1e6) * 1000
