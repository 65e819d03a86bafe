"""Clips named by text alone: which of the labels' descriptions fits best, and whether a model knows that none does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.heads import BankHead, columns_of, familiarity
from models.prototypes import OnlinePrototypes
from train.judging.clips import ClipEncoder, Encoded
from train.judging.spread import resampled, summary
from train.judging.texts import Texts
from train.routing import balanced_top

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
Embed = Callable[[Sequence[str]], Float32Array]
ACCEPTED = 0.8
"""Share of the clips of prompted labels that must be accepted where rejection of the others is measured."""


class Adapter(Protocol):
    """Learns from the clips that it scores, without their labels, in the order in which it meets them."""

    def adapt(self, similarity: Float32Array, embedding: Float32Array) -> Float32Array:
        """Similarities (C,) and the unit embedding (E,) of one clip to scores (C,): predicts before it learns."""
        ...


class Aligned:
    """Online prototypes as an adapter: the labels are all that there is, so that their scores are made to add to 1.

    Args:
        prototypes: that have met nothing.
    """

    def __init__(self, prototypes: OnlinePrototypes) -> None:
        self._prototypes = prototypes

    def adapt(self, similarity: Float32Array, embedding: Float32Array) -> Float32Array:
        """See `Adapter`."""
        positive = np.maximum(similarity, 0)
        total = max(float(positive.sum()), 1e-9)
        return self._prototypes.adapt((positive / total).astype(np.float32), embedding)


def judge(
    encoded: Encoded,
    encoder: ClipEncoder,
    texts: Texts,
    embed: Embed,
    *,
    seeds: int,
    adapter: Callable[[], Adapter] | None = None,
) -> dict[str, Any]:
    """All figures of zero-shot recognition.

    Args:
        encoded: the clips.
        encoder: what encoded them.
        texts: descriptions of every label among the clips.
        embed: gives the unit vectors of texts.
        seeds: random halves of the labels for abstaining, and random orders of the clips for an adapter.
        adapter: makes one that has met nothing, for each order; the figures are then means over the orders, the
            confusion that of the first, and "plain" has those without it.

    Returns:
        "top1", "top3", "n", "per_class", "confusion" (label to what its clips were called), "spread" (standard
        deviation over resampled people), "familiarity", "prompts", "seeds", and "abstain" (None for fewer than 4
        labels): the share of clips of prompted labels that is accepted by the highest probability, that of other
        labels' clips rejected, and how many of the accepted ones of prompted labels are named rightly.
    """
    labels = list(texts)
    columns = columns_of(encoder.head, list(texts.values()), embed)
    meant, bank = _meant(list(texts.values()), [action.texts for action in encoder.bank], embed)
    similarity, probability = encoder.head.scorer(columns)(encoded.features)
    plain = encoded.per_clip(similarity) / encoder.head.usual(columns)
    truth = np.array([labels.index(label) for label in encoded.labels])
    scores = [plain]
    extra: dict[str, Any] = {}
    if adapter is not None:
        embeddings = encoded.embeddings(encoder)
        # Shares are what prototypes refine; a method's similarities have no zero, and are none.
        shares = plain if isinstance(encoder.head, BankHead) else encoded.per_clip(probability)
        scores = [_adapted(shares, embeddings, adapter(), seed) for seed in range(seeds)]
        extra["plain"] = _tops(plain, truth)
        extra["plain_per_class"] = {
            label: balanced_top(plain[truth == column], truth[truth == column].tolist())
            for column, label in enumerate(labels)
        }
        extra["orders"] = {k: summary([_tops(one, truth)[k] for one in scores]) for k in extra["plain"]}
    tops = [_tops(one, truth) for one in scores]
    classes = {label: truth == column for column, label in enumerate(labels)}
    return {
        "top1": float(np.mean([one["top1"] for one in tops])),
        "top3": float(np.mean([one["top3"] for one in tops])),
        "n": len(truth),
        "per_class": {
            label: float(np.mean([balanced_top(one[rows], truth[rows]) for one in scores]))
            for label, rows in classes.items()
        },
        "confusion": _confusion(scores[0], truth, labels),
        "spread": resampled(encoded.subjects, lambda rows: _tops(scores[0][rows], truth[rows])),
        **extra,
        "abstain": _abstain(encoded, encoder, columns, truth, seeds),
        "familiarity": dict(zip(labels, familiarity(meant, bank).tolist(), strict=True)),
        "prompts": {label: list(given) for label, given in texts.items()},
        "seeds": seeds,
    }


def _meant(
    texts: Sequence[Sequence[str]], bank: Sequence[Sequence[str]], embed: Embed
) -> tuple[list[Float32Array], list[Float32Array]]:
    """Unit vectors of the whole texts of each prompt, and of each known action."""
    every = list(dict.fromkeys(text for group in (*texts, *bank) for text in group))
    vectors = dict(zip(every, embed(every), strict=True))
    both = [np.stack([vectors[text] for text in group]) for group in (*texts, *bank)]
    return both[: len(texts)], both[len(texts) :]


def _tops(scores: Float32Array, truth: IntArray) -> dict[str, float]:
    return {"top1": balanced_top(scores, truth.tolist()), "top3": balanced_top(scores, truth.tolist(), 3)}


def _confusion(scores: Float32Array, truth: IntArray, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """How often clips of each label were called what."""
    called = scores.argmax(axis=1)
    found = {}
    for column, label in enumerate(labels):
        counts = Counter(called[truth == column].tolist())
        found[label] = {labels[other]: count for other, count in sorted(counts.items())}
    return found


def _adapted(similarity: Float32Array, embeddings: Float32Array, adapter: Adapter, seed: int) -> Float32Array:
    """What an adapter makes of all clips, met in a random order: archives have the clips of a label together."""
    scores = np.empty_like(similarity)
    for row in np.random.default_rng(seed).permutation(len(similarity)).tolist():
        scores[row] = adapter.adapt(similarity[row], embeddings[row])
    return scores


def _abstain(
    encoded: Encoded, encoder: ClipEncoder, columns: Sequence[Float32Array], truth: IntArray, seeds: int
) -> dict[str, Any] | None:
    """How well the highest probability tells clips of prompted labels from others, over random halves of the labels."""
    if len(columns) < 4:
        return None
    rows: dict[str, list[float]] = {"accepted": [], "rejected": [], "right": [], "threshold": []}
    for seed in range(seeds):
        prompted = np.random.default_rng(seed).permutation(len(columns))[: len(columns) // 2]
        scorer = encoder.head.scorer([columns[column] for column in prompted])
        probability = encoded.per_clip(scorer(encoded.features)[1])
        highest = probability.max(axis=1)
        inside = np.isin(truth, prompted)
        most_first = np.sort(highest[inside])[::-1]
        threshold = most_first[max(int(np.ceil(ACCEPTED * len(most_first))) - 1, 0)]
        taken = highest >= threshold
        right = prompted[probability.argmax(axis=1)] == truth
        rows["accepted"].append(float(taken[inside].mean()))
        rows["rejected"].append(float((~taken)[~inside].mean()))
        rows["right"].append(float(right[inside & taken].mean()))
        rows["threshold"].append(float(threshold))
    return {name: summary(values) for name, values in rows.items()}
