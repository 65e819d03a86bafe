"""What is normal, as a mean and a covariance that are kept online and exactly, and how far a sample lies from it.

Exact: adding samples one by one, in batches, or merging models gives what the formulas for all samples at once give
(Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", The American Statistician 1983), but for
rounding in float64. While samples are few their covariance is shrunk (`models.shrinkage`). numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.shrinkage import Shrunk, shrink

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Samples = Float32Array | Float64Array
KEPT = 512
"""Samples that are kept as they are, to tell how far normal samples lie; the model needs none of them."""
USUAL = 0.99
MAX_COUNT = 2**53


class NormalModel:
    """Mean and covariance of features; not thread safe.

    Args:
        dim: F.

    Attributes:
        dim: F.
        count: samples so far.
        mean: (F,) float64.

    Raises:
        ValueError: `dim` is below 1.
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"dim {dim}: expected at least 1")
        self.dim = dim
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.count = 0
        self.mean: Float64Array = np.zeros(self.dim)
        self._scatter: Float64Array = np.zeros((self.dim, self.dim))
        self._kept: dict[bytes, Float32Array] = {}
        self._cached: Shrunk | None = None

    @property
    def kept(self) -> Float32Array:
        """Some of the samples (R, F), `KEPT` at most: the same ones in whatever order they came."""
        return np.array([self._kept[key] for key in sorted(self._kept)], np.float32).reshape(-1, self.dim)

    @property
    def covariance(self) -> Float64Array:
        """The sample covariance (F, F), divided by count - 1; zeros before two samples."""
        return self._scatter / max(self.count - 1, 1)

    @property
    def shrinkage(self) -> tuple[float, float]:
        """Shares 0..1 by which correlations and variances are shrunk.

        Raises:
            ValueError: fewer than two samples are known.
        """
        shrunk = self._shrunk()
        return shrunk.correlations, shrunk.variances

    def add(self, x: Samples) -> None:
        """Learn samples (N, F), N may be 0.

        Raises:
            ValueError: they are of another shape or not finite.
        """
        rows = self._rows(x)
        if not len(rows):
            return
        mean = rows.mean(axis=0)
        away = rows - mean
        self._combine(len(rows), mean, away.T @ away)
        self._keep(rows.astype(np.float32))

    def merge(self, other: NormalModel) -> None:
        """Learn what another model of the same features has learnt.

        Raises:
            ValueError: it is of another number of features.
        """
        if other.dim != self.dim:
            raise ValueError(f"a model of {other.dim} features; expected {self.dim}")
        if other.count:
            self._combine(other.count, other.mean, other._scatter)
            self._keep(other.kept)

    def distance(self, x: Samples) -> Float64Array:
        """Mahalanobis distances of samples (N, F): (N,), eq. 2's d.

        Raises:
            ValueError: fewer than two samples are known, or `x` is of another shape or not finite.
        """
        away = self._rows(x) - self.mean
        squared = ((away @ self._shrunk().inverse) * away).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)), np.float64)

    def usual_distance(self) -> float:
        """The distance under which `USUAL` of the normal samples lie, each held against all others.

        A sample has pulled the mean and the covariance towards itself, most of all where there are fewer samples than
        features; that is taken out in closed form (Sherman and Morrison), with the same shrinkage.

        Raises:
            ValueError: fewer than two samples are known.
        """
        shrunk, n = self._shrunk(), self.count
        away = self.kept - self.mean
        inner, scaled = away @ shrunk.inverse, away * shrunk.weight
        share = (1 - shrunk.correlations) / (n - 1) * n / (n - 1)
        own = (inner * away).sum(axis=1)
        cross = (inner * scaled).sum(axis=1)
        pulled = ((scaled @ shrunk.inverse) * scaled).sum(axis=1)
        squared = (n / (n - 1)) ** 2 * (own + share * cross**2 / np.maximum(1 - share * pulled, 1e-9))
        return max(float(np.quantile(np.sqrt(np.maximum(squared, 0.0)), USUAL)), 1e-6)

    def save(self, path: Path, encoder: str) -> None:
        """Write it, whole or not at all; `encoder` is the digest of the weights that its features come from.

        Raises:
            NormalError: it cannot be written.
        """
        from models.normal_file import save_normals

        save_normals(path, {"normal": self}, encoder)

    @classmethod
    def load(cls, path: Path, encoder: str) -> NormalModel:
        """Read what `save` wrote.

        Raises:
            NormalError: it is missing, damaged or of another encoder; the message is one line.
        """
        from models.normal_file import NormalError, load_normals

        found = load_normals(path, encoder)
        if set(found) != {"normal"}:
            raise NormalError(f"{path}: holds {', '.join(sorted(found)) or 'nothing'}; expected one model, 'normal'")
        return found["normal"]

    def _rows(self, x: Samples) -> Float64Array:
        rows = np.asarray(x, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"expected samples (N, {self.dim}), got {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("samples hold numbers that are not finite")
        return rows

    def _combine(self, count: int, mean: Float64Array, scatter: Float64Array) -> None:
        total = self.count + count
        step = mean - self.mean
        self._scatter = self._scatter + scatter + np.outer(step, step) * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total
        self._cached = None

    def _keep(self, rows: Float32Array) -> None:
        """Keep the samples of the smallest digests: a choice by chance that no order of samples changes."""
        for row in np.ascontiguousarray(rows):
            self._kept[blake2b(row.tobytes(), digest_size=16).digest()] = row
        for key in sorted(self._kept)[KEPT:]:
            del self._kept[key]

    def _shrunk(self) -> Shrunk:
        if self.count < 2:
            raise ValueError(f"{self.count} samples of what is normal; expected at least 2")
        if self._cached is None:
            self._cached = shrink(self.covariance, self.count)
        return self._cached

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What is written of it."""
        return {
            "mean": self.mean,
            "scatter": self._scatter,
            "kept": self.kept,
            "count": np.array([self.count], np.int64),
        }

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """What `tensors` gave, checked.

        Raises:
            ValueError: they are not that.
        """
        if set(tensors) != {"mean", "scatter", "kept", "count"}:
            raise ValueError(f"has {', '.join(sorted(tensors))}")
        mean, scatter, kept = (np.asarray(tensors[name]) for name in ("mean", "scatter", "kept"))
        count = tensors["count"]
        if mean.ndim != 1 or not len(mean) or not mean.dtype == scatter.dtype == np.float64:
            raise ValueError("mean and scatter are not float64 (F,) and (F, F)")
        dim = len(mean)
        if scatter.shape != (dim, dim) or kept.ndim != 2 or kept.shape[1] != dim:
            raise ValueError(f"scatter {scatter.shape} and kept {kept.shape} do not fit {dim} features")
        model = cls(dim)  # whose memory is the square of that
        if count.shape != (1,) or count.dtype != np.int64 or not len(kept) <= int(count[0]) <= MAX_COUNT:
            raise ValueError("its count is none")
        if kept.dtype != np.float32 or not all(np.isfinite(array).all() for array in (mean, scatter, kept)):
            raise ValueError("holds numbers that are not finite, or kept samples that are not float32")
        if (np.diag(scatter) < 0).any() or not np.allclose(scatter, scatter.T, rtol=1e-6, atol=1e-9):
            raise ValueError("its scatter is no covariance")
        model.count, model.mean, model._scatter = int(count[0]), mean, scatter
        model._keep(kept)
        return model
