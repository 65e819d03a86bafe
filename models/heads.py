"""How features become scores of prompts: by routing through known actions, or by a method of `models.methods`.

Both take the texts of columns (prompts first, then what they compete with) and give a scorer for features. The
methods' head is in `models.method_head`; here, numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.routing import TEMPERATURE, likeness, shares

Float32Array = NDArray[np.float32]


SMALLEST_AVERAGE = 0.01
"""Added to what a column scores on average: rare ones would win by their rarity alone."""


class Scorer(Protocol):
    """Scores N windows against C columns."""

    def __call__(self, features: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Features (N, F) to similarities and probabilities, each (N, C) float32."""
        ...


class Head(Protocol):
    """Makes scorers."""

    @property
    def digest(self) -> str:
        """Changes whenever a score could."""
        ...

    @property
    def unknown_below(self) -> float:
        """Cosine to the nearest known action under which a prompt counts as unknown."""
        ...

    def facet_texts(self, text: str) -> tuple[str, ...]:
        """What is embedded of a text: itself, or F parts of it, the same number for each text."""
        ...

    def scorer(self, columns: Sequence[Float32Array]) -> Scorer:
        """A scorer for C columns, each given by the unit vectors of what is embedded of its texts, (its number * F, D).

        See `columns_of`.
        """
        ...

    def usual(self, columns: Sequence[Float32Array]) -> Float32Array:
        """What each column's similarity is divided by, (C,), where one of the columns must be chosen."""
        ...


def columns_of(
    head: Head, groups: Sequence[Sequence[str]], embed: Callable[[Sequence[str]], Float32Array]
) -> list[Float32Array]:
    """What `Head.scorer` takes for groups of texts, one column each; every text is embedded once.

    Args:
        head: which says what is embedded of a text.
        groups: the texts of each column, one or more.
        embed: texts to unit vectors (K, D).
    """
    parts = [[part for text in group for part in head.facet_texts(text)] for group in groups]
    every = list(dict.fromkeys(part for group in parts for part in group))
    vectors = dict(zip(every, embed(every), strict=True))
    return [np.stack([vectors[part] for part in group]) for group in parts]


def familiarity(columns: Sequence[Float32Array], bank: Sequence[Float32Array]) -> Float32Array:
    """For each column the cosine of the known action nearest in meaning, (C,); -1 without any."""
    if not len(columns) or not len(bank):
        return np.full(len(columns), -1.0, np.float32)
    nearest: Float32Array = likeness(columns, bank).max(axis=1)
    return nearest


@dataclass(frozen=True, slots=True)
class Trust:
    """What a text's nearness to the known actions is worth; measured on labels that were not trained on.

    Attributes:
        cosines: increasing, of the nearest known action.
        weights: for each, how far a score is to be believed, 0..1; linear between, constant beyond.
        unknown_below: cosine under which a prompt counts as unknown.
    """

    cosines: tuple[float, ...]
    weights: tuple[float, ...]
    unknown_below: float

    def weight(self, cosine: Float32Array) -> Float32Array:
        """How far to believe the scores of texts whose nearest known action is this near."""
        trusted: Float32Array = np.interp(cosine, self.cosines, self.weights).astype(np.float32)
        return trusted


@dataclass(frozen=True, slots=True)
class BankHead:
    """Features begin with the probabilities of K known actions, which are carried over to the columns by their texts.

    The actions may be of several vocabularies, whose probabilities add to 1 each. A column's similarity is its share of
    all of them, for choosing between columns. Its probability is what the vocabulary says that is surest of it: the
    mass of the actions that it means, an action wholly recognised that is nearest to it in meaning giving 1, times the
    trust in that nearness. Columns that mean nothing of what is seen stay near 0, whatever the others are: nothing has
    to compete.

    Attributes:
        bank: for each known action the unit vectors of its texts.
        vocabulary: (K,) number of each action's vocabulary.
        trust: see `Trust`.
        average: (K,) mean probability of each action over windows of all kinds.
    """

    bank: tuple[Float32Array, ...]
    vocabulary: NDArray[np.int64]
    trust: Trust
    average: Float32Array

    @property
    def digest(self) -> str:
        """See `Head`."""
        return sha256(
            np.concatenate(self.bank).tobytes()
            + repr((self.vocabulary.tolist(), self.trust, self.average.tolist())).encode()
        ).hexdigest()

    @property
    def unknown_below(self) -> float:
        """See `Head`."""
        return self.trust.unknown_below

    def facet_texts(self, text: str) -> tuple[str, ...]:
        """See `Head`: texts are taken whole."""
        return (text,)

    def scorer(self, columns: Sequence[Float32Array]) -> Scorer:
        """See `Head`."""
        cosine = likeness(columns, self.bank)
        routes, known = self._routes(cosine), len(self.bank)
        claims = []
        for number in np.unique(self.vocabulary):
            inside = self.vocabulary == number
            nearest = cosine[:, inside].max(axis=1)
            claim = np.zeros_like(cosine)
            claim[:, inside] = np.exp((cosine[:, inside] - nearest[:, None]) / TEMPERATURE)
            claims.append((claim * self.trust.weight(nearest)[:, None]).T)  # (K, C)

        def score(features: Float32Array) -> tuple[Float32Array, Float32Array]:
            posterior = features[:, :known]
            surest = np.max([posterior @ claim for claim in claims], axis=0)
            # Sums of rounded numbers may lie a hair outside of 0..1.
            return np.clip(posterior @ routes, 0, 1), np.clip(surest, 0, 1).astype(np.float32)

        return score

    def usual(self, columns: Sequence[Float32Array]) -> Float32Array:
        """See `Head`: what the column scores on average; a column that is often a little likely is chosen less."""
        expected: Float32Array = self.average @ self._routes(likeness(columns, self.bank)) + SMALLEST_AVERAGE
        return expected

    def _routes(self, cosine: Float32Array) -> Float32Array:
        """How much of each action's probability counts for each column, (K, C)."""
        share = shares(cosine)
        groups = [np.flatnonzero(self.vocabulary == number) for number in np.unique(self.vocabulary)]
        most = np.sum([share[:, group].max(axis=1) for group in groups], axis=0)
        return np.asarray((share / most[:, None]).T, np.float32)
