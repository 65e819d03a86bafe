"""What an experiment learns from, selects by, and is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLED = 16
"""Clips of a part that its digest is of."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Clips, or their features, with what is done in them.

    Attributes:
        inputs: (N, 3, 50, 25, M) float32 clips as `models.frame50` makes them, or (N, 256) float32 features; may be a
            memory map or `train.papers.divide.Rows`. Index it by increasing rows.
        labels: (N,) int64, rows of the division's classes.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """One dataset under one protocol: which classes are seen, and who is learned from.

    Attributes:
        dataset, split: names.
        classes: names of all C classes.
        seen, unseen: indices of classes; disjoint, increasing.
        train: of seen classes, of the people (cameras, setups) to learn from.
        validation: of seen classes, held out from those: what models are selected by.
        test_seen, test_unseen: of the people (cameras, setups) to test on.
        rehearsal: a division of other features, in which some of the seen classes play the unseen ones and were not
            seen by the encoder either; what a gate is fitted on (see `train.papers.generalised`), where it is given.
    """

    dataset: str
    split: str
    classes: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    train: Part
    validation: Part
    test_seen: Part
    test_unseen: Part
    rehearsal: Division | None = None

    @property
    def digest(self) -> str:
        """Tells this division from others of the same name: of all labels, and of a few clips of each part."""
        digest = sha256(repr((self.classes, self.seen, self.unseen)).encode())
        for part in (self.train, self.validation, self.test_seen, self.test_unseen):
            rows = np.unique(np.linspace(0, max(len(part) - 1, 0), SAMPLED if len(part) else 0).astype(np.int64))
            digest.update(part.labels.tobytes() + np.ascontiguousarray(part.inputs[rows]).tobytes())
        return digest.hexdigest()[:16]


def local_labels(part: Part, classes: Sequence[int]) -> NDArray[np.int64]:
    """Labels (N,) of a part as places in `classes`, which are increasing and among which they are."""
    return np.searchsorted(np.array(classes), part.labels)
