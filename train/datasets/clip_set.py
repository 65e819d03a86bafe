"""Labelled clips as the papers' networks see them, in memory or mapped from a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ClipSet:
    """N clips of one dataset, or of several together.

    Attributes:
        name: of the dataset, such as "ntu60" or "utd_mhad".
        classes: names of the C classes, in the dataset's own order.
        clips: (N, 3, 50, 25, M) float32 as `models.frame50` makes them, M = 1 or 2; may be a read-only memory map.
        labels: (N,) int64, rows of `classes`.
        subjects, cameras, setups: (N,) strings; "" where the dataset does not say.
        names: (N,) strings that name the clips in messages.
    """

    name: str
    classes: tuple[str, ...]
    clips: NDArray[Any]
    labels: NDArray[np.int64]
    subjects: NDArray[np.str_]
    cameras: NDArray[np.str_]
    setups: NDArray[np.str_]
    names: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)
