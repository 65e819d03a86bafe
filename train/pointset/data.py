"""Windows to learn from and to judge by: recordings of one person, clips of images, falls, and composed pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.points import RATE_HZ
from train.datasets.falls import simulated
from train.datasets.labels import ELSE, SIMULATED, STAND, WALK, index_of, load_actions
from train.datasets.sequences import Float32Array
from train.datasets.sequences import Sequence as Recording
from train.datasets.windows import ENOUGH, Place, Surroundings, background_places, to_and_fro
from train.pointset import scenes
from train.pointset.vocabulary import (
    APPROACH,
    FACE,
    HUG,
    KICKED,
    LEAVE,
    POINTED,
    PUNCHED,
    PUSHED,
    SHAKE,
    SLAPPED,
    Label,
)

FRAMES = 50
"""Of a cut: its window of 2 s, and as much before."""
SECONDS = FRAMES / RATE_HZ
WINDOW_SECONDS = 2.0
NOBODY = -1
"""In place of a person's label: there is no telling."""
BLOWS: Mapping[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    PUNCHED: (("punch", "back fist", "elbow strike"), (*scenes.HANDS, *scenes.ELBOWS)),
    KICKED: (("front kick", "side kick"), scenes.FEET),
    SLAPPED: (("swipe", "tennis forehand"), scenes.HANDS),
    PUSHED: (("push both hands", "push sideways"), scenes.HANDS),
    POINTED: (("point", "press button"), scenes.HANDS),
}
"""What pairs are composed of: an actor's labels, and the joints that arrive."""
BESIDE = 0.3
"""Share of the windows of one person in which somebody else is there as well, who does nothing of note."""


@dataclass(frozen=True, slots=True)
class Scenes:
    """N cuts of T = `FRAMES` at 12.5 Hz of M bodies each.

    Attributes:
        joints: (N, T, M, V, 3) float16, metres in camera axes about the first body; of images, (x, y up, 0).
        confidence: (N, T, M, V) float16.
        label: (N,) of the scene.
        persons: (N, M) of each body, or `NOBODY`.
        image: (N,) whether it is of an image.
        source: (N,) name of the set, or of what was composed.
    """

    joints: NDArray[np.float16]
    confidence: NDArray[np.float16]
    label: NDArray[np.int64]
    persons: NDArray[np.int64]
    image: NDArray[np.bool_]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, slots=True)
class Cut:
    """One window: see `Scenes`."""

    joints: Float32Array
    confidence: Float32Array
    label: str
    persons: tuple[str | None, ...]
    source: str
    image: bool = False


def stacked(cuts: Sequence[Cut], labels: Sequence[Label]) -> dict[int, Scenes]:
    """Cuts by their number of bodies, those with a label that is among the labels."""
    index = {label.name: i for i, label in enumerate(labels)}
    groups: dict[int, list[Cut]] = defaultdict(list)
    for cut in cuts:
        if cut.label in index:
            groups[cut.joints.shape[1]].append(cut)
    return {
        bodies: Scenes(
            np.stack([cut.joints for cut in group]).astype(np.float16),
            np.stack([cut.confidence for cut in group]).astype(np.float16),
            np.array([index[cut.label] for cut in group]),
            np.array([[index.get(name or "", NOBODY) for name in cut.persons] for cut in group]),
            np.array([cut.image for cut in group]),
            np.array([cut.source for cut in group]),
        )
        for bodies, group in sorted(groups.items())
    }


class Recordings:
    """The people of one part of the training sets, as windows are cut from them.

    Args:
        sequences: of them.
    """

    def __init__(self, sequences: Sequence[Recording]) -> None:
        self.sequences = sequences
        self._surroundings = Surroundings(sequences)
        self.places: dict[str, list[Place]] = defaultdict(list)
        for number, sequence in enumerate(sequences):
            for span in sequence.spans:
                self.places[load_actions()[span.action].name].append(Place(number, span))
        for action, places in background_places(sequences).items():
            self.places[load_actions()[action].name] += places

    def cut(self, name: str, rng: np.random.Generator, place: Place | None = None) -> tuple[Float32Array, Float32Array]:
        """A window of an action: joints (T, V, 3) with the person at the origin, and confidence (T, V)."""
        found = self.places[name]
        place = place or found[int(rng.integers(len(found)))]
        sequence, low, high = self.sequences[place.sequence], place.span.start, place.span.end
        speed = rng.uniform(0.85, 1.2)
        window = WINDOW_SECONDS * speed
        background = place.span.action in (index_of(STAND), index_of(ELSE))
        needed = ENOUGH * min(high - low, window)
        end = rng.uniform(low + needed, max(high - needed + window, low + needed))
        if background:
            end = rng.uniform(low + window, max(high, low + window))
        times = end - np.arange(FRAMES - 1, -1, -1) / RATE_HZ * speed
        if background:
            joints, confidence = sequence.sample(to_and_fro(times, low, high))
        elif sequence.trimmed and sequence.spans:
            joints, confidence = self._surroundings.sample(sequence, times, 1, rng)
        else:
            joints, confidence = sequence.sample(times)
        return scenes.grounded(joints, FRAMES // 2), confidence

    def bystander(self, rng: np.random.Generator, names: Sequence[str]) -> tuple[str, Float32Array, Float32Array]:
        """Somebody who does nothing of note."""
        name = str(rng.choice([name for name in names if self.places[name]]))
        return name, *self.cut(name, rng)

    def fallen(self, kind: str, rng: np.random.Generator) -> tuple[Float32Array, Float32Array]:
        """A simulated fall, lying, or getting up."""
        upright = [name for name in (STAND, ELSE, WALK) if self.places[name]]
        joints, confidence = self.cut(str(rng.choice(upright)), rng)
        times = np.arange(FRAMES) / RATE_HZ
        return simulated(joints, times, kind, rng), confidence


def single_cuts(people: Recordings, number: int, rng: np.random.Generator) -> Iterator[Cut]:
    """Windows of one person: each place once at least, rare actions more often; with others about in some."""
    every = [(name, place) for name, places in people.places.items() for place in places]
    chances = np.array([len(people.places[name]) ** -0.6 for name, _ in every])
    rows = rng.choice(len(every), number, p=chances / chances.sum())
    for row in rows:
        name, place = every[row]
        joints, confidence = people.cut(name, rng, place)
        source = people.sequences[place.sequence].set_name
        yield _beside(people, Cut(joints[:, None], confidence[:, None], name, (name,), source), rng)
    for kind in SIMULATED:
        for _ in range(number // 40):
            joints, confidence = people.fallen(kind, rng)
            yield _beside(people, Cut(joints[:, None], confidence[:, None], kind, (kind,), "falls"), rng)


def _beside(people: Recordings, cut: Cut, rng: np.random.Generator) -> Cut:
    """Perhaps with somebody who has nothing to do with it: far away, or near but not where it goes."""
    if rng.random() > BESIDE:
        return cut
    return with_bystander(people, cut, rng, rng.uniform(0.9, 4.0))


def with_bystander(people: Recordings, cut: Cut, rng: np.random.Generator, distance: float) -> Cut:
    """Somebody at a distance from the first body who turns anywhere, beside or behind where that one faces."""
    name, joints, confidence = people.bystander(rng, (STAND, WALK, ELSE))
    ahead = scenes.facing(cut.joints[:, 0], FRAMES // 2)
    toward = ahead + rng.choice((-1, 1)) * rng.uniform(np.pi / 3, np.pi)
    other = scenes.placed(joints, FRAMES // 2, toward, distance, rng.uniform(-np.pi, np.pi))
    return Cut(
        np.concatenate((cut.joints, other[:, None]), axis=1),
        np.concatenate((cut.confidence, confidence[:, None]), axis=1),
        cut.label, (*cut.persons, name), cut.source,
    )  # fmt: skip


def blow_cut(people: Recordings, pair: str, rng: np.random.Generator, *, arrives: bool) -> Cut:
    """A blow that arrives at somebody; or the same with them out of reach, or not where it goes (hard negatives)."""
    names, limbs = BLOWS[pair]
    name = str(rng.choice([name for name in names if people.places[name]]))
    joints, confidence = people.cut(name, rng)
    hit = scenes.blow(joints, limbs, FRAMES // 2, FRAMES - 1)
    _, other, seen = people.bystander(rng, (STAND, ELSE))
    distance = hit.reach + scenes.DEPTH + rng.uniform(-0.08, 0.15)
    toward, face = hit.toward, hit.toward + np.pi + rng.normal(0, 0.4)
    if pair == POINTED:
        distance = rng.uniform(1.0, 2.5)
    if not arrives:
        if rng.random() < 0.5:
            distance += rng.uniform(1.2, 3.0)
        else:
            distance = rng.uniform(0.8, 2.0)
            toward += rng.choice((-1, 1)) * rng.uniform(np.pi / 2, np.pi)
            face = rng.uniform(-np.pi, np.pi)
    placed = scenes.placed(other, FRAMES // 2, toward, distance, face)
    if arrives and pair != POINTED and rng.random() < 0.7:
        lean, step = rng.uniform(0.1, 0.7), rng.uniform(0.0, 0.5)
        if pair == PUSHED:
            step += 0.3
        placed = scenes.driven_back(placed, toward, hit.frame - 1, lean, step, int(rng.integers(3, 8)))
    label = pair if arrives else name
    return Cut(
        np.stack((joints, placed), axis=1), np.stack((confidence, seen), axis=1), label,
        (label, None if arrives else STAND), "composed",
    )  # fmt: skip


def meeting_cut(people: Recordings, pair: str, rng: np.random.Generator) -> Cut:
    """Two people who hug, shake hands, stand before each other, or one of whom comes or goes."""
    a_name = WALK if pair in (APPROACH, LEAVE) else str(rng.choice((STAND, ELSE)))
    a, seen_a = people.cut(a_name, rng)
    _, b, seen_b = people.bystander(rng, (STAND, ELSE))
    face = rng.uniform(-np.pi, np.pi)
    near = {HUG: rng.uniform(0.28, 0.42), SHAKE: rng.uniform(0.75, 1.05)}.get(pair, rng.uniform(0.6, 1.6))
    a = scenes.placed(a, FRAMES // 2, 0.0, 0.0, face + rng.normal(0, 0.15))
    b = scenes.placed(b, FRAMES // 2, face, near, face + np.pi + rng.normal(0, 0.15))
    persons: tuple[str | None, ...] = (pair, pair)
    if pair in (APPROACH, LEAVE):
        end = FRAMES - rng.uniform(0, 10)
        way = rng.uniform(0.6, 1.4) * (np.minimum(np.arange(FRAMES), end) - end) / RATE_HZ
        if pair == LEAVE:
            start = rng.uniform(18, 32)
            way = -rng.uniform(0.6, 1.4) * np.maximum(np.arange(FRAMES) - start, 0) / RATE_HZ
            if rng.random() < 0.8:  # most turn round
                a = scenes.placed(a, FRAMES // 2, 0.0, 0.0, face + np.pi + rng.normal(0, 0.2))
        a = scenes.moved(a, face, way)
        persons = (pair, STAND)
    elif pair in (HUG, SHAKE):
        start = rng.uniform(15, 38)
        share = scenes.rising(FRAMES, start, rng.uniform(5, 12))
        if rng.random() < 0.3:
            share = share * (1 - scenes.rising(FRAMES, start + rng.uniform(10, 18), 8))
        act = scenes.hugging if pair == HUG else scenes.shaking
        a, b = act(a, b, share, rng)
        if pair == HUG:  # they come together, and part
            apart = rng.uniform(0.2, 1.2) * (1 - share)
            b[..., 0] += (apart * np.cos(face))[:, None].astype(np.float32)
            b[..., 2] += (apart * np.sin(face))[:, None].astype(np.float32)
    return Cut(np.stack((a, b), axis=1), np.stack((seen_a, seen_b), axis=1), pair, persons, "composed")


def pair_cuts(people: Recordings, number: int, rng: np.random.Generator) -> Iterator[Cut]:
    """Composed pairs, as many hard negatives as blows, and a bystander in some."""
    for _ in range(number):
        for pair in BLOWS:
            for arrives in (True, False):
                yield blow_cut(people, pair, rng, arrives=arrives)
        for pair in (HUG, SHAKE, APPROACH, LEAVE, FACE):
            yield meeting_cut(people, pair, rng)
