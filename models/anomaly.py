"""Anomaly scores after Sato, Hachiuma and Sekii (CVPR 2023): how unlike what is normal, and how like what is feared.

The out-of-distribution score needs samples of what is normal (`NormalModel`), the prompt score texts of what would be
an anomaly; both are squashed to 0..1 and multiplied. What features are is the business of an `AnomalyEncoder`.
numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.normal import NormalModel, Samples

Float32Array = NDArray[np.float32]
__all__ = [
    "AnomalyEncoder",
    "AnomalyScorer",
    "AnomalyScores",
    "FeatureSpace",
    "Features",
    "NormalModel",
    "Squash",
    "ood_squash",
    "prompt_squash",
]
BOTH = 0.5
"""Product of the two scores of what is as far from normal, and as like the prompts, as one normal sample in a hundred:
each of the two then is the root of it."""
FAR = 6.0
"""Distance, in distances of the one normal sample in a hundred, at which the out-of-distribution score reaches 1."""
LEAST, MOST = 0.25, 0.9
"""Similarities between which that of the one normal sample in a hundred is taken to lie: prompts that normal samples
never resemble are not made to fire at the slightest likeness, and those they do resemble can still be told."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What an encoder makes of a window.

    Attributes:
        scene: (F,) float32 of all people together; zeros where nobody was seen.
        persons: (M, F) float32, zeros for a body that was never seen.
        seen: (M,) whether a body was.
    """

    scene: Float32Array
    persons: Float32Array
    seen: NDArray[np.bool_]


class FeatureSpace(Protocol):
    """What scores are made from features by.

    Attributes:
        name: which kind of encoder, such as "graph".
        digest: of the weights; features of another digest mean something else.
        dim: F.
    """

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def prompts(self, vectors: Float32Array) -> object:
        """What `similarity` takes for K texts, given by their unit vectors (K, D)."""
        ...

    def similarity(self, features: Float32Array, prompts: Any) -> Float32Array:
        """s of eq. 4, in -1..1: features (N, F) to (N,), the greatest over the prompts."""
        ...


class AnomalyEncoder(FeatureSpace, Protocol):
    """An encoder of whole windows."""

    def features(self, joints: Float32Array, confidence: Float32Array, rate_hz: float, space: str) -> Features:
        """Features of one window.

        Args:
            joints: (T, M, 25, 3) float32, canonical layout, T at least 1.
            confidence: (T, M, 25) float32; 0 where a joint, or the whole body, was not seen.
            rate_hz: frames a second.
            space: "camera3d" (metres, y up) or "image2d" (any unit, y down).
        """
        ...


@dataclass(frozen=True, slots=True)
class Squash:
    """min(1, w1 v^(1/w2)) of the positive part of v, 0 for others: eqs. 2 and 3.

    Attributes:
        w1, w2: both above 0.

    Raises:
        ValueError: they are not.
    """

    w1: float = 1.0
    w2: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.w1 < np.inf and 0 < self.w2 < np.inf):
            raise ValueError(f"w1 {self.w1}, w2 {self.w2}: expected numbers above 0")

    @classmethod
    def through(cls, value: float, share: float, full: float) -> Self:
        """The curve that is `share` at `value` and reaches 1 at `full`: below it no two values become one.

        Raises:
            ValueError: not 0 < value < full, or not 0 < share < 1.
        """
        if not (0 < value < full and 0 < share < 1):
            raise ValueError(f"value {value}, full {full}, share {share}: expected 0 < value < full and 0 < share < 1")
        exponent = float(np.log(share) / np.log(value / full))
        return cls(full**-exponent, 1 / exponent)

    def __call__(self, values: Samples) -> Float32Array:
        """Values of any shape to 0..1."""
        full = self.w1**-self.w2  # from where on it is 1: larger numbers could overflow
        clipped = np.clip(np.asarray(values, np.float64), 0.0, full)
        return np.minimum(1.0, self.w1 * clipped ** (1 / self.w2)).astype(np.float32)


def ood_squash(normal: NormalModel) -> Squash:
    """Eq. 2's w1 and w2 for what was learnt: see `BOTH` and `FAR`.

    Raises:
        ValueError: fewer than two samples are known.
    """
    usual = normal.usual_distance()
    return Squash.through(usual, BOTH**0.5, FAR * usual)


def prompt_squash(normal: NormalModel | None, encoder: FeatureSpace, prompts: object) -> Squash:
    """Eq. 3's w1 and w2: the similarity itself, unless normal samples tell how like the prompts they are."""
    if normal is None or not len(normal.kept):
        return Squash()
    usual = float(np.quantile(encoder.similarity(normal.kept, prompts), 0.99))
    return Squash.through(min(max(usual, LEAST), MOST), BOTH**0.5, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyScores:
    """Scores of N windows, each (N,) float32 in 0..1; where nothing normal was learnt, the prompts decide alone.

    Attributes:
        ood: eq. 2; None without a normal model.
        prompt: eq. 3.
        product: eq. 1; the prompt score without a normal model.
    """

    ood: Float32Array | None
    prompt: Float32Array
    product: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyScorer:
    """From features to scores.

    Attributes:
        encoder: which the features come from.
        prompts: what `encoder.prompts` gave.
        normal: what is normal, or None; must not change while this is in use.
        ood, prompt: the two squashes; `ood` is without effect where `normal` is None.
    """

    encoder: FeatureSpace
    prompts: object
    normal: NormalModel | None
    ood: Squash
    prompt: Squash

    @classmethod
    def of(cls, encoder: FeatureSpace, prompts: object, normal: NormalModel | None) -> Self:
        """A scorer with the squashes that what is normal suggests; a model of under two samples counts as none.

        Raises:
            ValueError: the normal model is of other features.
        """
        if normal is not None and normal.dim != encoder.dim:
            raise ValueError(f"normal model of {normal.dim} features; expected {encoder.dim}, of {encoder.name}")
        known = normal if normal is not None and normal.count >= 2 else None
        ood = Squash() if known is None else ood_squash(known)
        return cls(encoder, prompts, known, ood, prompt_squash(known, encoder, prompts))

    def __call__(self, features: Float32Array) -> AnomalyScores:
        """Score features (N, F)."""
        prompt = self.prompt(self.encoder.similarity(features, self.prompts))
        if self.normal is None:
            return AnomalyScores(None, prompt, prompt)
        ood = self.ood(self.normal.distance(features))
        return AnomalyScores(ood, prompt, ood * prompt)
