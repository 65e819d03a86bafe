"""All figures of labelled clips: which of them are anomalies, by texts and by what is normal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.anomaly import metrics
from train.anomaly.folds import Fold, folds_of
from train.anomaly.scenes import Scene
from train.anomaly.scoring import KINDS, Scored, Sight, thresholds, together

BoolArray = NDArray[np.bool_]


class NotJudgeable(ValueError):
    """The labels leave nothing to judge: one line that says what is wrong and what was expected."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is an anomaly among N clips, and what is known to be normal.

    Attributes:
        positive: (N,) the anomalies.
        normal: (N,) the clips that may teach what is normal.
        folds: who may teach for whom.
        by: "people" or "clips", what the folds divide.
    """

    positive: BoolArray
    normal: BoolArray
    folds: tuple[Fold, ...]
    by: str

    @classmethod
    def of(cls, scenes: Sequence[Scene], positive: Collection[str], normal: Collection[str] = ()) -> Task:
        """The task of telling clips of some labels from all others.

        Args:
            scenes: the clips.
            positive: labels of anomalies.
            normal: labels of what is normal; () takes all that are not positive.

        Raises:
            NotJudgeable: a label is not there, is both, or there are not some clips of each kind.
        """
        labels = [scene.label for scene in scenes]
        known = sorted(set(labels))
        for flag, names in (("--positive", positive), ("--normal-from", normal)):
            if unknown := [name for name in names if name not in known]:
                listed = ", ".join(repr(label[:80]) for label in known)
                raise NotJudgeable(f"{flag}: no clip is labelled {unknown[0]!r}; its labels are {listed}")
        if twice := sorted(set(positive) & set(normal)):
            raise NotJudgeable(f"{twice[0]!r} is given as --positive and as --normal-from; expected one of them")
        hits = np.array([label in set(positive) for label in labels])
        teach = np.array([label in set(normal) for label in labels]) if normal else ~hits
        if hits.all() or not hits.any():
            kind = "all" if hits.all() else "none"
            raise NotJudgeable(f"{kind} of its {len(labels)} clips are positive; expected some clips of other labels")
        try:
            folds, by = folds_of([scene.subject for scene in scenes], scenes[0].people, teach)
        except ValueError as error:
            raise NotJudgeable(str(error)) from error
        return cls(hits, teach, tuple(folds), by)


def score(task: Task, sights: Sequence[Sight]) -> Scored:
    """Scores of the N clips: the highest of its windows, by one encoder or by several together."""
    count = len(task.positive)
    return together([one.scored(task.folds, task.normal).per_clip(one.windows, count) for one in sights])


def figures(scored: Scored, task: Task, judged: BoolArray | None = None) -> dict[str, Any]:
    """What the scores of N clips are worth.

    Args:
        scored: of the clips.
        task: which of them are what.
        judged: (N,) the clips that the figures are of; None for all.

    Returns:
        "auroc", "ap", "eer_accuracy", "accuracy" and "balanced_accuracy" (at `thresholds`, which need no anomalies),
        "threshold" (their median), all of the product; "by_score" and "ap_by_score", for each of the three;
        "clips", "positives", "normal_clips", "folds".
    """
    kept = np.ones(len(task.positive), bool) if judged is None else judged
    limits = thresholds(scored.product, task.folds, task.normal)[kept]
    scored, positive = scored.rows(kept), task.positive[kept]
    return {
        **ranking(scored, positive),
        "accuracy": metrics.accuracy(scored.product, positive, limits),
        "balanced_accuracy": metrics.balanced_accuracy(scored.product, positive, limits),
        "threshold": float(np.median(limits)),
        "clips": len(positive),
        "positives": int(positive.sum()),
        "normal_clips": int(task.normal.sum()),
        "folds": {"by": task.by, "count": len(task.folds)},
    }


def ranking(scored: Scored, positive: BoolArray) -> dict[str, Any]:
    """What scores are worth at whatever threshold: "auroc", "ap", "eer_accuracy", "by_score" and "ap_by_score"."""
    return {
        "auroc": metrics.auroc(scored.product, positive),
        "ap": metrics.average_precision(scored.product, positive),
        "by_score": {kind: metrics.auroc(scored[kind], positive) for kind in KINDS},
        "ap_by_score": {kind: metrics.average_precision(scored[kind], positive) for kind in KINDS},
        "eer_accuracy": metrics.equal_error(scored.product, positive),
    }


def per_label(
    scored: Scored, scenes: Sequence[Scene], task: Task, judged: BoolArray | None = None
) -> dict[str, dict[str, float]]:
    """For each label its clips, their median product, and the share of them at or over the threshold."""
    kept = np.ones(len(task.positive), bool) if judged is None else judged
    over = (scored.product >= thresholds(scored.product, task.folds, task.normal))[kept]
    labels = np.array([scene.label for scene in scenes])[kept]
    product = scored.product[kept]
    return {
        label: {
            "clips": count,
            "product": float(np.median(product[labels == label])),
            "alarms": float(over[labels == label].mean()),
        }
        for label, count in sorted(Counter(labels.tolist()).items())
    }
