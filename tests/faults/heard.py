"""Everything that a subscriber got from a daemon, over restarts of it, collected in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Self

from stream.follower import Item, Snapshot
from stream.messages import Message
from stream.sequence import Gap
from stream.structs import Envelope, EventData, HeartbeatData, SourceState
from stream.subscriber import Subscriber
from stream.topics import JOURNALED


class Heard:
    """Listens to the addresses `events` and `query` in a folder, or to others, from the start of a `with` block.

    Attributes:
        items: all that came: messages, snapshots, gaps.
    """

    def __init__(self, folder: Path, events: str = "", query: str = "") -> None:
        self.items: list[Item] = []
        self._arrived: list[float] = []
        self._subscriber = Subscriber(events or f"ipc://{folder}/events", query or f"ipc://{folder}/query")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(10)

    @property
    def listening(self) -> bool:
        """Whether it was started."""
        return self._thread.is_alive()

    def _collect(self) -> None:
        with self._subscriber as subscriber:
            while not self._stop.is_set():
                item = subscriber.receive(0.1)
                if item is not None:
                    self._arrived.append(time.monotonic())
                    self.items.append(item)

    @property
    def mark(self) -> int:
        """How much has come: `events(since=mark)` are those that come later."""
        return len(self.items)

    def envelopes(self, since: int = 0) -> list[Envelope]:
        """All messages."""
        return [item.envelope for item in self.items[since:] if isinstance(item, Message)]

    def events(self, name: str = "", source: str = "", since: int = 0) -> list[EventData]:
        """Messages of events: of all, or of one name, or one source."""
        return [
            envelope.data
            for envelope in self.envelopes(since)
            if isinstance(envelope.data, EventData) and name in ("", envelope.data.name)
            if source in ("", envelope.source)
        ]

    def starts(self, name: str, since: int = 0) -> list[EventData]:
        """First messages of events of a name."""
        return [event for event in self.events(name, since=since) if event.phase == "start"]

    def ends(self, name: str, since: int = 0) -> list[EventData]:
        """Last messages of events of a name."""
        return [event for event in self.events(name, since=since) if event.phase == "end"]

    def states(self, source: str, since: int = 0) -> list[SourceState]:
        """States of a source (or of the daemon itself, by its name), changes only."""
        return [
            envelope.data
            for envelope in self.envelopes(since)
            if isinstance(envelope.data, SourceState) and envelope.source == source
        ]

    @property
    def gaps(self) -> list[Gap]:
        """What was lost for good."""
        return [item for item in list(self.items) if isinstance(item, Gap)]

    @property
    def snapshots(self) -> list[Snapshot]:
        """One for the start and one for each restart of the publisher."""
        return [item for item in list(self.items) if isinstance(item, Snapshot)]

    @property
    def heartbeat(self) -> HeartbeatData | None:
        """The newest one."""
        for envelope in reversed(self.envelopes()):
            if isinstance(envelope.data, HeartbeatData):
                return envelope.data
        return None

    def longest_silence(self, name: str, source: str, since: int = 0) -> float:
        """Longest time between two messages of these events, s."""
        times = [
            at
            for at, item in zip(self._arrived[since:], self.items[since:], strict=False)
            if isinstance(item, Message) and isinstance(item.envelope.data, EventData)
            if item.envelope.data.name == name and item.envelope.source == source
        ]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def check(self, since: int = 0) -> None:
        """Nothing lost, nothing twice, in order: no number of an epoch is left out or comes again, and each event has
        one start, then updates, then one end at most.
        """
        lost = [item for item in self.items[since:] if isinstance(item, Gap)]
        assert not lost, lost
        numbers: dict[tuple[str, str], list[int]] = {}
        for item in self.items[since:]:
            if isinstance(item, Message) and item.topic.kind in JOURNALED:
                numbers.setdefault((item.envelope.epoch, item.topic.kind), []).append(item.envelope.seq)
        for epoch_kind, seqs in numbers.items():
            jumps = [(before, after) for before, after in pairwise(seqs) if after != before + 1]
            assert not jumps, (epoch_kind, jumps)
        phases: dict[str, list[str]] = {}
        for event in self.events(since=since):
            phases.setdefault(event.id, []).append(event.phase)
        known = {message.envelope.data.id for message in self.snapshots[0].open_events}  # type: ignore[union-attr]
        earlier = (item.envelope.data for item in self.items[:since] if isinstance(item, Message))
        known |= {data.id for data in earlier if isinstance(data, EventData)}
        for key, found in phases.items():
            assert found[0] == "start" or key in known, (key, found)
            assert set(found[1:-1]) <= {"update"}, (key, found)
            assert "start" not in found[1:], (key, found)


def until(wanted: Callable[[], object], seconds: float = 60.0, what: Callable[[], object] = lambda: "") -> float:
    """Wait until something holds; the seconds that it took.

    Args:
        wanted: what should hold.
        seconds: how long at most.
        what: what to tell where it does not.
    """
    began = time.monotonic()
    while not wanted():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not so in {seconds:.0f} s: {what()}")
        time.sleep(0.02)
    return time.monotonic() - began
