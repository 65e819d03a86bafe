"""Frames in, scores and events out: the one path that replay and the live worker share.

Pure: no clocks, no sockets, no threads. `push` takes whatever frames have arrived, of any sources, and encodes all
windows that they complete as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.prototypes import OnlinePrototypes
from stream.anomaly import AnomalyWatch, Judged
from stream.conditions import ConditionEngine
from stream.encoding import Encoder, Stepper, encode_windows, parts, step_windows
from stream.events import EventEngine, EventSettings
from stream.history import Ended, Featured, History, Hole, Moment, Unseen
from stream.prompts import Prompt, PromptSet
from stream.rulebook import Rulebook
from stream.tracker import TrackerSettings
from stream.tracks import TrackEnd, TrackHole, Tracks
from stream.types import (
    EndReason,
    Event,
    Example,
    Float32Array,
    Phase,
    Scores,
    SkeletonFrame,
    Tracked,
    Window,
)
from stream.window import WindowSettings

Output = Tracked | Scores | Event | Example


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Settings of the parts.

    Attributes:
        min_coverage: share of seen joints under which a window is not scored.
        rulebook: where and when prompts count, and the conditions that are told of.
    """

    window: WindowSettings = field(default_factory=WindowSettings)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    events: EventSettings = field(default_factory=EventSettings)
    min_coverage: float = 0.4
    max_batch: int = 32
    rulebook: Rulebook = field(default_factory=Rulebook)


class Pipeline:
    """Tracker, window rings, encoder, prompts and events of any number of sources.

    Args:
        encoder: the skeleton encoder.
        prompts: what to watch for.
        settings: see `PipelineSettings`.
        salt: see `stream.events.EventEngine`.
        embedding: gives embeddings (N, E) of features; with it, the start and the end of an event come with the
            event's `Example`.
        prototypes: of the prompts with texts, which are the first; needs `embedding`. None: texts alone decide.
        states: encodes streams of windows step by step, each window's new rows alone; None: each window as a whole.

    Attributes:
        encoder, states: what encodes; whoever wants to know more of its work may wrap it.
        prompts: what is watched for.
        prototypes: see above; of other prompts come other ones.
        history: where to keep what is seen, for trials of other prompts; None: nowhere.
        watch: for anomalies; None as long as nobody sets one.
        counts: frames, windows, and what was left out and why (`late_frames`, `low_coverage`, `gaps` ...);
            `filling` counts the windows of tracks that are too young for a score.
    """

    def __init__(
        self,
        encoder: Encoder,
        prompts: PromptSet,
        settings: PipelineSettings | None = None,
        *,
        salt: str = "",
        embedding: Callable[[Float32Array], Float32Array] | None = None,
        prototypes: OnlinePrototypes | None = None,
        states: Stepper | None = None,
    ) -> None:
        self._settings = settings or PipelineSettings()
        self.encoder, self.states = encoder, states
        self.prompts = prompts
        self._conditions = ConditionEngine(self._settings.rulebook, salt=salt)
        self._conditions.handover_s = self._settings.events.handover_s
        self._engine = EventEngine(
            prompts.prompts, self._settings.events, salt=salt, permit=self._conditions, awaits=self._conditions.awaits
        )
        self._tracks = Tracks(self._settings.tracker, self._settings.window, self._settings.min_coverage)
        self._tracks.handover_m = _reach(self._settings.events)
        self._windows = 0
        self._embedding = embedding
        self.prototypes = prototypes
        self.history: History | None = None
        self._examples: dict[str, Example] = {}
        """Of each event that has not ended."""
        self.watch: AnomalyWatch | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Counters since the start, by name."""
        suppressed = {f"suppressed_{reason}": count for reason, count in self._engine.suppressed.items()}
        forgotten = {"forgotten_states": self.states.evicted} if self.states is not None and self.states.evicted else {}
        return {**self._tracks.counts, "windows": self._windows, **suppressed, **forgotten}

    @property
    def undated(self) -> frozenset[str]:
        """Sources of which a schedule could not be asked, since their times have no date: it counted as on."""
        return self._conditions.undated

    @property
    def engine(self) -> EventEngine:
        """The event engine; whoever wants to know what it is told may put another before it."""
        return self._engine

    @engine.setter
    def engine(self, engine: EventEngine) -> None:
        self._engine = engine

    @property
    def settings(self) -> PipelineSettings:
        """The settings of the parts."""
        return self._settings

    def new_engine(self, prompts: Sequence[Prompt]) -> EventEngine:
        """An engine that knows of nothing yet, of this pipeline's settings: for trying other thresholds."""
        return EventEngine(prompts, self._settings.events)

    def push(self, frames: Sequence[SkeletonFrame]) -> list[Output]:
        """Take frames, in the order of capture within each source.

        Returns:
            For each frame its `Tracked`, the events that time ended or that found their person again, then the `Scores`
            of each window that the frame completed with the events they cause, each after its `Example`, if any.
        """
        steps = self._tracks.push(frames)
        windows = [step for step in steps if isinstance(step, Window)]
        scored = iter(self._score(*self._encode(windows)))
        self._forget_streams()
        outputs: list[Output] = []
        for step in steps:
            if isinstance(step, Tracked):
                self._keep(step.source, step)
                outputs.append(step)
                outputs.extend(self._told(self._engine.see(step)))
                outputs.extend(self._conditions.hand_over(step, self._engine.heirs))
                outputs.extend(self._conditions.see(step))
                if self.watch is not None:
                    outputs.extend(self._told(self._judge(self.watch.see(step))))
            elif isinstance(step, TrackHole):
                self._keep(step.source, Hole(step.track))
                outputs.extend(self._told(self._engine.interrupt(step.source, step.track)))
                if self.watch is not None:
                    self.watch.forget(step.source, step.track)
            elif isinstance(step, TrackEnd):
                self._keep(step.source, Ended(step.track, step.reason))
                outputs.extend(self._end(step))
            elif step.coverage < self._settings.min_coverage:
                self._keep(step.source, Unseen(step.track, step.t1))
                outputs.extend(self._told(self._engine.abstain(step.source, step.track, step.t1)))
            else:
                scores, embedding, features = next(scored)
                self._keep(step.source, Featured(step.track, step.t1, step.coverage, features.copy()))
                judged: Sequence[Judged] = ()
                if self.watch is not None:
                    anomaly, judged = self.watch.person(step, features)
                    scores = replace(scores, anomaly=anomaly)
                outputs.append(scores)
                events = [*self._engine.push(scores), *self._judge(judged)]
                if embedding is not None:
                    self._remember(scores, embedding)
                outputs.extend(self._told(events))
        return outputs

    def exchange(
        self, prompts: PromptSet, events: EventSettings | None = None, rulebook: Rulebook | None = None
    ) -> list[Event | Example]:
        """Watch for other prompts from now on: open events of those that stay, by name, go on; the others end.

        `events` are other general settings, too, and `rulebook` other zones, schedules and conditions.
        """
        self.prompts = prompts
        if events is not None:
            self._settings = replace(self._settings, events=events)
            self._conditions.handover_s = events.handover_s
            self._tracks.handover_m = _reach(events)
        ended = self._told(self._engine.exchange(prompts.prompts, events))
        if rulebook is not None:
            self._settings = replace(self._settings, rulebook=rulebook)
            ended.extend(self._conditions.exchange(rulebook))
        return ended

    def end_source(self, source: str, reason: EndReason = EndReason.SOURCE_END) -> list[Event | Example]:
        """End the open events of a source that ended and forget its tracks."""
        if self.watch is not None:
            self.watch.forget(source)
        self._tracks.end_source(source)
        self._forget_streams()
        self._keep(source, Ended(None, reason))
        return [*self._told(self._engine.end_source(source, reason)), *self._conditions.end_source(source, reason)]

    def finish(self, reason: EndReason = EndReason.SHUTDOWN) -> list[Event | Example]:
        """End all open events of all sources."""
        self._tracks.end_all()
        self._forget_streams()
        return [*self._told(self._engine.end_all(reason)), *self._conditions.end_all(reason)]

    def _judge(self, judged: Sequence[Judged]) -> list[Event]:
        scores = ((one.rule, one.source, one.track, one.t, one.score) for one in judged)
        return [event for score in scores for event in self._engine.judge(*score)]

    def _keep(self, source: str, moment: Moment) -> None:
        if self.history is not None:
            self.history.add(source, moment)

    def _end(self, end: TrackEnd) -> list[Event | Example]:
        if self.watch is not None:
            self.watch.forget(end.source, end.track)
        if end.track is None:
            told = self._told(self._engine.end_source(end.source, end.reason))
            return [*told, *self._conditions.end_source(end.source, end.reason)]
        told = self._told(self._engine.end_track(end.source, end.track, end.reason))
        return [*told, *self._conditions.end_track(end.source, end.track)]

    def _remember(self, scores: Scores, embedding: Float32Array) -> None:
        """Keep the embedding of a window as the example of the open events that were never surer."""
        for event in self._engine.open_events(scores.source, scores.track):
            surest = event.score >= event.peak or event.id not in self._examples
            if event.t == scores.t and surest:
                model = self.prompts.model_digest
                self._examples[event.id] = Example(
                    event.id, event.source, event.name, event.t, event.score, model, embedding.copy()
                )

    def _told(self, events: Sequence[Event]) -> list[Event | Example]:
        """Events, the start and the end of each after its example: whoever hears of it can ask for it.

        Each is followed by what it causes of conditions.
        """
        told: list[Event | Example] = []
        for event in events:
            if event.phase is not Phase.UPDATE and event.id in self._examples:
                told.append(self._examples[event.id])
            if event.phase is Phase.END:
                self._examples.pop(event.id, None)
            told.append(event)
            told.extend(self._conditions.take(event))
        return told

    def _encode(self, windows: Sequence[Window]) -> tuple[list[Window], list[Float32Array]]:
        """The windows that saw enough, and their features (F,); streams are stepped through those that did not, too."""
        least, most = self._settings.min_coverage, self._settings.max_batch
        enough = [window for window in windows if window.coverage >= least]
        if self.states is None:
            return enough, encode_windows(self.encoder, enough, most)
        features = step_windows(self.states, windows, self._settings.window.stride, most)
        return enough, [found for window, found in zip(windows, features, strict=True) if window.coverage >= least]

    def _forget_streams(self) -> None:
        """Forget those that are over."""
        if self.states is not None:
            for stream in self._tracks.ended:
                self.states.clear(stream)
        self._tracks.ended.clear()

    def _score(
        self, windows: Sequence[Window], encoded: Sequence[Float32Array]
    ) -> list[tuple[Scores, Float32Array | None, Float32Array]]:
        """The scores of windows, their embeddings if they are wanted, and their features."""
        scores: list[tuple[Scores, Float32Array | None, Float32Array]] = []
        for part in parts(range(len(windows)), self._settings.max_batch):
            batch, features = [windows[number] for number in part], np.stack([encoded[number] for number in part])
            similarity, probability, margin = self.prompts.score(features)
            embeddings = None if self._embedding is None else self._embedding(features)
            if self.prototypes is not None and embeddings is not None:
                told = slice(0, self.prototypes.prompts)
                for row, embedding in zip(probability, embeddings, strict=True):
                    # Prompts that mean the same add to more than 1, and one may be given the shares of the others.
                    row[told] = np.minimum(self.prototypes.adapt(row[told], embedding), 1.0)
            self._windows += len(batch)
            for n, window in enumerate(batch):
                one = Scores(
                    source=window.source,
                    track=window.track,
                    t=window.t1,
                    similarity=similarity[n],
                    probability=probability[n],
                    margin=margin[n],
                    anomaly=None,
                    coverage=window.coverage,
                    prompts_digest=self.prompts.digest,
                )
                scores.append((one, None if embeddings is None else embeddings[n], features[n]))
        return scores


def _reach(events: EventSettings) -> float:
    """How near to where somebody was lost a new track is still them, in metres; 0 for never."""
    return events.handover_m if events.handover_s > 0 else 0.0
