"""Whether a sink would work: what `posewire check` says of it."""

from __future__ import annotations

from stream.config_sinks import SinkEntry
from stream.relay.base import NotDelivered
from stream.relay.configured import make_relay


def try_sink(entry: SinkEntry, node: str) -> str:
    """Make a sink, log in where that sends no message, and say in one line what it is.

    Raises:
        RelayError: it lacks something.
        SourceError: a secret is not there.
        NotDelivered: the other end is away or lets nobody in.
    """
    relay = make_relay(entry, node, entry.name)
    told = f"{entry.name}: {', '.join(entry.topics)} to {relay.target}"
    try:
        tried = relay.probe()
    except NotDelivered as error:
        raise NotDelivered(f"{told}: {error}") from None
    finally:
        relay.close()
    return told if tried else f"{told} (not tried, as that would send a message)"
