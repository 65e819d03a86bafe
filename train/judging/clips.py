"""Labelled clips through a model: features of every body that is seen in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import KnownAction
from models.heads import BankHead, Head
from models.ntu import FRAMES as SHORT
from train.datasets.labelled import Body, Clip
from train.datasets.sequences import Sequence as Recorded

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
Report = Callable[[int, int], None]
"""Is told how many there are in all, and how many are done."""
RATE = 30.0
"""Frames a second in which `SHORT` counts: those of the clips that published networks were trained on."""
AT_ONCE = 3200
"""Frames encoded together."""


class ClipEncoder(Protocol):
    """What judging needs of a model (see `models.recogniser.Recogniser`)."""

    frames: int
    head: Head
    bank: tuple[KnownAction, ...]

    def encode_clips(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        """Clips (N, 3, T >= `frames`, V) and masks (N, T, V) to features (N, F)."""
        ...

    def embedding(self, features: Float32Array) -> Float32Array:
        """Features (N, F) to unit vectors (N, E) to compare them by."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """N clips as a model sees them; B bodies are seen in them, two in some.

    Attributes:
        features: (B, F).
        clip: (B,) whose body it is.
        labels, subjects: (N,).
    """

    features: Float32Array
    clip: IntArray
    labels: tuple[str, ...]
    subjects: tuple[str, ...]

    def per_clip(self, values: Float32Array) -> Float32Array:
        """Mean over the bodies of each clip: (B, X) to (N, X)."""
        sums = np.zeros((len(self.labels), values.shape[1]))
        np.add.at(sums, self.clip, values)
        counts = np.bincount(self.clip, minlength=len(self.labels))
        means: Float32Array = (sums / counts[:, None]).astype(np.float32)
        return means

    def embeddings(self, encoder: ClipEncoder) -> Float32Array:
        """Unit vectors of the clips, (N, E)."""
        means = self.per_clip(encoder.embedding(self.features))
        unit: Float32Array = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        return unit


def rows_of(seconds: float, frames: int, *, whole: bool) -> int:
    """How many rows a clip is given to a model in whose window has `frames`.

    What is shorter than the 64 frames at 30 fps that a published network wants is stretched to one window; what is
    longer keeps that rate, or is squeezed into one window where the model takes nothing longer (not `whole`).
    """
    length = round(seconds * RATE) + 1
    return max(round(length * frames / SHORT), frames) if whole and length > SHORT else frames


def encode(clips: Sequence[Clip], encoder: ClipEncoder, report: Report | None = None) -> Encoded:
    """Encode clips, those of one length together."""
    whole = isinstance(encoder.head, BankHead)
    bodies = [(number, body) for number, clip in enumerate(clips) for body in clip.bodies]
    lengths: dict[int, list[int]] = defaultdict(list)
    for place, (number, _) in enumerate(bodies):
        lengths[rows_of(float(clips[number].times[-1]), encoder.frames, whole=whole)].append(place)
    features: list[Float32Array] = [np.empty(0, np.float32)] * len(bodies)
    done = 0
    for rows, places in sorted(lengths.items()):
        size = max(AT_ONCE // rows, 1)
        for start in range(0, len(places), size):
            batch = places[start : start + size]
            cut = [_resampled(bodies[place][1], clips[bodies[place][0]], rows) for place in batch]
            encoded = encoder.encode_clips(np.stack([x for x, _ in cut]), np.stack([mask for _, mask in cut]))
            for place, row in zip(batch, encoded, strict=True):
                features[place] = row
            done += len(batch)
            if report is not None:
                report(len(bodies), done)
    return Encoded(
        features=np.stack(features),
        clip=np.array([number for number, _ in bodies]),
        labels=tuple(clip.label for clip in clips),
        subjects=tuple(clip.subject for clip in clips),
    )


def _resampled(body: Body, clip: Clip, rows: int) -> tuple[Float32Array, Float32Array]:
    """One body in the given number of rows, first frame on first and last on last: (3, T, V) and (T, V)."""
    recorded = Recorded("", clip.subject, clip.name, body.joints, body.confidence, clip.times, (), trimmed=True)
    joints, confidence = recorded.sample(np.linspace(0.0, float(clip.times[-1]), rows))
    return np.ascontiguousarray(joints.transpose(2, 0, 1)), confidence
