"""Covariances of few samples made usable: shrunk as far as their own sampling error suggests, of many not at all.

Variances go towards their mean (Opgen-Rhein and Strimmer, "Accurate Ranking of Differentially Expressed Genes by a
Distribution-Free Shrinkage Approach", 2007), correlations towards 0 (Schäfer and Strimmer, "A Shrinkage Approach to
Large-Scale Covariance Matrix Estimation", 2005), each by a share of its own. The sampling errors are those of normal
distributions, so that mean and covariance are all that must be known of the samples. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
_TINY = 1e-12
"""Least mean variance: of samples that are all the same any other is very far, but not infinitely."""


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """A shrunk covariance.

    Attributes:
        inverse: (F, F).
        weight: (F,) by which a feature's deviation counts in the part that comes from the samples' correlations.
        correlations, variances: shares 0..1 by which they were shrunk.
    """

    inverse: Float64Array
    weight: Float64Array
    correlations: float
    variances: float


def shrink(covariance: Float64Array, count: int) -> Shrunk:
    """Shrink the covariance (F, F) of `count` samples, two or more; the result is positive definite whatever it was."""
    variance = np.maximum(np.diag(covariance), 0.0)
    mean = max(float(variance.mean()), _TINY)
    spread = float(((variance - mean) ** 2).sum())
    error = float(2 * (variance**2).sum() / (count - 1))
    variances = 1.0 if error >= spread else error / spread
    shrunk = (1 - variances) * variance + variances * mean
    # A feature that never changed has no correlations; what it has by rounding is none.
    deviation = np.sqrt(np.where(variance > 0, variance, 1.0))
    correlation = covariance / np.outer(deviation, deviation) * np.outer(variance > 0, variance > 0)
    np.fill_diagonal(correlation, 0.0)
    squares = float((correlation**2).sum())
    pairs = len(variance) * (len(variance) - 1)
    error = (pairs + squares) / (count - 1)
    correlations = 1.0 if error >= squares else error / squares
    correlation *= 1 - correlations
    np.fill_diagonal(correlation, 1.0)
    root = np.sqrt(np.maximum(shrunk, _TINY * mean))
    inverse = np.linalg.inv(correlation) / np.outer(root, root)
    return Shrunk((inverse + inverse.T) / 2, root / deviation * (variance > 0), correlations, variances)
