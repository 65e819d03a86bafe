"""Anomalies in the pipeline: scores of people and scenes, and what the event engine is to judge of them.

Pure, and by data time: what is told depends on the frames alone, in whatever batches they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from models.anomaly import AnomalyScorer, AnomalyScores, NormalModel
from stream.anomaly_views import AnomalyView
from stream.events import EventSettings, Rule
from stream.types import NANOSECONDS, NO_TRACK, EventKind, Float32Array, Severity, Tracked, Window

NAME = "anomaly"
"""Short name of the events."""
UNUSUAL = "unlike anything that was learnt as normal"
"""What the events of a window say that is like none of the texts."""
PERSON, SCENE = "person", "scene"
"""Names of the two models of what is normal: scenes have other features than people."""
SCENE_S = 0.32
"""Seconds between two scores of a scene."""
LEARN_S = 2.0
"""Seconds between two samples of what is normal on one track, or of one scene: a window's length, so that no moment is
in two of them and the number of samples means something."""

ScoreName = Literal["product", "ood", "prompt"]


@dataclass(frozen=True, slots=True)
class AnomalySettings:
    """What becomes an event.

    Attributes:
        score: which score; without anything learnt as normal there is only the prompts'.
        persons, scene: whether people, and scenes as a whole, are told of.
        sources: names of those that are looked at; none are all.
        severity: above INFO they are alarms.
        events: when events start and end; `margin` must be 0.
    """

    score: ScoreName = "product"
    persons: bool = True
    scene: bool = True
    sources: frozenset[str] = frozenset()
    severity: Severity = Severity.ALERT
    events: EventSettings = field(default_factory=EventSettings)


@dataclass(frozen=True, slots=True)
class Judged:
    """One score, as `stream.events.EventEngine.judge` takes it."""

    rule: Rule
    source: str
    track: int
    t: int
    score: float


class NormalLearner:
    """Learns what is normal from what an `AnomalyWatch` sees.

    Args:
        dim: F of the features.
        models: to go on from.

    Attributes:
        models: of people and of scenes, by name.
    """

    def __init__(self, dim: int, models: Mapping[str, NormalModel] | None = None) -> None:
        self.models = {name: NormalModel(dim) for name in (PERSON, SCENE)}
        for name, model in (models or {}).items():
            self.models[name].merge(model)
        self._next: dict[tuple[str, str, int], int] = {}

    def take(self, name: str, source: str, track: int, t: int, features: Float32Array) -> None:
        """Learn the features (F,) of a window that ends at t, in ns, unless the last one learnt is too near."""
        key = (name, source, track)
        due = self._next.get(key, t)
        if due - LEARN_S * NANOSECONDS <= t < due:
            return
        self._next[key] = t + round(LEARN_S * NANOSECONDS)
        self.models[name].add(features[None])

    def forget(self, source: str, track: int | None = None) -> None:
        """A track ended, or with None the whole source."""
        self._next = {
            key: t for key, t in self._next.items() if key[1] != source or (track is not None and key[2] != track)
        }


class AnomalyWatch:
    """Scores what a view sees, by texts of what would be an anomaly and by what was learnt as normal.

    Args:
        view: gives the features.
        texts: K of them, at least one.
        vectors: (K, D) their unit vectors.
        settings: see `AnomalySettings`.
        normals: what is normal, by `PERSON` and `SCENE`; what lacks is not known.

    Attributes:
        learner: learns from everything that is seen, where it is not None.

    Raises:
        ValueError: there is no text, or a model is of other features.
    """

    def __init__(
        self,
        view: AnomalyView,
        texts: Sequence[str],
        vectors: Float32Array,
        settings: AnomalySettings,
        normals: Mapping[str, NormalModel] | None = None,
    ) -> None:
        if not texts or len(texts) != len(vectors):
            raise ValueError(f"{len(texts)} texts and {len(vectors)} vectors; expected as many, at least one")
        self.learner: NormalLearner | None = None
        self._view = view
        self._settings = settings
        self._prompts = view.space.prompts(vectors)
        self._single = [view.space.prompts(vector[None]) for vector in vectors]
        self._texts = tuple(texts)
        self.follow(settings.events)
        self._slots: dict[str, int] = {}
        self.exchange(normals or {})

    @property
    def dim(self) -> int:
        """F of the features."""
        return self._view.space.dim

    def follow(self, events: EventSettings) -> None:
        """Go on with other general settings of events; `enter`, `exit` and `margin` stay as they are."""
        own = self._settings.events
        events = replace(events, enter=own.enter, exit=own.exit, margin=own.margin)
        self._settings = replace(self._settings, events=events)
        severity = self._settings.severity
        self._rules = [Rule(NAME, text, severity, EventKind.ANOMALY, events) for text in self._texts]
        self._unlike = Rule(NAME, UNUSUAL, severity, EventKind.ANOMALY, events)

    def exchange(self, normals: Mapping[str, NormalModel]) -> None:
        """From now on this is normal; events that are open go on."""
        self._scorers = {
            name: AnomalyScorer.of(self._view.space, self._prompts, normals.get(name)) for name in (PERSON, SCENE)
        }

    def see(self, tracked: Tracked) -> list[Judged]:
        """Take a frame, before the windows that it completes; gives the scene's score, three times a second."""
        if not self._looks_at(tracked.source):
            return []
        self._view.see(tracked)
        slot = tracked.t // round(SCENE_S * NANOSECONDS)
        if self._slots.get(tracked.source) == slot:
            return []
        self._slots[tracked.source] = slot
        features = self._view.scene(tracked.source, tracked.t)
        if features is not None and self.learner is not None:
            self.learner.take(SCENE, tracked.source, NO_TRACK, tracked.t, features)
        if not self._settings.scene:
            return []
        if features is None:  # nobody is there; an abstention would count for what else is asked of the scene too
            return [Judged(self._unlike, tracked.source, NO_TRACK, tracked.t, 0.0)]
        score = self._score(SCENE, features)
        return [Judged(self._rule(features, score), tracked.source, NO_TRACK, tracked.t, score)]

    def person(self, window: Window, encoded: Float32Array) -> tuple[float | None, list[Judged]]:
        """Score a person.

        Args:
            window: seen well enough to be scored.
            encoded: (N,) what the recogniser made of it.

        Returns:
            The score 0..1, None if this person or source is not looked at, and what is to be judged.
        """
        features = self._view.person(window, encoded) if self._looks_at(window.source) else None
        if features is None:
            return None, []
        if self.learner is not None:
            self.learner.take(PERSON, window.source, window.track, window.t1, features)
        score = self._score(PERSON, features)
        if not self._settings.persons:
            return score, []
        return score, [Judged(self._rule(features, score), window.source, window.track, window.t1, score)]

    def forget(self, source: str, track: int | None = None) -> None:
        """A track ended or begins anew, or with None the whole source."""
        self._view.forget(source, track)
        if self.learner is not None:
            self.learner.forget(source, track)
        if track is None:
            self._slots.pop(source, None)

    def _looks_at(self, source: str) -> bool:
        return not self._settings.sources or source in self._settings.sources

    def _score(self, name: str, features: Float32Array) -> float:
        scores: AnomalyScores = self._scorers[name](features[None])
        if scores.ood is None or self._settings.score == "prompt":
            return float(scores.prompt[0])
        return float((scores.ood if self._settings.score == "ood" else scores.product)[0])

    def _rule(self, features: Float32Array, score: float) -> Rule:
        """The rule that names the text which is most like this; only of consequence where an event may start."""
        if score < self._settings.events.enter:
            return self._unlike
        likeness = [float(self._view.space.similarity(features[None], prompt)[0]) for prompt in self._single]
        best = int(np.argmax(likeness))
        return self._rules[best] if likeness[best] > 0 else self._unlike
