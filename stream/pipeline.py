"""Frames in, scores and events out: the one path that replay and the live worker share.

Pure: no clocks, no sockets, no threads. `push` takes whatever frames have arrived, of any sources, and encodes all
windows that they complete as one batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from models.prototypes import OnlinePrototypes
from stream.events import EventEngine, EventSettings
from stream.layouts import CANONICAL, layout
from stream.prompts import PromptSet
from stream.tracker import Tracker, TrackerSettings
from stream.types import (
    NANOSECONDS,
    EndReason,
    Event,
    Example,
    Float32Array,
    Int64Array,
    Phase,
    Scores,
    SkeletonFrame,
    Space,
    Window,
)
from stream.window import WindowRing, WindowSettings

_CLOCK_RESET = 5 * NANOSECONDS
"""A frame this much older than the newest is a sensor whose clock started anew, not a late frame."""


class Encoder(Protocol):
    """What the pipeline needs of a model (see `models.recogniser`)."""

    def encode(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        """Windows (N, 3, T, V) and masks (N, T, V) to unit features (N, D)."""
        ...


@dataclass(frozen=True, slots=True)
class Tracked:
    """A frame in the canonical layout with stable track ids, for publishing and drawing.

    Attributes:
        source, t, space: as in `SkeletonFrame`.
        track_ids: (M,) int64.
        joints: (M, 25, 3) float32.
        confidence: (M, 25) float32.
    """

    source: str
    t: int
    space: Space
    track_ids: Int64Array
    joints: Float32Array
    confidence: Float32Array


Output = Tracked | Scores | Event | Example


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Settings of the parts; `min_coverage` is the share of seen joints under which a window is not scored."""

    window: WindowSettings = field(default_factory=WindowSettings)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    events: EventSettings = field(default_factory=EventSettings)
    min_coverage: float = 0.4
    max_batch: int = 32


@dataclass(slots=True)
class _SourceState:
    tracker: Tracker
    t: int | None = None
    rings: dict[int, WindowRing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _TrackEnd:
    source: str
    track: int
    reason: EndReason


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

    Attributes:
        encoder: the encoder; whoever wants to know more of its work may wrap it.
        prompts: what is watched for.
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
    ) -> None:
        self._settings = settings or PipelineSettings()
        self.encoder = encoder
        self.prompts = prompts
        self._engine = EventEngine(prompts.prompts, self._settings.events, salt=salt)
        self._sources: dict[str, _SourceState] = {}
        self._born: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._embedding = embedding
        self._prototypes = prototypes
        self._examples: dict[str, Example] = {}
        """Of each event that has not ended."""

    @property
    def counts(self) -> dict[str, int]:
        """Counters since the start, by name."""
        suppressed = {f"suppressed_{reason}": count for reason, count in self._engine.suppressed.items()}
        return {**self._counts, **suppressed}

    def push(self, frames: Sequence[SkeletonFrame]) -> list[Output]:
        """Take frames, in the order of capture within each source.

        Returns:
            For each frame its `Tracked`, then the `Scores` of each window that it completed with the events they cause,
            each after its `Example`, if any.
        """
        steps: list[Tracked | Window | _TrackEnd] = []
        for frame in frames:
            steps.extend(self._track(frame))
        windows = [step for step in steps if isinstance(step, Window)]
        scored = iter(self._score([window for window in windows if window.coverage >= self._settings.min_coverage]))
        outputs: list[Output] = []
        for step in steps:
            if isinstance(step, Tracked):
                outputs.append(step)
            elif isinstance(step, _TrackEnd):
                outputs.extend(self._told(self._engine.end_track(step.source, step.track, step.reason)))
            elif step.coverage < self._settings.min_coverage:
                outputs.extend(self._told(self._engine.abstain(step.source, step.track, step.t1)))
            else:
                scores, embedding = next(scored)
                outputs.append(scores)
                events = self._engine.push(scores)
                if embedding is not None:
                    self._remember(scores, embedding)
                outputs.extend(self._told(events))
        return outputs

    def exchange(self, prompts: PromptSet) -> list[Event | Example]:
        """Watch for other prompts from now on: open events of those that stay, by name, go on; the others end."""
        self.prompts = prompts
        return self._told(self._engine.exchange(prompts.prompts))

    def end_source(self, source: str, reason: EndReason = EndReason.SOURCE_END) -> list[Event | Example]:
        """End the open events of a source that ended and forget its tracks."""
        state = self._sources.pop(source, None)
        if state is not None:  # should it come back, its track ids go on
            self._born[source] = state.tracker.born
        return self._told(self._engine.end_source(source, reason))

    def finish(self, reason: EndReason = EndReason.SHUTDOWN) -> list[Event | Example]:
        """End all open events of all sources."""
        self._sources.clear()
        return self._told(self._engine.end_all(reason))

    def _remember(self, scores: Scores, embedding: Float32Array) -> None:
        """Keep the embedding of a window as the example of the open events that were never surer."""
        for event in self._engine.open_events(scores.source, scores.track):
            if event.t == scores.t and event.score >= event.peak:
                model = self.prompts.model_digest
                self._examples[event.id] = Example(
                    event.id, event.source, event.name, event.t, event.score, model, embedding.copy()
                )

    def _told(self, events: Sequence[Event]) -> list[Event | Example]:
        """Events, the start and the end of each after its example: whoever hears of it can ask for it."""
        told: list[Event | Example] = []
        for event in events:
            if event.phase is not Phase.UPDATE and event.id in self._examples:
                told.append(self._examples[event.id])
            if event.phase is Phase.END:
                self._examples.pop(event.id, None)
            told.append(event)
        return told

    def _track(self, frame: SkeletonFrame) -> list[Tracked | Window | _TrackEnd]:
        self._counts["frames"] += 1
        state = self._sources.get(frame.source)
        if state is None:
            state = _SourceState(Tracker(self._settings.tracker, born=self._born.get(frame.source, 0)))
            self._sources[frame.source] = state
        steps: list[Tracked | Window | _TrackEnd] = []
        if state.t is not None and frame.t <= state.t:
            if state.t - frame.t < _CLOCK_RESET:
                self._counts["late_frames"] += 1
                return []
            self._counts["clock_resets"] += 1
            steps += [_TrackEnd(frame.source, track, EndReason.GAP) for track in state.tracker.open_tracks]
            # The new tracker goes on counting where the old one stopped: ids are for the life of the process.
            state.tracker = Tracker(self._settings.tracker, born=state.tracker.born)
            state.rings.clear()
        state.t = frame.t

        joints, confidence = layout(frame.layout).to_canonical(frame.joints, frame.confidence)
        seen = (confidence > 0).any(axis=1)  # a body of which nothing is seen is nowhere, and nobody
        joints, confidence = joints[seen], confidence[seen]
        ids, ended = state.tracker.update(frame.t, joints, confidence, frame.track_ids[seen], frame.space)
        for track in ended:
            state.rings.pop(track, None)
            steps.append(_TrackEnd(frame.source, track, EndReason.TRACK_LOST))
        steps.append(Tracked(frame.source, frame.t, frame.space, ids, joints, confidence))
        for body, track in enumerate(ids.tolist()):
            ring = state.rings.get(track)
            if ring is None:
                ring = state.rings[track] = WindowRing(self._settings.window, len(CANONICAL))
            cuts, gap = ring.push(frame.t, joints[body], confidence[body])
            if gap:
                self._counts["gaps"] += 1
                steps.append(_TrackEnd(frame.source, track, EndReason.GAP))
            for cut in cuts:
                if cut.coverage < self._settings.min_coverage:
                    self._counts["low_coverage" if cut.full else "filling"] += 1
                steps.append(Window(frame.source, track, cut.t0, cut.t1, cut.x, cut.mask, cut.coverage))
        return steps

    def _score(self, windows: Sequence[Window]) -> list[tuple[Scores, Float32Array | None]]:
        """The scores of windows, and their embeddings if they are wanted."""
        scores: list[tuple[Scores, Float32Array | None]] = []
        for start in range(0, len(windows), self._settings.max_batch):
            batch = windows[start : start + self._settings.max_batch]
            features = self.encoder.encode(np.stack([w.x for w in batch]), np.stack([w.mask for w in batch]))
            similarity, probability, margin = self.prompts.score(features)
            embeddings = None if self._embedding is None else self._embedding(features)
            if self._prototypes is not None and embeddings is not None:
                told = slice(0, self._prototypes.prompts)
                for row, embedding in zip(probability, embeddings, strict=True):
                    # Prompts that mean the same add to more than 1, and one may be given the shares of the others.
                    row[told] = np.minimum(self._prototypes.adapt(row[told], embedding), 1.0)
            self._counts["windows"] += len(batch)
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
                scores.append((one, None if embeddings is None else embeddings[n]))
        return scores
