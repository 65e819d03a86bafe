"""`posewire watch`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stream.config_file import ConfigError, load_config
from stream.config_sinks import SINK
from stream.console import clock, event_line, make_console, plural
from stream.follower import Item, Snapshot
from stream.messages import Message
from stream.position import CursorFile
from stream.security.settings import client_keys
from stream.sequence import Gap
from stream.structs import EventData, HeartbeatData, ScoreData, SkeletonData, SourceState
from stream.subscriber import Subscriber
from stream.topics import Kind, prefix

EVENTS = ("alarm", "action", "anomaly")
FAST = ("skeleton", "score")
"""Kinds that have a socket of their own."""
FIRST_S = 3.0
"""Seconds after which a person is told that nobody answers."""
SILENT_S = 5.0
"""Seconds without a sign of life, and three heartbeats at least, after which a publisher is silent."""

_TICK_S = 0.5


def watch_events(
    topics: Sequence[str],
    *,
    connect: str | None,
    query: str | None,
    json: bool,
    config: Path | None,
    key: Path | None = None,
    server_key: Path | None = None,
    cursor: Path | None = None,
) -> int:
    """Print what a daemon publishes until interrupted; returns the exit code.

    With a `cursor` file it goes on where it was stopped.

    Raises:
        PosewireError: a topic, an endpoint, a key or the cursor is malformed, or the topics come from two sockets.
    """
    configured = load_config(config)
    settings = configured.publish
    keys = client_keys(configured, key=key, server_key=server_key)
    wanted = tuple(topics) or EVENTS
    for topic in wanted:
        prefix(topic)
    fast = [topic for topic in wanted if topic.split("/")[0] in FAST]
    if fast and len(fast) < len(wanted):
        other = next(topic for topic in wanted if topic not in fast)
        raise ConfigError(f"topics {fast[0]!r} and {other!r} come from two sockets: watch them in two terminals")
    if fast and connect is None and not settings.skeletons:
        raise ConfigError(f"topic {fast[0]}: publish.skeletons is empty; set it, or give --connect")
    # Someone else's publisher has someone else's query socket: without its address, losses are only told of.
    endpoint = connect or (settings.skeletons if fast else settings.events)
    if query is None and connect is None and not fast:
        query = settings.query
    if cursor is not None and query is None:
        raise ConfigError("--cursor: nobody to ask for what was missed; expected --query beside --connect, and events")
    resume = None if cursor is None else CursorFile(cursor)
    console, notes = make_console(), make_console(stderr=True)
    notes.print(f"watching {', '.join(wanted)} on {endpoint}; Ctrl-C stops", style="dim", soft_wrap=True)
    view = WatchView(wanted, console, notes, json=json)
    if resume is not None:
        view.going_on = resume.read() is not None
    # Heartbeats tell silence from nothing to tell, whether they are shown or not.
    with Subscriber(endpoint, query, (*wanted, Kind.HEARTBEAT), keys=keys, resume=resume) as subscriber:
        silence = Silence(endpoint, max(SILENT_S, 3 * settings.heartbeat_s), time.monotonic())
        while True:
            item = subscriber.receive(_TICK_S)
            note = silence.step(isinstance(item, Message | Snapshot), time.monotonic())
            if note:
                notes.print(note, style="yellow", soft_wrap=True)
            if item is not None:
                view.show(item)


class Silence:
    """Tells once when nothing is heard of a publisher, and once when it is back.

    Args:
        endpoint: of the publisher.
        limit: seconds without a sign of life after which it is silent.
        now: time on a monotonic clock, in s.
    """

    def __init__(self, endpoint: str, limit: float, now: float) -> None:
        self._endpoint = endpoint
        self._limit = limit
        self._last = now
        self._heard = False
        self._told = False

    def step(self, heard: bool, now: float) -> str | None:
        """Return what a person should know, if anything.

        Args:
            heard: whether something came since the last step.
            now: time on the same clock.
        """
        if heard:
            back = f"{self._endpoint} is back" if self._told and self._heard else None
            self._last, self._heard, self._told = now, True, False
            return back
        if self._told or now - self._last < (self._limit if self._heard else FIRST_S):
            return None
        self._told = True
        return f"{self._endpoint} is silent" if self._heard else f"nothing heard on {self._endpoint} yet"


class WatchView:
    """Prints what a subscriber yields: messages on the console, everything else beside it.

    Args:
        topics: what to print.
        console: for messages.
        notes: for what is no message.
        json: whether to print messages as their envelopes, one a line.

    Attributes:
        going_on: everything was shown up to here, so that what is open needs not be shown again.
    """

    def __init__(self, topics: Sequence[str], console: Console, notes: Console, *, json: bool) -> None:
        self._prefixes = tuple(prefix(topic) for topic in topics)
        self._console = console
        self._notes = notes
        self._json = json
        self._shown: set[tuple[str, str, int]] = set()
        self.going_on = False

    def show(self, item: Item) -> None:
        """Print one item; a message that a snapshot has shown already is not printed again."""
        if isinstance(item, Gap):
            self._notes.print(f"LOST {item}", style="bold red", soft_wrap=True)
        elif isinstance(item, Snapshot):
            self._join(item)
        elif self._wanted(str(item.topic)) and _number(item) not in self._shown:
            self._message(item)

    def _join(self, snapshot: Snapshot) -> None:
        names = [name for name in snapshot.sources if name != snapshot.node]
        sinks = sum(name.startswith(SINK) for name in names)
        counts = [plural(len(names) - sinks, "source"), *([plural(sinks, "sink")] if sinks else [])]
        counts += [plural(len(snapshot.prompts), "prompt"), plural(len(snapshot.open_events), "open event")]
        self._notes.print(
            f"joined {snapshot.node}: {', '.join(counts)}",
            style="dim",
            soft_wrap=True,
        )
        # A state is no message: with --json it stands beside them.
        where = self._notes if self._json else self._console
        for name, state in snapshot.sources.items():
            if self._wanted(f"{Kind.STATUS}/{name}/{state.state}/"):
                where.print(f"{clock(time.time()):>9}  {_state_line(name, state)}", style="dim", soft_wrap=True)
        if not self.going_on:
            for message in snapshot.open_events:
                self._message(message)
            self._shown = {_number(message) for message in snapshot.open_events}
        self.going_on = True

    def _wanted(self, topic: str) -> bool:
        return topic.encode("ascii").startswith(self._prefixes)

    def _message(self, message: Message) -> None:
        if self._json:
            self._console.out(message.body.decode(), highlight=False)
            return
        envelope = message.envelope
        data = envelope.data
        if isinstance(data, EventData):
            # A source's own clock means nothing beside another's: the message's times become those of the day.
            shown = event_line(envelope.source, data, data.t - envelope.t_pub, with_id=True)
            self._console.print(shown, soft_wrap=True)
            return
        if isinstance(data, SourceState):
            line, style = _state_line(envelope.source, data), "dim"
        elif isinstance(data, HeartbeatData):
            line, style = f"{envelope.node} up {data.uptime_s:.0f} s, numbers {data.seqs}", "dim"
        elif isinstance(data, SkeletonData):
            line, style = f"{envelope.source} {envelope.t:.3f} people {data.track_ids}", ""
        elif isinstance(data, ScoreData):
            best = sorted(zip(data.probability, data.prompts, strict=True), reverse=True)[:3]
            told = "  ".join(f"{name} {share:.2f}" for share, name in best)
            line, style = f"{envelope.source} {envelope.t:.3f} person {data.track}  {told}", ""
        else:
            return
        self._console.print(f"{clock(envelope.t_pub):>9}  {line}", style=style, soft_wrap=True)


def _number(message: Message) -> tuple[str, str, int]:
    return message.envelope.epoch, message.topic.kind, message.envelope.seq


def _state_line(source: str, state: SourceState) -> str:
    return f"{source} {state.state} {state.detail}".rstrip()
