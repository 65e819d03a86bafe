"""`posewire watch`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stream.config_file import ConfigError, load_config
from stream.console import event_line, make_console
from stream.messages import Message
from stream.sequence import Gap
from stream.structs import EventData, HeartbeatData, ScoreData, SkeletonData, SourceState
from stream.subscriber import Item, Snapshot, Subscriber
from stream.topics import prefix

EVENTS = ("alarm", "action", "anomaly")
RARE = (*EVENTS, "status", "heartbeat")


def watch_events(
    topics: Sequence[str], *, connect: str | None, query: str | None, json: bool, config: Path | None
) -> int:
    """Print what a daemon publishes until interrupted; returns the exit code.

    Raises:
        PosewireError: a topic or an endpoint is malformed.
    """
    settings = load_config(config).publish
    wanted = tuple(topics) or EVENTS
    for topic in wanted:
        prefix(topic)
    fast = [topic for topic in wanted if topic.split("/")[0] not in RARE]
    if fast and connect is None and not settings.skeletons:
        raise ConfigError(f"topic {fast[0]}: publish.skeletons is empty; set it, or give --connect")
    # Someone else's publisher has someone else's query socket: without its address, losses are only told of.
    endpoint = connect or (settings.skeletons if fast else settings.events)
    if query is None and connect is None and not fast:
        query = settings.query
    console, notes = make_console(), make_console(stderr=True)
    notes.print(f"watching {', '.join(wanted)} on {endpoint}; Ctrl-C stops", style="dim", soft_wrap=True)
    with Subscriber(endpoint, query, wanted) as subscriber:
        for item in subscriber:
            if json and isinstance(item, Message):
                console.out(item.body.decode(), highlight=False)
            else:
                _show(item, console, notes)
    return 0


def _show(item: Item, console: Console, notes: Console) -> None:
    if isinstance(item, Gap):
        notes.print(f"LOST {item}", style="bold red", soft_wrap=True)
    elif isinstance(item, Snapshot):
        notes.print(
            f"joined {item.node}: {len(item.sources)} sources, {len(item.prompts)} prompts, "
            f"{len(item.open_events)} open events",
            style="dim",
            soft_wrap=True,
        )
        for message in item.open_events:
            _show_message(message, console)
    else:
        _show_message(item, console)


def _show_message(message: Message, console: Console) -> None:
    envelope = message.envelope
    data = envelope.data
    if isinstance(data, EventData):
        console.print(event_line(envelope.source, data), soft_wrap=True)
    elif isinstance(data, SourceState):
        console.print(f"{envelope.source} {data.state} {data.detail}".rstrip(), style="dim", soft_wrap=True)
    elif isinstance(data, HeartbeatData):
        console.print(f"{envelope.node} up {data.uptime_s:.0f} s, numbers {data.seqs}", style="dim", soft_wrap=True)
    elif isinstance(data, SkeletonData):
        console.print(f"{envelope.source} {envelope.t:.3f} people {data.track_ids}", soft_wrap=True)
    elif isinstance(data, ScoreData):
        best = sorted(zip(data.probability, data.prompts, strict=True), reverse=True)[:3]
        told = "  ".join(f"{name} {share:.2f}" for share, name in best)
        console.print(f"{envelope.source} {envelope.t:.3f} person {data.track}  {told}", soft_wrap=True)
