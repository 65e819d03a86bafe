"""Vectors of the actions' sentences, and the draw of one per window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.text import Embedder
from train.datasets.labels import Action

Float32Array = NDArray[np.float32]


class ActionTexts:
    """Vectors of all sentences of all actions.

    Args:
        actions: K actions.
        embedder: frozen text model.

    Attributes:
        bank: (K, D) float32, each action's first sentence.
    """

    def __init__(self, actions: tuple[Action, ...], embedder: Embedder) -> None:
        self._vectors = embedder.embed([text for action in actions for text in action.texts])
        self._counts = np.array([len(action.texts) for action in actions])
        self._starts = np.cumsum(self._counts) - self._counts
        self.bank: Float32Array = self._vectors[self._starts]

    def draw(self, actions: NDArray[np.int64], rng: np.random.Generator) -> Float32Array:
        """One sentence's vector for each of N windows, (N, D); every second one is the bank's."""
        place = rng.integers(0, self._counts[actions])
        place[rng.random(len(actions)) < 0.5] = 0
        drawn: Float32Array = self._vectors[self._starts[actions] + place]
        return drawn
