"""Anomaly scores of scenes, by models of what is normal that never saw the people whom they judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly import AnomalyEncoder, AnomalyScorer
from models.normal import NormalModel
from train.anomaly.encoding import Windows
from train.anomaly.folds import Fold

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
KINDS = ("ood", "prompt", "product")
USUAL = 0.95
"""Share of what is normal that stays under a threshold chosen without anomalies."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The three scores of N items, each (N,) float64 in 0..1: eqs. 2, 3 and 1 of Sato et al."""

    ood: FloatArray
    prompt: FloatArray
    product: FloatArray

    def __getitem__(self, kind: str) -> FloatArray:
        """The scores of one of `KINDS`."""
        found: FloatArray = getattr(self, kind)
        return found

    def rows(self, kept: BoolArray) -> Scored:
        """Those of some of the items."""
        return Scored(self.ood[kept], self.prompt[kept], self.product[kept])

    def per_clip(self, windows: Windows, count: int) -> Scored:
        """Of windows, the highest in each of so many clips."""
        return Scored(*(windows.highest(self[kind], count) for kind in KINDS))


@dataclass(frozen=True, slots=True)
class Sight:
    """An encoder, the prompts as it takes them, and the W windows that it made.

    Attributes:
        encoder: see `models.anomaly`.
        prompts: what its `prompts` returned.
        windows: of the clips.
    """

    encoder: AnomalyEncoder
    prompts: object
    windows: Windows

    def scored(self, folds: Sequence[Fold], normal: BoolArray) -> Scored:
        """The scores of its windows (W,).

        Args:
            folds: of the N clips that the windows are from.
            normal: (N,) the clips that may teach what is normal.

        Raises:
            ValueError: fewer than two windows are normal, for somebody.
        """
        return self.scored_windows(folds, normal[self.windows.clip])

    def scored_windows(self, folds: Sequence[Fold], normal: BoolArray) -> Scored:
        """The same by which windows (W,) may teach."""
        rows = self.windows.clip
        found = {kind: np.zeros(len(rows)) for kind in KINDS}
        for fold in folds:
            judged = fold.judged[rows]
            if judged.any():
                known = self.windows.rows(fold.others[rows] & normal)
                scores = scored_by(self.encoder, self.prompts, known, self.windows.rows(judged))
                for kind in KINDS:
                    found[kind][judged] = scores[kind]
        return Scored(**found)


def scored_by(encoder: AnomalyEncoder, prompts: object, normal: Windows, windows: Windows) -> Scored:
    """Scores of windows (W,), by others of what is normal; where nobody is seen, they are 0.

    Where there is room for several people, each person of a window is scored as well, by what is normal for one, and
    the highest counts: whatever an encoder makes of all of them together, it must not hide what one does.

    Raises:
        ValueError: fewer than two are normal.
    """
    there = normal.seen.any(axis=1)
    if int(there.sum()) < 2:
        raise ValueError(f"{int(there.sum())} windows of what is normal; expected two or more")
    scene = _scores(encoder, prompts, normal.scene[there], windows.scene)
    scene = {kind: windows.seen.any(axis=1) * values for kind, values in scene.items()}
    if windows.seen.shape[1] == 1:
        return Scored(**scene)
    persons = _scores(encoder, prompts, normal.persons[normal.seen], windows.persons.reshape(-1, encoder.dim))
    each = {kind: (windows.seen * values.reshape(windows.seen.shape)).max(axis=1) for kind, values in persons.items()}
    return Scored(**{kind: np.maximum(scene[kind], each[kind]) for kind in KINDS})


def _scores(
    encoder: AnomalyEncoder, prompts: object, normal: Float32Array, features: Float32Array
) -> dict[str, FloatArray]:
    """The scores of features (N, F), by those of what is normal, at least two."""
    model = NormalModel(encoder.dim)
    model.add(normal)
    scores = AnomalyScorer.of(encoder, prompts, model)(features)
    ood = np.ones(len(features)) if scores.ood is None else scores.ood
    found = zip(KINDS, (ood, scores.prompt, scores.product), strict=True)
    return {kind: np.asarray(values, np.float64) for kind, values in found}


def together(scored: Sequence[Scored]) -> Scored:
    """Scores of several encoders as one: the means of what they say, and the mean of their products."""
    return Scored(*(np.mean([one[kind] for one in scored], axis=0) for kind in KINDS))


def thresholds(scores: FloatArray, folds: Sequence[Fold], normal: BoolArray) -> FloatArray:
    """For each of N clips the score under which `USUAL` of what is normal lies, by other people's normal clips only."""
    found = np.zeros(len(scores))
    for fold in folds:
        found[fold.judged] = np.quantile(scores[fold.others & normal], USUAL)
    return found
