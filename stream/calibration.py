"""Thresholds at a wished number of false alarms per hour, found by trying the event engine itself.

Counting windows above a threshold would not do: N of M, hold and cool-down make events of windows, and a threshold so
low that everything is one never-ending event would look the best of all. So each candidate is tried with the engine,
from the highest down, and the last before the first that raises too many is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stream.engine_tape import NEVER, Tape
from stream.events import EventEngine
from stream.prompts import Prompt
from stream.types import EventKind, Float32Array, Phase

CONFIDENCE = 0.95
CANDIDATES = tuple(round(step / 100, 2) for step in range(5, 101))
"""Thresholds that are tried. Under the lowest a prompt is met by whatever is not plainly something else."""
CURVE = tuple(round(step / 20, 2) for step in range(1, 21))
"""Those at which false alarms and finds are told, too."""


def upper_rate(events: int, hours: float, confidence: float = CONFIDENCE) -> float:
    """Events per hour of which one may be so confident that there are no more, having counted some in some hours.

    The exact upper limit of a Poisson rate, one-sided (F. Garwood, "Fiducial limits for the Poisson distribution",
    Biometrika 28, 1936): the quantile of a gamma distribution of shape `events` + 1. For none it is -ln(0.05) = 3.0
    divided by the hours, the rule of three.
    """
    from scipy.special import gammaincinv

    return float(gammaincinv(events + 1, confidence)) / hours if hours > 0 else float("inf")


def hours_needed(per_hour: float) -> float:
    """Hours without one false alarm after which one may claim at most so many per hour, at 95 %."""
    return upper_rate(0, per_hour)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Of one prompt: `exit` is at most `enter`."""

    enter: float
    exit: float

    def at(self, enter: float) -> Thresholds:
        """Another `enter`, with `exit` at the same share of it."""
        share = self.exit / self.enter if self.enter > 0 else 1.0
        return Thresholds(enter, min(enter, round(enter * share, 3)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one prompt raises at some thresholds.

    Attributes:
        false_alarms: events in the normal recordings.
        raised: names of the regression clips of this prompt in which it raises an event again.
        found: recordings of what it means in which it raises an event.
    """

    false_alarms: int
    raised: tuple[str, ...]
    found: int


@dataclass(frozen=True, slots=True)
class Material:
    """What thresholds are judged by.

    Attributes:
        normal: recordings in which nothing is to be raised.
        clips: by prompt name, its regression clips: this prompt must raise nothing there.
        positive: by prompt name, recordings in which what it means is done.
    """

    normal: Sequence[Tape]
    clips: Mapping[str, Sequence[Tape]]
    positive: Mapping[str, Sequence[Tape]]

    @property
    def hours(self) -> float:
        """Recorded hours of what is normal, those of several cameras added."""
        return sum(tape.recorded_s for tape in self.normal) / 3600


@dataclass(frozen=True, slots=True)
class Point:
    """Of a curve: at this `enter` so many false alarms, and such a share of the positive recordings (None: of none)."""

    enter: float
    false_alarms: int
    recall: float | None


class Calibration:
    """Tries thresholds of prompts on what recordings told the engine.

    Args:
        prompts: the K prompts, in the order of the scores' columns.
        engine: makes an event engine, all else being as configured, of prompts.
        material: what is judged by.
        current: the thresholds of now, for each prompt.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        engine: Callable[[Sequence[Prompt]], EventEngine],
        material: Material,
        current: Sequence[Thresholds],
    ) -> None:
        self.prompts = tuple(prompts)
        self.material = material
        self.current = tuple(current)
        self._engine = engine
        self._normal = probabilities(material.normal, len(self.prompts))
        self._clips = [
            float(probabilities(material.clips.get(prompt.name, ()), len(self.prompts))[:, k].max(initial=0.0))
            for k, prompt in enumerate(self.prompts)
        ]

    def lowest(self, allowed: int) -> list[float | None]:
        """The lowest candidate of each prompt that, as all higher ones, raises so many false alarms at most and no
        regression clip; None where the highest does not."""
        best: list[float | None] = [None] * len(self.prompts)
        going = set(range(len(self.prompts)))
        for enter in reversed(CANDIDATES):
            trying = {k for k in going if not self._surely_good(k, enter, allowed)}
            if trying:
                outcomes = self._try([self._at(k, enter) if k in trying else None for k in range(len(self.prompts))])
                going -= {k for k in trying if outcomes[k].false_alarms > allowed or outcomes[k].raised}
            for k in going:
                best[k] = enter
        return best

    def outcomes(self, thresholds: Sequence[Thresholds]) -> list[Outcome]:
        """What each prompt raises at thresholds for each."""
        return self._try(thresholds, positives=True)

    def curves(self) -> list[list[Point]]:
        """For each prompt, what it raises at the thresholds of `CURVE`."""
        steps = [self._try([self._at(k, enter) for k in range(len(self.prompts))], positives=True) for enter in CURVE]
        curves = []
        for k, prompt in enumerate(self.prompts):
            total = len(self.material.positive.get(prompt.name, ()))
            curves.append(
                [
                    Point(enter, step[k].false_alarms, step[k].found / total if total else None)
                    for enter, step in zip(CURVE, steps, strict=True)
                ]
            )
        return curves

    def _at(self, k: int, enter: float) -> Thresholds:
        return self.current[k].at(enter)

    def _surely_good(self, k: int, enter: float, allowed: int) -> bool:
        """Whether no engine is needed to tell: each event takes at least one window of its own that reaches `enter`."""
        return self._clips[k] < enter and int((self._normal[:, k] >= enter).sum()) <= allowed

    def _try(self, thresholds: Sequence[Thresholds | None], *, positives: bool = False) -> list[Outcome]:
        """Outcomes at thresholds for each prompt, None for one that is to raise nothing."""
        prompts = [
            replace(prompt, enter=NEVER, exit=NEVER)
            if given is None
            else replace(prompt, enter=given.enter, exit=given.exit)
            for prompt, given in zip(self.prompts, thresholds, strict=True)
        ]
        false = [self._starts(tape, prompts) for tape in self.material.normal]
        clips = {
            name: [(tape.name, self._starts(tape, prompts)) for tape in tapes]
            for name, tapes in self.material.clips.items()
        }
        found = {
            name: [self._starts(tape, prompts) for tape in tapes]
            for name, tapes in (self.material.positive.items() if positives else ())
        }
        return [
            Outcome(
                sum(starts.count(prompt.name) for starts in false),
                tuple(clip for clip, starts in clips.get(prompt.name, ()) if prompt.name in starts),
                sum(prompt.name in starts for starts in found.get(prompt.name, ())),
            )
            for prompt in prompts
        ]

    def _starts(self, tape: Tape, prompts: Sequence[Prompt]) -> list[str]:
        """The names of the events that start in a recording."""
        events = tape.play(self._engine(prompts))
        return [event.name for event in events if event.phase is Phase.START and event.kind is EventKind.ACTION]


def probabilities(tapes: Sequence[Tape], prompts: int) -> Float32Array:
    """The probabilities of all windows of recordings, (N, K)."""
    rows = [scores.probability for tape in tapes for scores in tape.scores]
    return np.stack(rows) if rows else np.zeros((0, prompts), np.float32)
