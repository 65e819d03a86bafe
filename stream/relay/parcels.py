"""From what a subscriber yields to what is sent on."""

from __future__ import annotations

import time

import msgspec

from stream.config_sinks import SinkEntry
from stream.console import event_line
from stream.follower import Item, Snapshot
from stream.relay.base import Parcel
from stream.sequence import Gap
from stream.structs import VERSION, EventData, SourceState
from stream.types import Phase, Severity

_ORDER = list(Severity)


def parcel_of(item: Item, entry: SinkEntry, node: str, *, opening: bool = False) -> Parcel | None:
    """Return what to send of an item, None for nothing: not of this sink's phases or severity, or a snapshot.

    Args:
        item: of a `Subscriber` to the sink's topics.
        entry: the sink.
        node: name of the daemon.
        opening: whether it stands for all that was told of its event so far, its start too.
    """
    if isinstance(item, Gap):
        return _gap(item, node)
    if isinstance(item, Snapshot):
        return None
    envelope = item.envelope
    data = envelope.data
    key, topic = f"{envelope.epoch}-{item.topic.kind}-{envelope.seq}".replace(".", "_"), str(item.topic).rstrip("/")
    if isinstance(data, EventData):
        wanted = data.phase in entry.phases or (opening and Phase.START in entry.phases)
        if not wanted or _ORDER.index(Severity(data.severity)) < _ORDER.index(entry.min_severity):
            return None
        # A source's own clock means nothing elsewhere: the message's times become those of the day.
        line = " ".join(event_line(envelope.source, data, data.t - envelope.t_pub).plain.split())
        return Parcel(key, topic, item.body, data, envelope.source, f"{data.prompt}\n{line}")
    if isinstance(data, SourceState):
        text = f"{envelope.source} {data.state} {data.detail}".rstrip()
        return Parcel(key, topic, item.body, None, envelope.source, text)
    return None


def _gap(gap: Gap, node: str) -> Parcel:
    """A message about messages that can be had no more; it has no number of its own."""
    data = {"kind": gap.kind, "first": gap.first, "last": gap.last}
    envelope = {"v": VERSION, "type": "gap", "node": node, "epoch": gap.epoch, "t_pub": round(time.time(), 6)}
    body = msgspec.json.encode({**envelope, "data": data})
    count = "an unknown number of" if gap.last is None else f"{gap.last - gap.first + 1}"
    text = f"{node}: {count} {gap.kind} messages are lost (from number {gap.first} on): no longer in the journal"
    key = f"{gap.epoch}-{gap.kind}-gap-{gap.first}".replace(".", "_")
    return Parcel(key, f"gap/{gap.kind}", body, None, node, text)
