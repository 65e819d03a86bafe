"""What `posewire watch` prints of what a real subscriber yields."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from wire_samples import make_end, make_event, pump

from stream.commands.watch import FIRST_S, Silence, WatchView, watch_events
from stream.errors import PosewireError
from stream.follower import Item, Snapshot
from stream.publisher import Publisher
from stream.sockets import PublisherSockets
from stream.structs import SourceState
from stream.subscriber import Subscriber


class Screen:
    """A view and what it printed."""

    def __init__(self, topics: Sequence[str], *, json: bool = False) -> None:
        self._out, self._notes = io.StringIO(), io.StringIO()
        consoles = (Console(file=file, width=500, highlight=False) for file in (self._out, self._notes))
        self.view = WatchView(topics, *consoles, json=json)

    def show(self, items: Sequence[Item]) -> None:
        for item in items:
            self.view.show(item)

    @property
    def out(self) -> list[str]:
        return self._out.getvalue().splitlines()

    @property
    def notes(self) -> list[str]:
        return self._notes.getvalue().splitlines()


@pytest.fixture
def joined(tmp_path: Path) -> list[Item]:
    """What a subscriber gets that joins while two alarms are open, one of which then ends."""
    publisher = Publisher("hall")
    events, query = f"ipc://{tmp_path}/e", f"ipc://{tmp_path}/q"
    with PublisherSockets(publisher, events=events, query=query, heartbeat_s=0.05) as sockets:
        publisher.publish_status("hall", "running")
        publisher.publish_status("cam1", "running")
        publisher.publish_status("cam2", "lost", detail="its capture process died")
        for number in (1, 2):
            publisher.publish_event(make_event(number))
        with Subscriber(events, query, ("alarm", "status", "heartbeat")) as subscriber:
            items = pump(sockets, subscriber, lambda items: any(isinstance(item, Snapshot) for item in items))
            sockets.send(publisher.publish_event(make_end(1)))
            sockets.send(publisher.publish_status("cam1", "ended"))
            items += pump(sockets, subscriber, lambda items: len([i for i in items if "heartbeat" not in str(i)]) == 2)
    return items


def test_json_prints_envelopes_and_nothing_else_each_once(joined: list[Item]):
    screen = Screen(["alarm", "status"], json=True)
    snapshot = next(item for item in joined if isinstance(item, Snapshot))
    screen.show([*joined[: joined.index(snapshot) + 1], *snapshot.open_events, *joined[joined.index(snapshot) + 1 :]])
    messages = [json.loads(line) for line in screen.out]
    assert [(m["type"], m["seq"], m["data"].get("phase")) for m in messages] == [
        ("event", 1, "start"),
        ("event", 2, "start"),
        ("event", 3, "end"),
        ("status", 4, None),
    ]
    assert "joined hall: 2 sources, 0 prompts, 2 open events" in screen.notes[0]


def test_sinks_are_no_sources():
    running = SourceState("running", "", 0, 0, 0.0)
    screen = Screen(["alarm"])
    screen.show([Snapshot("hall", "e", {}, [], {"hall": running, "cam1": running, "sink.phone": running}, [])])
    assert screen.notes == ["joined hall: 1 source, 1 sink, 0 prompts, 0 open events"]


def test_a_person_sees_the_states_on_joining_and_the_time_of_day(joined: list[Item]):
    screen = Screen(["status"])
    screen.show(joined)
    told = [line.split(maxsplit=1)[1] for line in screen.out if "alarm" not in line.lower() and "fall" not in line]
    assert told == ["hall running", "cam1 running", "cam2 lost its capture process died", "cam1 ended"]
    screen = Screen(["alarm"])
    screen.show(joined)
    assert len(screen.out) == 3
    assert all(re.match(r" *\d\d:\d\d:\d\d  (start|end) ", line) for line in screen.out)
    assert not any("running" in line or "up " in line for line in screen.out)


def test_states_and_events_of_other_sources_are_left_out(joined: list[Item]):
    screen = Screen(["status/cam2", "alarm/cam9"])
    screen.show([item for item in joined if not isinstance(item, Snapshot)])
    assert screen.out == []


def test_silence_is_told_once_and_so_is_its_end():
    silence = Silence("tcp://x", 5.0, 100.0)
    assert silence.step(False, 100.0 + FIRST_S - 0.1) is None
    assert silence.step(False, 100.0 + FIRST_S) == "nothing heard on tcp://x yet"
    assert silence.step(False, 120.0) is None
    assert silence.step(True, 121.0) is None
    assert silence.step(False, 125.9) is None
    assert silence.step(False, 126.0) == "tcp://x is silent"
    assert silence.step(False, 140.0) is None
    assert silence.step(True, 141.0) == "tcp://x is back"
    assert silence.step(True, 142.0) is None
    assert silence.step(False, 147.0) == "tcp://x is silent"


def test_topics_of_two_sockets_are_refused():
    with pytest.raises(PosewireError, match="'skeleton' and 'alarm' come from two sockets"):
        watch_events(["alarm", "skeleton"], connect="ipc://x", query=None, json=False, config=None)


def test_the_end_of_an_event_is_shown_with_the_id_by_which_to_ask_for_it() -> None:
    screen, publisher = Screen(["alarm"]), Publisher("n")
    screen.show([publisher.publish_event(make_event(1)), publisher.publish_event(make_end(1))])
    start, end = screen.out
    assert make_end(1).id not in start
    assert end.endswith(f"  {make_end(1).id}")
