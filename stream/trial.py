"""What a prompt would have raised in the last minutes: the real state machine, run over the memory of them.

It works in steps, so that whoever has frames waiting can do both. The scores are what they would have been, but for
online prototypes, which learn as they go and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from stream.conditions import ConditionEngine
from stream.events import EventEngine
from stream.history import Ended, Featured, History, Hole, Unseen
from stream.pipeline import PipelineSettings
from stream.prompt_replies import MAX_TRIED, Best, TriedEvent, TriedSource
from stream.prompts import PromptSet
from stream.types import NANOSECONDS, EndReason, Event, Phase, Scores, Tracked


@dataclass(slots=True)
class TrialResult:
    """What came of a trial; the parts are those of `stream.prompt_replies.TrialReply`."""

    sources: dict[str, TriedSource] = field(default_factory=dict)
    events: dict[str, TriedEvent] = field(default_factory=dict)
    """By the id of the event, in the order of their starts; at most `MAX_TRIED`."""
    total: int = 0
    suppressed: dict[str, int] = field(default_factory=dict)
    best: Best | None = None


@dataclass(slots=True)
class _Span:
    """How much of a source there was; its clock may start anew in between."""

    windows: int = 0
    passed: int = 0
    last: int | None = None

    def pass_to(self, t: int) -> None:
        if self.last is not None:
            self.passed += max(t - self.last, 0)
        self.last = t


class Trial:
    """One prompt over one history.

    Args:
        history: as it is now; what comes later is not looked at.
        prompts: with the one that is tried.
        name: of the one that is tried.
        settings: when events start and end, and where and when prompts count.

    Attributes:
        result: whole once `advance` returned False.
    """

    def __init__(self, history: History, prompts: PromptSet, name: str, settings: PipelineSettings) -> None:
        self._moments = list(history.moments())
        self._left = iter(self._moments)
        self._prompts = prompts
        self._column = [prompt.name for prompt in prompts.prompts].index(name)
        # Who is in which zone; the conditions themselves would be told of by other events.
        self._places = ConditionEngine(replace(settings.rulebook, conditions=()))
        self._engine = EventEngine([prompts.prompts[self._column]], settings.events, permit=self._places)
        self._spans: dict[str, _Span] = {}
        self.result = TrialResult()

    def advance(self, count: int) -> bool:
        """Judge so many moments more; returns whether some are left."""
        moments = list(islice(self._left, count))
        windows = [moment for _, moment in moments if isinstance(moment, Featured)]
        columns = iter(self._score(windows))
        for source, moment in moments:
            span = self._spans.setdefault(source, _Span())
            if isinstance(moment, Featured):
                scores = self._scores(source, moment, *next(columns))
                self._note(scores)
                span.windows += 1
                self._take(self._engine.push(scores))
            else:
                self._take(self._told(source, moment))
            if isinstance(moment, Tracked):
                span.pass_to(moment.t)
        if len(moments) == count:
            return True
        self._finish()
        return False

    def _told(self, source: str, moment: Tracked | Unseen | Hole | Ended) -> list[Event]:
        engine = self._engine
        match moment:
            case Unseen(track, t):
                return engine.abstain(source, track, t)
            case Hole(track):
                return engine.interrupt(source, track)
            case Ended(None, reason):
                self._places.end_source(source, reason)
                return engine.end_source(source, reason)
            case Ended(int(track), reason):
                self._places.end_track(source, track)
                return engine.end_track(source, track, reason)
            case Tracked():
                events = engine.see(moment)
                self._places.see(moment)
                return events
        raise TypeError(f"unknown moment {type(moment).__name__}")

    def _score(self, windows: Sequence[Featured]) -> list[tuple[float, float, float]]:
        """Similarity, probability and margin of windows."""
        if not windows:
            return []
        scored = self._prompts.score(np.stack([window.features for window in windows]))
        similarity, probability, margin = (array[:, self._column].tolist() for array in scored)
        return list(zip(similarity, probability, margin, strict=True))

    def _scores(self, source: str, window: Featured, similarity: float, probability: float, margin: float) -> Scores:
        return Scores(
            source=source,
            track=window.track,
            t=window.t,
            similarity=np.array([similarity], np.float32),
            probability=np.array([probability], np.float32),
            margin=np.array([margin], np.float32),
            anomaly=None,
            coverage=window.coverage,
            prompts_digest=self._prompts.digest,
        )

    def _note(self, scores: Scores) -> None:
        probability = float(scores.probability[0])
        best = self.result.best
        if best is None or probability > best.probability:
            self.result.best = Best(scores.source, scores.track, _seconds(scores.t), probability)

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.phase is Phase.START:
                self.result.total += 1
                if self.result.total > MAX_TRIED:
                    continue
            elif event.id not in self.result.events:
                continue
            t_end = None if event.t_end is None else _seconds(event.t_end)
            told = TriedEvent(event.source, event.track, _seconds(event.t_start), t_end, round(event.peak, 6))
            self.result.events[event.id] = told

    def _finish(self) -> None:
        """What is still open goes on: its end is not known."""
        self._engine.end_all(EndReason.SHUTDOWN)
        self.result.suppressed = dict(self._engine.suppressions.by_reason())
        self.result.sources = {
            source: TriedSource(span.windows, round(span.passed / NANOSECONDS, 3))
            for source, span in self._spans.items()
        }


def _seconds(t: int) -> float:
    return round(t / NANOSECONDS, 6)
