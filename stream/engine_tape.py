"""What a recording tells the event engine, kept: the engine can then be asked again, with other thresholds.

Tracking and the encoder take nearly all of the time of a replay, and thresholds change nothing of what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from stream.events import EventEngine, Permit
from stream.pipeline import Pipeline
from stream.replay import BATCH_FRAMES
from stream.sources.base import RecordedSource
from stream.thinning import FrameThinner
from stream.types import NANOSECONDS, Event, Scores, SkeletonFrame, Tracked

MAX_PAUSE_S = 5.0
"""A source that is silent for longer was off: such times do not count as recorded."""
NEVER = 2.0
"""A threshold that no probability reaches."""
_TOLD = ("push", "abstain", "interrupt", "end_track", "end_source", "end_all")
"""The methods, beside `see`, that tell an engine something of prompts' events."""
_THIN_S = 0.25
"""Between two frames that are kept in which nobody came or went."""

Call = tuple[str, tuple[Any, ...]]
"""A method's name and its arguments."""
_Asked = tuple[str, str, int, int]
"""Prompt, source, track and time of what a permit is asked about."""


@dataclass(frozen=True, slots=True)
class Tape:
    """What one recording told the engine.

    Attributes:
        name: of the recording, for people.
        calls: what was told, in order.
        refusals: what a permit refused, and why.
        recorded_s: recorded time in seconds, that of several sources added.
        seen_s: of it, the time in which somebody was seen.
    """

    name: str
    calls: tuple[Call, ...]
    refusals: Mapping[_Asked, str]
    recorded_s: float
    seen_s: float

    @property
    def scores(self) -> list[Scores]:
        """The scores of all windows."""
        return [arguments[0] for method, arguments in self.calls if method == "push"]

    def play(self, engine: EventEngine) -> list[Event]:
        """Tell an engine, which knows of nothing yet, the same; returns its events."""
        engine.permit = _Answers(self.refusals)
        return [event for method, arguments in self.calls for event in getattr(engine, method)(*arguments)]


def tape(pipeline: Pipeline, source: RecordedSource, progress: Callable[[float], None] | None = None) -> Tape:
    """Replay a recording to its end and keep what its engine is told.

    No event is raised meanwhile: a prompt that another one's event decides on stays as it is. The pipeline has its own
    engine again at the end.

    Args:
        pipeline: ready to take frames.
        source: the recording.
        progress: told now and then what share of it is done.

    Raises:
        SourceError: the recording is broken.
    """
    engine = pipeline.engine
    silent = [replace(prompt, enter=NEVER, exit=0.0) for prompt in pipeline.prompts.prompts]
    listener = _Listener(pipeline.new_engine(silent), pipeline.settings.events.grace_s)
    questions = _Questions(engine.permit)
    listener.engine.permit = questions
    pipeline.engine = cast(EventEngine, listener)
    clock = _Clock()
    names: dict[str, None] = {}
    try:
        with source:
            batch: list[SkeletonFrame] = []
            for frame in source:
                names[frame.source] = None
                batch.append(frame)
                if len(batch) >= BATCH_FRAMES:
                    clock.take(pipeline.push(batch))
                    batch = []
                    if progress is not None:
                        progress(source.progress)
            clock.take(pipeline.push(batch))
    finally:
        for name in names:
            pipeline.end_source(name)
        pipeline.engine = engine
    seconds = clock.recorded / NANOSECONDS, clock.seen / NANOSECONDS
    return Tape(source.name, tuple(listener.calls), questions.refusals, *seconds)


class _Listener:
    """Stands before an engine and writes down what it is told; everything else is passed through."""

    def __init__(self, engine: EventEngine, grace_s: float) -> None:
        self.engine = engine
        self.calls: list[Call] = []
        self._apart = round(min(_THIN_S, grace_s / 2) * NANOSECONDS)  # less than what counts as a hole
        self._frames: dict[str, FrameThinner] = {}

    def see(self, frame: Tracked) -> list[Event]:
        frames = self._frames.setdefault(frame.source, FrameThinner(self._apart))
        self._keep(frames.take(frame))
        return self.engine.see(frame)

    def _keep(self, frames: list[Tracked]) -> None:
        self.calls.extend(("see", (frame,)) for frame in frames)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.engine, name)
        if name not in _TOLD:
            return method

        def told(*arguments: Any) -> Any:
            for frames in self._frames.values():
                self._keep(frames.flush())
            self.calls.append((name, arguments))
            return method(*arguments)

        return told


class _Questions:
    """A permit that writes down what another one refuses."""

    def __init__(self, permit: Permit | None) -> None:
        self._permit = permit
        self.refusals: dict[_Asked, str] = {}

    def check(self, name: str, source: str, track: int, t: int) -> str | None:
        refusal = None if self._permit is None else self._permit.check(name, source, track, t)
        if refusal is not None:
            self.refusals[name, source, track, t] = refusal
        return refusal


class _Answers:
    """A permit that says again what one refused."""

    def __init__(self, refusals: Mapping[_Asked, str]) -> None:
        self._refusals = refusals

    def check(self, name: str, source: str, track: int, t: int) -> str | None:
        return self._refusals.get((name, source, track, t))


class _Clock:
    """Adds up recorded times, in ns."""

    def __init__(self) -> None:
        self.recorded = self.seen = 0
        self._last: dict[str, int] = {}

    def take(self, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, Tracked):
                passed = output.t - self._last.get(output.source, output.t)
                self._last[output.source] = output.t
                if 0 < passed <= MAX_PAUSE_S * NANOSECONDS:
                    self.recorded += passed
                    self.seen += passed if len(output.track_ids) else 0
