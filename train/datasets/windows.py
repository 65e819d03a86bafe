"""Windows as the stream cuts them: an action anywhere in it, other motion or stillness around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.datasets.labels import BACKGROUND, ELSE, STAND, index_of, load_actions
from train.datasets.sequences import Float32Array, Sequence, Span, motion

FRAMES, RATE = 50, 25.0
"""T and its rate in Hz."""
DURATION = (FRAMES - 1) / RATE
OFFSETS = np.arange(-FRAMES + 1, 1) / RATE
"""Seconds of the window's frames before its last one."""
ENOUGH, LITTLE = 0.65, 0.15
"""Share of an action (or of the window, where that is shorter) from which it names the window; share of the window up
to which it may be in a window of background."""
STILL, MOVING = 0.07, 0.10
"""m/s of `motion` below which a person stands still, and above which they do something."""
REST = 0.3
"""Seconds; a shorter rest at a clip's end is not played to and fro."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Raw windows: x (N, 3, T, V), mask (N, T, V), action (N,) indices."""

    x: Float32Array
    mask: Float32Array
    action: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Place:
    """A span in a sequence; what windows are cut around."""

    sequence: int
    span: Span


def to_and_fro(times: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Times folded into [low, high], as if the recording ran to and fro there; a short one is frozen."""
    if high - low < REST:
        return np.clip(times, low, high)
    phase = np.mod(times - low, 2 * (high - low))
    return low + np.minimum(phase, 2 * (high - low) - phase)


def background_places(sequences: Items[Sequence]) -> dict[int, list[Place]]:
    """Stretches without a named action: stillness and other motion, by action index.

    In continuous recordings they lie between the spans (MSRC-12's tags mark peaks: gestures reach further); in clips,
    at the ends, where people stand before and after.
    """
    found: dict[int, list[Place]] = {index_of(STAND): [], index_of(ELSE): []}
    seated = {index for index, action in enumerate(load_actions()) if action.name in ("stand up", "sit down")}
    for number, sequence in enumerate(sequences):
        end = float(sequence.times[-1])
        margin = 0.4 if sequence.set_name == "msrc12" else 0.0
        edges = [0.0, *(t for span in sequence.spans for t in (span.start - margin, span.end + margin)), end]
        gaps = list(zip(edges[::2], edges[1::2], strict=True))
        if sequence.trimmed:
            action = sequence.spans[0].action
            if action in seated or load_actions()[action].still or sequence.set_name == "bandai_namco":
                continue
        for low, high in gaps:
            if high - low < REST + 0.1:
                continue
            joints, confidence = sequence.sample(np.arange(low, high, 1 / RATE))
            speed = motion(joints, confidence, 1 / RATE)
            if (confidence > 0).mean() < 0.5:
                continue
            if speed < STILL:
                found[index_of(STAND)].append(Place(number, Span(low, high, index_of(STAND))))
            elif speed > MOVING and not sequence.trimmed:
                found[index_of(ELSE)].append(Place(number, Span(low, high, index_of(ELSE))))
    return found


class Surroundings:
    """What may have happened before and after clips, whose recording shows only what lies between.

    Args:
        sequences: other clips of the same person come before and after.
    """

    def __init__(self, sequences: Items[Sequence]) -> None:
        self._sequences = sequences
        self._people: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, sequence in enumerate(sequences):
            self._people[sequence.set_name, sequence.person].append(number)

    def sample(
        self, sequence: Sequence, times: NDArray[np.float64], every: int, rng: np.random.Generator
    ) -> tuple[Float32Array, Float32Array]:
        """Sample a clip beyond its ends: the person rests there, does something else, or was not yet seen."""
        span, last = sequence.spans[0], float(sequence.times[-1])
        inside = times.copy()
        before, after = times < 0, times > last
        inside[before] = to_and_fro(times[before], 0.0, span.start)
        inside[after] = to_and_fro(times[after], span.end, last)
        joints, confidence = sequence.sample(inside, every)
        if before.any() and (kind := rng.random()) < 0.5:
            if kind < 0.15:
                confidence[before] = 0
            else:
                other = self._companion(sequence, rng)
                earlier, seen = other.sample(other.times[-1] + times[before])
                joints[before], confidence[before] = _joined(earlier, joints[~before][0], -1), seen
        if after.any() and rng.random() < 0.4:
            other = self._companion(sequence, rng)
            later, seen = other.sample(times[after] - last)
            joints[after], confidence[after] = _joined(later, joints[~after][-1], 0), seen
        return _blended(joints, (before, after)), confidence

    def _companion(self, sequence: Sequence, rng: np.random.Generator) -> Sequence:
        others = self._people[sequence.set_name, sequence.person]
        return self._sequences[others[rng.integers(len(others))]]


def _joined(joints: Float32Array, neighbour: Float32Array, at: int) -> Float32Array:
    """Move frames (T, V, 3) so that frame `at` has its body where the neighbouring frame (V, 3) has it."""
    return np.asarray(joints + (neighbour[1] - joints[at, 1]), np.float32)


def _blended(joints: Float32Array, outside: tuple[NDArray[np.bool_], ...]) -> Float32Array:
    """Smooth the seams between a clip and what surrounds it over five frames."""
    for part in outside:
        for seam in np.flatnonzero(np.diff(part)):
            low, high = max(seam - 2, 0), min(seam + 3, len(joints) - 1)
            weight = np.linspace(0, 1, high - low + 1, dtype=np.float32)[:, None, None]
            joints[low : high + 1] = joints[low] + weight * (joints[high] - joints[low])
    return joints


@dataclass(frozen=True, slots=True)
class Case:
    """One window to judge by: where from, and what is done in it."""

    set_name: str
    person: str
    action: int


def judging_windows(sequences: Items[Sequence], *, gap_step: float = 1.0) -> tuple[Batch, list[Case]]:
    """Windows without chance in them: one around the middle of each span, and background where there is room.

    Beyond a clip's ends the person rests (its ends are played to and fro).
    """
    cases: list[Case] = []
    cuts: list[tuple[Float32Array, Float32Array]] = []
    for sequence in sequences:
        last = float(sequence.times[-1])
        for span in sequence.spans:
            times = (span.start + span.end) / 2 + DURATION / 2 + OFFSETS
            if sequence.trimmed:
                times = np.where(times < 0, to_and_fro(times, 0.0, span.start), times)
                times = np.where(times > last, to_and_fro(times, span.end, last), times)
            cuts.append(sequence.sample(times))
            cases.append(Case(sequence.set_name, sequence.person, span.action))
    for action, places in background_places(sequences).items():
        for place in places:
            sequence = sequences[place.sequence]
            if sequence.trimmed or place.span.end - place.span.start < DURATION:
                continue
            for end in np.arange(place.span.start + DURATION, place.span.end, gap_step):
                cuts.append(sequence.sample(end + OFFSETS))
                cases.append(Case(sequence.set_name, sequence.person, action))
    x = np.stack([joints.transpose(2, 0, 1) for joints, _ in cuts]).astype(np.float32)
    mask = np.stack([confidence for _, confidence in cuts]).astype(np.float32)
    return Batch(x, mask, np.array([case.action for case in cases], np.int64)), cases


def is_background(action: int) -> bool:
    """Whether an action is no news to who watches."""
    return load_actions()[action].name in BACKGROUND
