"""Maps from a sensor's joints to the canonical ones, as affine combinations that are fixed when the layout is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stream.errors import PosewireError
from stream.layouts.canonical import CANONICAL
from stream.types import Float32Array

MAX_COORDINATE = 1e6
"""A coordinate beyond this (metres or pixels) is a fault of the sensor or the file, like NaN."""


@dataclass(frozen=True, slots=True)
class Point:
    """A weighted sum of source joints, so that a map reads like its formula: `hip + 0.22 * (knee - hip)`."""

    weights: Mapping[str, float]

    @classmethod
    def of(cls, joint: str) -> Self:
        """The source joint itself."""
        return cls({joint: 1.0})

    def __add__(self, other: Point) -> Point:
        total = dict(self.weights)
        for joint, weight in other.weights.items():
            total[joint] = total.get(joint, 0.0) + weight
        return Point({joint: weight for joint, weight in total.items() if abs(weight) > 1e-9})

    def __rmul__(self, factor: float) -> Point:
        return Point({joint: factor * weight for joint, weight in self.weights.items()})

    def __sub__(self, other: Point) -> Point:
        return self + -1.0 * other


@dataclass(frozen=True, slots=True)
class Derivation:
    """How one canonical joint comes from the source's.

    Attributes:
        choices: formulas in order of preference; the first whose source joints were all seen is taken.
        seen: False where the source does not observe the joint: its confidence is 0, and the formula only keeps the
            coordinates finite and near the body.
    """

    choices: tuple[Point, ...]
    seen: bool = True

    def renamed(self, names: Mapping[str, str]) -> Derivation:
        """The same with other names for the source joints."""
        points = ({names[joint]: weight for joint, weight in point.weights.items()} for point in self.choices)
        return Derivation(tuple(Point(weights) for weights in points), self.seen)


class Layout:
    """A sensor's joint set and its map to the canonical 25 joints.

    Attributes:
        name: what `SkeletonFrame.layout` says; `stream.layouts.layout(name)` gives this layout back in any process.
        joints: names of the V source joints.
        derivations: how each canonical joint comes from them, by its name.
    """

    def __init__(self, name: str, joints: Sequence[str], derivations: Mapping[str, Derivation]) -> None:
        self.name = name
        self.joints = tuple(joints)
        self.derivations = dict(derivations)
        index = {joint: v for v, joint in enumerate(self.joints)}
        rows = [derivations[joint] for joint in CANONICAL]
        choices = max(len(row.choices) for row in rows)
        parts = max(len(point.weights) for row in rows for point in row.choices)
        weights = np.zeros((choices, len(CANONICAL), len(self.joints)), np.float32)
        sources = np.zeros((choices, len(CANONICAL), parts), np.intp)
        for v, row in enumerate(rows):
            for a in range(choices):
                point = row.choices[min(a, len(row.choices) - 1)]
                used = [index[joint] for joint in point.weights]
                weights[a, v, used] = list(point.weights.values())
                sources[a, v] = (used + used[:1] * parts)[:parts]
        self._weights = weights  # (A, 25, V)
        self._sources = sources  # (A, 25, parts): the joints whose confidence counts, the first repeated as padding
        self._seen: Float32Array = np.array([row.seen for row in rows], np.float32)

    @property
    def used(self) -> tuple[str, ...]:
        """The source joints that the map reads, in the source's order."""
        return tuple(self.joints[v] for v in np.flatnonzero(np.any(self._weights, axis=(0, 1))))

    def to_canonical(
        self, joints: Float32Array | NDArray[np.float64], confidence: Float32Array | NDArray[np.float64]
    ) -> tuple[Float32Array, Float32Array]:
        """Map source joints to canonical ones; affine, hence right in every unit and axis convention.

        Args:
            joints: (..., V, 3) in any unit; NaN, infinite or absurd (> 1e6) coordinates count as not seen.
            confidence: (..., V) in 0..1; 0 means not seen.

        Returns:
            joints (..., 25, 3) float32, finite, and confidence (..., 25) float32: the least confidence among the
            source joints that a canonical joint comes from; 0 where it cannot be derived.

        Raises:
            PosewireError: the arrays do not have this layout's joints.
        """
        if joints.shape[-2:] != (len(self.joints), 3) or confidence.shape != joints.shape[:-1]:
            raise PosewireError(
                f"layout {self.name[:40]}: joints {joints.shape} with confidence {confidence.shape}; "
                f"expected (..., {len(self.joints)}, 3) with (..., {len(self.joints)})"
            )
        good = (np.abs(joints) < MAX_COORDINATE).all(axis=-1)
        known = np.where(good & (confidence > 0), np.minimum(confidence, 1), 0).astype(np.float32, copy=False)
        finite = np.where(good[..., None], joints, 0).astype(np.float32, copy=False)
        mapped: Float32Array = self._weights[0] @ finite
        certainty: Float32Array = known[..., self._sources[0]].min(axis=-1)
        for weights, sources in zip(self._weights[1:], self._sources[1:], strict=True):
            other = known[..., sources].min(axis=-1)
            better = (certainty == 0) & (other > 0)
            mapped = np.where(better[..., None], weights @ finite, mapped)
            certainty = np.where(better, other, certainty)
        return mapped, certainty * self._seen
