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
class _Claims:
    """What the K known actions of one vocabulary say of C columns.

    Attributes:
        actions: where they are among all known actions.
        meaning: (K, C) how far each means each column; the nearest one does by 1.
        share: (C,) how much of the similarity is theirs.
        trust: (C,) how far the nearest is to be believed.
    """

    actions: slice | NDArray[np.int64]
    meaning: Float32Array
    share: Float32Array
    trust: Float32Array


def _at_most_one(sums: Float32Array) -> Float32Array:
    """Sums of rounded numbers, in place: they may lie a hair above 1, which is looked for faster than it is mended."""
    return np.minimum(sums, 1, out=sums) if sums.max(initial=0) > 1 else sums


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
        claims = self._claims(likeness(columns, self.bank))

        def score(features: Float32Array) -> tuple[Float32Array, Float32Array]:
            # One product for both, as they differ by factors of the columns alone; in place, as it is many numbers.
            surest = features[:, claims[0].actions] @ claims[0].meaning
            similarity = surest * claims[0].share
            surest *= claims[0].trust
            room = np.empty_like(surest)
            for claim in claims[1:]:
                meant = features[:, claim.actions] @ claim.meaning
                similarity += np.multiply(meant, claim.share, out=room)
                meant *= claim.trust
                np.maximum(surest, meant, out=surest)
            return _at_most_one(similarity), _at_most_one(surest)

        return score

    def usual(self, columns: Sequence[Float32Array]) -> Float32Array:
        """See `Head`: what the column scores on average; a column that is often a little likely is chosen less."""
        claims = self._claims(likeness(columns, self.bank))
        expected = np.sum([self.average[claim.actions] @ claim.meaning * claim.share for claim in claims], axis=0)
        return np.asarray(expected + SMALLEST_AVERAGE, np.float32)

    def _claims(self, cosine: Float32Array) -> list[_Claims]:
        """What each vocabulary says of columns whose cosines with the known actions are these, (C, K)."""
        groups = [np.flatnonzero(self.vocabulary == number) for number in np.unique(self.vocabulary)]
        nearest = np.stack([cosine[:, group].max(axis=1) for group in groups], axis=1)
        share = shares(nearest)
        claims = []
        for group, near, part in zip(groups, nearest.T, share.T, strict=True):
            meaning = np.exp((cosine[:, group] - near[:, None]) / TEMPERATURE)
            together = slice(group[0], group[-1] + 1) if group[-1] - group[0] == len(group) - 1 else group
            trust = self.trust.weight(near)
            claims.append(_Claims(together, np.ascontiguousarray(meaning.T), np.ascontiguousarray(part), trust))
        return claims
