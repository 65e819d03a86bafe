"""`posewire replay`: recorded files through the pipeline, inline, in one process.

The same objects as in the daemon, called directly. Files are replayed one after the other, each as its own source; a
file that is broken is reported, its events so far stay, and the others go on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stream.errors import SourceError
from stream.events import Suppressions
from stream.messages import MessageError
from stream.pace import Pacer
from stream.pipeline import Output, Pipeline
from stream.sources.base import RecordedSource
from stream.types import EndReason, Event, Phase, SkeletonFrame, Tracked

BATCH_FRAMES = 64
"""Frames handed to the pipeline at once when nothing paces the replay: their windows are encoded together."""


class Sink(Protocol):
    """Takes what a replay yields, in order."""

    def put(self, output: Output) -> None:
        """Take one frame, window's scores, or event."""
        ...


class Watcher(Protocol):
    """Is told how a replay goes."""

    def begin(self, source: RecordedSource) -> None:
        """A file begins."""
        ...

    def advance(self, source: RecordedSource, frames: int) -> None:
        """This many more of its frames are done."""
        ...

    def note(self, text: str) -> None:
        """Something about the recordings that a person may want to know."""
        ...

    def end(self, source: RecordedSource, fault: str, /) -> None:
        """It ended; `fault` says why before its time, and is empty otherwise."""
        ...


@dataclass(slots=True)
class Summary:
    """What a replay did.

    Attributes:
        total: number of files given.
        files: number of files replayed to their end.
        errors: one line for each file that was not.
        frames: frames read.
        media_s: recorded time in seconds, over all files; of a file with several sources that of the longest.
        wall_s: time that the replay took, in seconds.
        people: tracks seen, per source.
        events: number of events, by prompt name.
        counts: the pipeline's counters.
        suppressions: the starts of events that were withheld.
    """

    total: int = 0
    files: int = 0
    errors: list[str] = field(default_factory=list)
    frames: int = 0
    media_s: float = 0.0
    wall_s: float = 0.0
    people: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    suppressions: Suppressions = field(default_factory=Suppressions)


class Replay:
    """One replay of some files. Use `run` once.

    Args:
        sources: what to replay, in this order.
        pipeline: what they go through.
        sinks: who gets the outputs.
        speed: times real time; None is as fast as it goes.
        watcher: told how it goes.
        wait: waits the given seconds where `speed` paces the replay.
    """

    def __init__(
        self,
        sources: Sequence[RecordedSource],
        pipeline: Pipeline,
        sinks: Sequence[Sink],
        *,
        speed: float | None = None,
        watcher: Watcher,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sources = sources
        self._pipeline = pipeline
        self._sinks = sinks
        self._speed = speed
        self._watcher = watcher
        self._wait = wait
        self._tracks: set[tuple[str, int]] = set()
        self._noted = False
        self._told_undated = False
        self.summary = Summary(total=len(sources))

    def run(self) -> Summary:
        """Replay all sources; a KeyboardInterrupt ends the open events before it goes on its way."""
        started = time.monotonic()
        try:
            for source in self._sources:
                self._replay(source)
        except KeyboardInterrupt:
            self._emit(self._pipeline.finish(EndReason.SHUTDOWN))
            raise
        finally:
            self.summary.wall_s = time.monotonic() - started
            self.summary.counts = self._pipeline.counts
            self.summary.suppressions = self._pipeline.engine.suppressions
        return self.summary

    def _replay(self, source: RecordedSource) -> None:
        self._watcher.begin(source)
        pacer = Pacer(self._speed)
        names: dict[str, None] = {}
        fault = ""
        try:
            self._frames(source, pacer, names)
        except SourceError as error:
            fault = str(error)
        except MessageError as error:
            fault = f"{source.name}: {error}"
        finally:
            self.summary.media_s += pacer.media_s
        for name in names:
            try:
                self._emit(self._pipeline.end_source(name))
            except MessageError as error:
                fault = fault or f"{source.name}: {error}"
        if fault:
            self.summary.errors.append(fault)
        else:
            self.summary.files += 1
        self._watcher.end(source, fault)

    def _frames(self, source: RecordedSource, pacer: Pacer, names: dict[str, None]) -> None:
        """Move all frames of a source into the pipeline, those before a fault included."""
        batch: list[SkeletonFrame] = []
        try:
            with source:
                for frame in source:
                    names[frame.source] = None
                    wait = pacer.due(frame, time.monotonic())
                    if pacer.jumps and not self._noted:
                        self._noted = True
                        self._watcher.note(f"{source.name}: the time of {frame.source} jumps; going on from there")
                    batch.append(frame)
                    if wait > 0:
                        self._wait(wait)
                    if self._speed is not None or len(batch) >= BATCH_FRAMES:
                        full, batch = batch, []
                        self._push(source, full)
        except SourceError:
            self._push(source, batch)
            raise
        self._push(source, batch)

    def _push(self, source: RecordedSource, frames: list[SkeletonFrame]) -> None:
        self.summary.frames += len(frames)
        self._emit(self._pipeline.push(frames))
        if self._pipeline.undated and not self._told_undated:
            self._told_undated = True
            self._watcher.note(f"{source.name}: its times have no date; every schedule counts as on")
        self._watcher.advance(source, len(frames))

    def _emit(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Event) and output.phase is Phase.START:
                self.summary.events[output.name] += 1
            elif isinstance(output, Tracked):
                new = {(output.source, track) for track in output.track_ids.tolist()} - self._tracks
                self._tracks |= new
                self.summary.people[output.source] += len(new)
            for sink in self._sinks:
                sink.put(output)
