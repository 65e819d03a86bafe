"""Clips named by a few examples of each label, by people who are in none of the examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.examples import mean_of
from train.judging.spread import summary
from train.routing import balanced_top

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
SHOTS = (1, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class Division:
    """The people of one seed in two halves.

    Attributes:
        kept: the labels, as indices in their alphabetical order, that both halves do.
        examples: for each of them the clips of the half that gives examples, in a random order.
        rows: the clips to judge, of the other half.
        columns: whose label each of them has, an index in `kept`.
    """

    kept: tuple[int, ...]
    examples: tuple[IntArray, ...]
    rows: IntArray
    columns: tuple[int, ...]


def divide(labels: Sequence[str], subjects: Sequence[str], *, seeds: int) -> list[Division]:
    """Divide the people at random, once for each seed; half of them (rounded down) give the examples.

    Args:
        labels, subjects: (N,) of each clip; one whose subject is "" is left out.
        seeds: how many divisions.

    Raises:
        ValueError: there are fewer than two people, or fewer than two labels that both halves do.
    """
    people = sorted(set(subjects) - {""})
    if len(people) < 2:
        raise ValueError(
            f"subjects in it: {len(people)}; expected at least two, since examples and what is judged by them must be "
            "of different people"
        )
    names = sorted(set(labels))
    truth = np.array([names.index(label) for label in labels])
    owner = np.array([people.index(subject) if subject else -1 for subject in subjects])
    divisions = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        giving = np.isin(owner, rng.permutation(len(people))[: len(people) // 2])
        asking = ~giving & (owner >= 0)
        examples = [rng.permutation(np.flatnonzero(giving & (truth == label))) for label in range(len(names))]
        kept = tuple(n for n, found in enumerate(examples) if len(found) and (asking & (truth == n)).any())
        if len(kept) < 2:
            raise ValueError(
                f"{len(kept)} labels are done by both halves of its {len(people)} subjects (seed {seed}); expected at "
                "least two"
            )
        rows = np.flatnonzero(asking & np.isin(truth, kept))
        columns = tuple(kept.index(label) for label in truth[rows].tolist())
        divisions.append(Division(kept, tuple(examples[label] for label in kept), rows, columns))
    return divisions


def judge(embeddings: Float32Array, labels: Sequence[str], divisions: Sequence[Division]) -> dict[str, Any]:
    """Accuracy of the nearest class mean of 1, 3, 5 and 10 examples.

    The first examples are among those of the larger numbers; a label with fewer examples has what there is.

    Args:
        embeddings: (N, E) unit vectors of the clips.
        labels: (N,) of each clip.
        divisions: see `divide`.

    Returns:
        "shots" (number of examples to mean and standard deviation over the seeds), "n", "labels", "seeds", and for each
        seed the number of clips "judged" and of labels "left_out".
    """
    accuracy: dict[int, list[float]] = {shots: [] for shots in SHOTS}
    for one in divisions:
        for shots in SHOTS:
            means = np.stack([mean_of(embeddings[rows[:shots]]) for rows in one.examples])
            accuracy[shots].append(balanced_top(embeddings[one.rows] @ means.T, one.columns))
    names = set(labels)
    return {
        "shots": {str(shots): summary(values) for shots, values in accuracy.items()},
        "n": len(labels),
        "labels": len(names),
        "seeds": len(divisions),
        "judged": [len(one.rows) for one in divisions],
        "left_out": [len(names) - len(one.kept) for one in divisions],
    }
