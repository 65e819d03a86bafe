"""How well what a stream said agrees with what was done: action points, intervals, frames.

Action points are judged as in Fothergill et al., "Instructing people for training gestural interactive systems"
(CHI 2012): a detection within 333 ms of an action point of its label is right, one for each point; F1 is averaged over
the labels. Matches are made within one recording; their tallies are then added up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

TOLERANCE_S = 0.333
"""Seconds from an action point at which a detection still counts: ten frames of a Kinect."""
OVERLAPS = (0.1, 0.2, 0.3, 0.4, 0.5)

Point = tuple[float, str]
"""Seconds, label."""
Interval = tuple[float, float, str]
"""Start and end in seconds, label."""
Pair = tuple[int, int]
"""Index of what was found, index of the truth that it matches."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Fractions; None where there is nothing to divide by: precision where nothing was found, recall and F1 where
    nothing was to be found."""

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """By label, how many were found, true, and found rightly; tallies of several recordings add up."""

    right: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.found + other.found, self.true + other.true)

    @property
    def false_alarms(self) -> int:
        """What was found and matches nothing."""
        return self.found.total() - self.right.total()

    def micro(self) -> Rates:
        """All labels together: each event weighs the same."""
        return _rates(self.right.total(), self.found.total(), self.true.total())

    def macro(self) -> Rates:
        """Means over the labels that were to be found: each weighs the same.

        Precision is that of the labels among them that were found at all. What was found under a label that never was
        true counts in `micro` and `false_alarms` only.
        """
        each = [_rates(self.right[label], self.found[label], self.true[label]) for label in sorted(self.true)]
        return Rates(
            _mean(rates.precision for rates in each),
            _mean(rates.recall for rates in each),
            _mean(rates.f1 for rates in each),
        )


@dataclass(frozen=True, slots=True)
class StreamScores:
    """What `eval stream` reports; None where a figure is not defined.

    Attributes:
        event_f1, event_precision, event_recall: fractions, macro-averaged over the labels.
        false_alarms_per_hour: events that match nothing.
        delay_ms_median: from the truth's time to the decision, over the matched events, in ms.
        frame_f1: fraction, macro-averaged over the labels; None where frames have no labels.
    """

    event_f1: float | None
    event_precision: float | None
    event_recall: float | None
    false_alarms_per_hour: float | None
    delay_ms_median: float | None
    frame_f1: float | None

    @classmethod
    def of(cls, events: Tally, delays_s: Sequence[float], hours: float, frame_f1: float | None) -> StreamScores:
        """All figures of some recordings.

        Args:
            events: of their matched events.
            delays_s: of the matched events; see `delays`.
            hours: how long they are together.
            frame_f1: see there; None without frame labels.
        """
        rates = events.macro()
        delay = float(np.median(delays_s)) * 1000 if len(delays_s) else None
        alarms = false_alarms_per_hour(events.false_alarms, hours)
        return cls(rates.f1, rates.precision, rates.recall, alarms, delay, frame_f1)

    def as_dict(self) -> dict[str, float | None]:
        """The figures by name, for JSON."""
        return asdict(self)


def match_points(found: Sequence[Point], truth: Sequence[Point], tolerance_s: float = TOLERANCE_S) -> list[Pair]:
    """One-to-one matches of one label within the tolerance, the nearest in time first; ties go to the earlier index."""
    candidates = [
        (abs(time - at), i, j)
        for i, (time, label) in enumerate(found)
        for j, (at, name) in enumerate(truth)
        if label == name and abs(time - at) <= tolerance_s
    ]
    return _one_to_one(candidates)


def match_overlap(found: Sequence[Interval], truth: Sequence[Interval], overlap: float) -> list[Pair]:
    """One-to-one matches of one label whose intersection is at least `overlap` of their union, the largest share first.

    Args:
        overlap: over 0, up to 1; usually 0.1 to 0.5, see `OVERLAPS`.
    """
    candidates = [
        (-share, i, j)
        for i, (start, end, label) in enumerate(found)
        for j, (first, last, name) in enumerate(truth)
        if label == name and (share := _share(start, end, first, last)) >= overlap and share > 0
    ]
    return _one_to_one(candidates)


def tally(pairs: Sequence[Pair], found: Iterable[str], truth: Iterable[str]) -> Tally:
    """Counts of one recording, from its matches and the labels of all that was found and of all that is true."""
    names = list(found)
    return Tally(Counter(names[i] for i, _ in pairs), Counter(names), Counter(truth))


def delays(pairs: Sequence[Pair], decided_s: Sequence[float], truth: Sequence[Point]) -> list[float]:
    """Seconds from the truth to the decision for each match; negative where it was decided before.

    Args:
        pairs: matches of what was found with the truth.
        decided_s: when each of what was found was decided, which need not be the time that it was given.
        truth: what the matches were made with.
    """
    return [decided_s[i] - truth[j][0] for i, j in pairs]


def frame_f1(predicted: Sequence[str], true: Sequence[str], background: Collection[str]) -> float | None:
    """F1 over frames, averaged over the labels that occur in `true` and are not background; None without any.

    Args:
        predicted: (T,) labels of frames, of any number of recordings one after the other.
        true: (T,) the right ones.
        background: labels that stand for nothing in particular, such as {"none"}; frames so labelled count only as
            mistakes of the others.
    """
    nothing = {background} if isinstance(background, str) else set(background)
    both = list(zip(predicted, true, strict=True))
    counts = Tally(
        Counter(name for name, right in both if name == right and name not in nothing),
        Counter(name for name, _ in both if name not in nothing),
        Counter(right for _, right in both if right not in nothing),
    )
    return counts.macro().f1


def false_alarms_per_hour(unmatched: int, hours: float) -> float | None:
    """How often something was found that matches nothing; None where no time passed."""
    return unmatched / hours if hours > 0 else None


def _share(start: float, end: float, first: float, last: float) -> float:
    """Intersection over union of two intervals; 0 where both are empty."""
    union = max(end, last) - min(start, first)
    return max(min(end, last) - max(start, first), 0.0) / union if union > 0 else 0.0


def _one_to_one(candidates: Iterable[tuple[float, int, int]]) -> list[Pair]:
    """The best pairs (least first number) in which nothing occurs twice, in the order of what was found."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in sorted(candidates):
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return sorted(pairs.items())


def _rates(right: int, found: int, true: int) -> Rates:
    return Rates(
        right / found if found else None,
        right / true if true else None,
        2 * right / (found + true) if true else None,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
