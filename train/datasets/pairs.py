"""Windows as a teacher and its student see them: the same span of time, whole and clean, and as a sensor gives it.

The teacher gets 64 frames of the span, the student 50, normalised causally, with what sensors hide and shake.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.joints import PARENTS
from models.normaliser import NormaliserState
from models.normaliser import normalise as normalise_causally
from models.ntu import FRAMES as TEACHER_FRAMES
from models.ntu import normalise, stretch
from stream.layouts import MIRROR
from train.augment import EXTREMITIES, HANDS, mirror, rotations
from train.datasets.falls import simulated
from train.datasets.labels import ELSE, FALL, SIMULATED, STAND, index_of, load_actions
from train.datasets.sequences import Float32Array, Sequence
from train.datasets.windows import DURATION, ENOUGH, FRAMES, Surroundings, background_places, to_and_fro

UNKNOWN = -1
"""In place of an action's index: what is done has no name, or more than one."""
PIECE = 3.0
"""Seconds; untrimmed recordings are also drawn from in pieces of this length, whatever is in them."""
ARMS = (4, 5, 6, 7, 8, 9, 10, 11, 21, 22, 23, 24)
SEATED = ("sit down", "stand up")
LEGS = (12, 13, 14, 15, 16, 17, 18, 19)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a sequence that windows are drawn from, in seconds; `action` may be `UNKNOWN`."""

    sequence: int
    low: float
    high: float
    action: int


def find_stretches(sequences: Items[Sequence]) -> list[Stretch]:
    """Labelled spans, stretches of background, and pieces of untrimmed recordings."""
    found: list[Stretch] = []
    for number, sequence in enumerate(sequences):
        found += [Stretch(number, span.start, span.end, span.action) for span in sequence.spans]
        end = float(sequence.times[-1])
        if not sequence.spans and sequence.trimmed:
            found.append(Stretch(number, 0.0, end, UNKNOWN))
        if not sequence.trimmed or end > 2 * PIECE:
            starts = np.arange(0.0, max(end - PIECE, 0.1), PIECE)
            found += [Stretch(number, float(low), min(float(low) + PIECE, end), UNKNOWN) for low in starts]
    for action, places in background_places(sequences).items():
        found += [Stretch(place.sequence, place.span.start, place.span.end, action) for place in places]
    return found


def find_upright(sequences: Items[Sequence]) -> list[Stretch]:
    """Beginnings of clips, where people are on their feet, once for each simulated action; falls twice."""
    found = []
    kinds = [index_of(name) for name in (*SIMULATED, FALL)]
    for number, sequence in enumerate(sequences):
        named = {load_actions()[span.action].name for span in sequence.spans}
        if sequence.trimmed and not named & {*SEATED}:
            found += [Stretch(number, 0.0, float(sequence.times[-1]), kind) for kind in kinds]
    return found


class PairSampler:
    """Draws windows, the same for the same state of its `rng`.

    Args:
        sequences: to draw from.
        set_names: of the sets, in the order of the shards' indices.
        simulation: draw simulated actions (`train.datasets.falls`) instead of what was recorded.
    """

    def __init__(self, sequences: Items[Sequence], set_names: Items[str], *, simulation: bool = False) -> None:
        self._sequences, self._simulation = sequences, simulation
        self._surroundings = Surroundings(sequences)
        self.places = find_upright(sequences) if simulation else find_stretches(sequences)
        self._set = np.array([set_names.index(sequences[place.sequence].set_name) for place in self.places])
        self._rows: dict[int, NDArray[np.int64]] = {i: np.flatnonzero(self._set == i) for i in np.unique(self._set)}
        self.chances = self._balanced(np.array([place.action for place in self.places]))

    def weigh(self, opinion: NDArray[np.int64]) -> None:
        """Draw what the teacher calls by a rare name more often; `opinion` is its best class of each place."""
        own = self._balanced(np.array([place.action for place in self.places]))
        self.chances = (own + self._balanced(opinion)) / 2

    def _balanced(self, groups: NDArray[np.int64]) -> NDArray[np.float64]:
        _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
        _, sets, sizes = np.unique(self._set, return_inverse=True, return_counts=True)
        chances = 1 / (counts[group] ** 0.6 * sizes[sets] ** 0.3)
        return np.asarray(chances / chances.sum())

    def draw(
        self, rows: Items[int] | NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Float32Array, Float32Array, NDArray[np.int16], NDArray[np.int8]]:
        """Windows at the given places.

        Returns:
            What the teacher sees (N, 3, 64, 25, 2), what the student sees (N, 50, `INPUTS`), actions, and sets.
        """
        teacher, student, actions = [], [], []
        for row in rows:
            joints, confidence, action = self._cut(int(row), rng)
            joints = _reshaped(joints, rng)
            seen = confidence[TEACHER_FRAMES:] > 0
            clip = joints[TEACHER_FRAMES:].transpose(2, 0, 1)[None, ..., None]
            teacher.append(normalise(clip, seen[None, ..., None])[0])
            student.append(_student(joints, confidence, rng))
            actions.append(action)
        return np.stack(teacher), np.stack(student), np.array(actions, np.int16), self._set[list(rows)].astype(np.int8)

    def _cut(self, row: int, rng: np.random.Generator) -> tuple[Float32Array, Float32Array, int]:
        """One window and as much before it: joints (128, V, 3), confidence (128, V), action."""
        place = self.places[row]
        action = place.action
        if self._simulation:  # not by the action's name: somebody may have recordings of it
            joints, confidence = self._simulate(place, rng)
            return joints, confidence, action
        joints, confidence = self._sample(place, rng)
        if (kind := rng.random()) < 0.2:
            others = self._rows[int(self._set[row])]
            other, other_seen = self._sample(self.places[int(others[rng.integers(len(others))])], rng)
            action = UNKNOWN
            if kind < 0.1:  # the arms of one on the legs of another
                arms = list(ARMS)
                joints[:, arms] = other[:, arms] - other[:, 20:21] + joints[:, 20:21]
                confidence[:, arms] = other_seen[:, arms]
            else:  # one after the other
                seam = TEACHER_FRAMES + int(rng.integers(10, TEACHER_FRAMES - 10))
                joints[seam:] = other[seam:] - other[seam, 1] + joints[seam - 1, 1]
                confidence[seam:] = other_seen[seam:]
        if rng.random() < 0.5 and (action == UNKNOWN or load_actions()[action].mirrors):
            joints = mirror(joints.transpose(2, 0, 1)).transpose(1, 2, 0)
            confidence = confidence[:, list(MIRROR)]
        return joints, confidence, action

    def _simulate(self, place: Stretch, rng: np.random.Generator) -> tuple[Float32Array, Float32Array]:
        sequence = self._sequences[place.sequence]
        times = np.linspace(-2 * DURATION, 0, 2 * TEACHER_FRAMES) * rng.uniform(0.8, 1.3)
        # What the person does meanwhile: nothing much, or what the clip shows.
        still = rng.random() < 0.5
        shown = to_and_fro(times - times[0], 0.0, min(0.3, place.high) if still else place.high)
        joints, confidence = sequence.sample(shown)
        return simulated(joints, times, load_actions()[place.action].name, rng), confidence

    def _sample(self, place: Stretch, rng: np.random.Generator) -> tuple[Float32Array, Float32Array]:
        sequence = self._sequences[place.sequence]
        long = place.high - place.low
        every = 2 if rng.random() < 0.15 and sequence.set_name != "msr_action3d" else 1
        if 0.6 < long < 3.4 and rng.random() < 0.5:  # all of it, in whatever time it took
            low = place.low - rng.uniform(-0.08, 0.2) * long
            end = place.high + rng.uniform(-0.08, 0.2) * long
            length = end - low
        else:
            length = DURATION * rng.uniform(0.6, 1.6)
            needed = ENOUGH * min(long, length)
            end = rng.uniform(place.low + needed, max(place.high - needed + length, place.low + needed))
        if place.action in (index_of(STAND), index_of(ELSE)):
            end = rng.uniform(place.low + length, max(place.high, place.low + length))
        times = end + np.linspace(-2 * length, 0, 2 * TEACHER_FRAMES)
        if place.action in (index_of(STAND), index_of(ELSE)):
            return sequence.sample(to_and_fro(times, place.low, place.high), every)
        if sequence.trimmed and sequence.spans:
            return self._surroundings.sample(sequence, times, every, rng)
        return sequence.sample(times, every)


def _reshaped(joints: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Turn, tilt, and give other bone lengths."""
    turn = (
        rotations(rng.uniform(-np.pi, np.pi, 1), 1)
        @ rotations(rng.normal(0, np.radians(5), 1), 0)
        @ rotations(rng.normal(0, np.radians(3), 1), 2)
    )[0]
    moved = (joints - joints[:1, 1:2]) @ turn.T
    factors = rng.normal(1, 0.05, 25)
    factors[[8, 9, 10, 11, 23, 24]] = factors[[4, 5, 6, 7, 21, 22]]
    factors[[16, 17, 18, 19]] = factors[[12, 13, 14, 15]]
    shaped = moved.copy()
    for joint, parent in PARENTS:
        shaped[:, joint] = shaped[:, parent] + factors[joint] * (moved[:, joint] - moved[:, parent])
    shaped *= rng.uniform(0.75, 1.2)
    return np.asarray(shaped + rng.standard_normal(shaped.shape) * rng.uniform(0, 0.006), np.float32)


def _student(joints: Float32Array, confidence: Float32Array, rng: np.random.Generator) -> Float32Array:
    """The window as a sensor gives it and the student sees it, (50, `INPUTS`); half of them begin with the track."""
    x, mask = stretch(joints, 2 * FRAMES), stretch(confidence, 2 * FRAMES)
    if rng.random() < 0.5:
        x = x + (rng.standard_normal(x.shape) * rng.uniform(0, 0.015)).astype(np.float32)
        offset = rng.standard_normal((25, 3)) * 0.008
        offset[list(EXTREMITIES)] *= 2.5  # where sensors and layouts differ most
        x = x + offset.astype(np.float32)
    chance = rng.random(6)
    if chance[0] < 0.12:
        mask[:, list(HANDS)] = 0
    if chance[1] < 0.10:
        mask[:, list(LEGS)] = 0
    if chance[2] < 0.10:
        mask[rng.random(mask.shape) < rng.uniform(0, 0.4)] = 0
    if chance[3] < 0.12:
        hidden = rng.choice(25, rng.integers(1, 6), replace=False)
        start, length = rng.integers(0, 2 * FRAMES), rng.integers(5, 2 * FRAMES)
        mask[start : start + length, hidden] = 0
    if chance[4] < 0.05:
        start = rng.integers(FRAMES, 2 * FRAMES - 8)
        mask[start : start + rng.integers(1, 9)] = 0
    if chance[5] < 0.5:
        x, mask = x[FRAMES:], mask[FRAMES:]
    return normalise_causally(x[None], mask[None], NormaliserState.new(1))[0, -FRAMES:]
