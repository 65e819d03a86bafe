"""A replay of made-up recordings: pace, totals, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from poses import frame
from test_pipeline import FPS30, events_of, frames, make

from stream.messages import MessageError
from stream.pipeline import Output
from stream.replay import Replay, Summary
from stream.sources.base import RecordedSource
from stream.types import NANOSECONDS, EndReason, SkeletonFrame, Tracked


class Made(RecordedSource):
    """Frames out of a list."""

    def __init__(self, name: str, made: list[SkeletonFrame]) -> None:
        self.name, self._made = name, made

    def frames(self) -> Iterator[SkeletonFrame]:
        yield from self._made


class Ears:
    """Watches and takes everything."""

    def __init__(self, refused: str = "") -> None:
        self.notes: list[str] = []
        self.faults: dict[str, str] = {}
        self.outputs: list[Output] = []
        self._refused = refused

    def begin(self, source: RecordedSource) -> None:
        self.faults[source.name] = "never ended"

    def advance(self, source: RecordedSource, frames: int) -> None:
        assert source.name in self.faults
        assert frames >= 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self, source: RecordedSource, fault: str) -> None:
        self.faults[source.name] = fault

    def put(self, output: Output) -> None:
        if output.source == self._refused and not isinstance(output, Tracked):
            raise MessageError("no such message")
        self.outputs.append(output)


def seconds(source: str, *times: float) -> list[SkeletonFrame]:
    return [frame(round(t * NANOSECONDS), source=source) for t in times]


def play(sources: list[RecordedSource], speed: float | None, ears: Ears) -> tuple[Summary, list[float]]:
    waits: list[float] = []
    summary = Replay(sources, make(), [ears], speed=speed, watcher=ears, wait=waits.append).run()
    return summary, waits


def test_sources_of_one_recording_with_other_clocks_are_paced_each_by_its_own() -> None:
    ears = Ears()
    old, new = seconds("old", 0, 1, 2), seconds("new", 1.7e9, 1.7e9 + 1)
    summary, waits = play([Made("both", [old[0], new[0], old[1], new[1], old[2]])], 1.0, ears)
    # `wait` does not wait here, so all waits count from the beginning.
    assert waits == pytest.approx([1, 1, 2], abs=0.5)
    assert summary.media_s == 2.0
    assert ears.notes == []


@pytest.mark.parametrize("speed", [4.0, None])
def test_jumps_of_the_clock_are_skipped_and_noted_once(speed: float | None) -> None:
    ears = Ears()
    jumping = [*seconds("cam", 1000, 1002), *seconds("cam", 5, 6), *seconds("cam", 5000, 5001)]
    summary, waits = play([Made("a", jumping), Made("b", jumping)], speed, ears)
    assert all(wait < 1 for wait in waits)
    assert summary.media_s == 2 * 4.0
    assert ears.notes == ["a: the time of cam jumps; going on from there"]


def test_a_message_that_the_wire_refuses_is_the_fault_of_its_file_alone() -> None:
    ears = Ears(refused="bad")
    summary, _ = play([Made("bad", frames("bad")), Made("good", frames("good"))], None, ears)
    assert ears.faults == {"bad": "bad: no such message", "good": ""}
    assert summary.errors == ["bad: no such message"]
    assert (summary.files, summary.total) == (1, 2)
    assert events_of(ears.outputs)[-1].source == "good"


def test_an_interrupt_ends_events_and_counts_what_was_played() -> None:
    ears = Ears()
    made = frames()[:180]

    def stop(_seconds: float) -> None:
        if len(ears.outputs) > 180:
            raise KeyboardInterrupt

    replay = Replay([Made("cam", made), Made("next", made)], make(), [ears], speed=1e-3, watcher=ears, wait=stop)
    with pytest.raises(KeyboardInterrupt):
        replay.run()
    assert events_of(ears.outputs)[-1].reason is EndReason.SHUTDOWN
    assert (replay.summary.files, replay.summary.total) == (0, 2)
    assert 0 < replay.summary.media_s <= 180 * FPS30 / NANOSECONDS
