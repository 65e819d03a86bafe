"""Generalised zero-shot recognition: whether a clip is of a seen or of an unseen class, and how right that is.

Source: the gate of SynSE (Gupta et al., ICIP 2021): logistic regression on the sorted probabilities of a zero-shot
method over the unseen classes and those of a supervised classifier over the seen ones, the latter softened by a
temperature. It is fitted on held-out clips of seen classes some of which are treated as unseen, never on test clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from stream.errors import PosewireError

Floats = NDArray[np.float32] | NDArray[np.float64]
Ids = NDArray[np.int64]
TEMPERATURES = tuple(range(1, 10))
"""Of the seen part: those that SynSE tries."""
FOLDS = 5
"""Parts of the clips; a temperature is judged on each by what the others gave."""


class GateError(PosewireError):
    """A gate cannot be fitted, or is asked about scores of the wrong shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A fitted gate.

    Attributes:
        temperature: what logits of seen classes are divided by.
        top: how many of the highest probabilities of either part are looked at.
        weight: (2 * top,), of the unseen part's probabilities, then of the seen part's, each from the highest.
        bias: a clip counts as unseen where weight times probabilities plus bias is positive.
    """

    temperature: float
    top: int
    weight: NDArray[np.float64]
    bias: float

    def unseen(self, seen_logits: Floats, unseen_scores: Floats) -> NDArray[np.bool_]:
        """Whether each clip is of an unseen class, (N,).

        Args:
            seen_logits: (N, S) of a classifier of the seen classes, before its softmax.
            unseen_scores: (N, U) of a zero-shot method; their softmax is its probabilities, so that log-probabilities
                stay what they are.

        Raises:
            GateError: the shapes do not fit each other, or there are fewer than `top` classes of either kind.
        """
        _check(seen_logits, unseen_scores)
        if min(seen_logits.shape[1], unseen_scores.shape[1]) < self.top:
            raise GateError(
                f"gate: scores of {seen_logits.shape[1]} seen and {unseen_scores.shape[1]} unseen classes, "
                f"expected at least {self.top} of either"
            )
        inputs = _inputs(seen_logits, unseen_scores, self.temperature, self.top)
        found: NDArray[np.bool_] = inputs @ self.weight + self.bias > 0
        return found

    def classify(self, seen_logits: Floats, unseen_scores: Floats, seen: Ids, unseen: Ids) -> Ids:
        """The class of each clip, (N,): the likeliest of the kind that the gate says.

        Args:
            seen_logits, unseen_scores: as in `unseen`.
            seen, unseen: ids of the classes, (S,) and (U,), in the order of the scores.

        Raises:
            GateError: as in `unseen`, or there are not as many ids as scores.
        """
        _check(seen_logits, unseen_scores, seen, unseen)
        new = self.unseen(seen_logits, unseen_scores)
        named: Ids = np.where(new, unseen[unseen_scores.argmax(axis=1)], seen[seen_logits.argmax(axis=1)])
        return named


def fit_gate(seen_logits: Floats, unseen_scores: Floats, is_unseen: NDArray[np.bool_], top: int | None = None) -> Gate:
    """Fit a gate on clips whose kind is known.

    SynSE's way: held-out clips of seen classes, some of which were kept from the classifier and the method and play the
    unseen ones. The temperature is the one of `TEMPERATURES` that tells most clips rightly apart in cross-validation
    over `FOLDS` parts; of equals, the lowest.

    Args:
        seen_logits: (N, S).
        unseen_scores: (N, U), as in `Gate.unseen`.
        is_unseen: (N,) whether a clip is of a class that plays an unseen one.
        top: how many of the highest probabilities of either part are looked at; the same in use, so that no more than
            there are classes of either kind then. None: as many as U, or S where that is fewer.

    Raises:
        GateError: shapes do not fit, `top` is out of range, or one of both kinds has no clip.
    """
    _check(seen_logits, unseen_scores)
    most = min(seen_logits.shape[1], unseen_scores.shape[1])
    top = most if top is None else top
    if not 1 <= top <= most:
        raise GateError(f"gate: top {top}: expected 1 to {most}, the number of classes of the smaller kind")
    if is_unseen.shape != (len(seen_logits),):
        raise GateError(f"gate: {len(seen_logits)} clips, but {is_unseen.shape} marks of unseen: expected one each")
    if is_unseen.all() or not is_unseen.any():
        raise GateError("gate: all clips are of one kind: expected clips of seen and of unseen classes")
    scored = []
    for temperature in TEMPERATURES:
        inputs = _inputs(seen_logits, unseen_scores, temperature, top)
        scored.append((_cross_validated(inputs, is_unseen), -temperature))
    temperature = -max(scored)[1]
    weight, bias = _regression(_inputs(seen_logits, unseen_scores, temperature, top), is_unseen)
    return Gate(float(temperature), top, weight, bias)


def ungated(scores: Floats) -> Ids:
    """The class of each clip, (N,), without a gate: the highest of the method's own scores (N, K) over all classes."""
    named: Ids = scores.argmax(axis=1)
    return named


def generalised(predicted: Ids, truth: Ids, seen: Ids) -> dict[str, float]:
    """Accuracies of generalised zero-shot recognition, 0..1.

    As the skeleton papers have it, an accuracy is the share of clips named rightly, not a mean over classes: "seen" of
    the clips whose class is among `seen`, "unseen" of the others, "harmonic" the harmonic mean of both, 0 where either
    is 0. Of a kind without clips it is 0.

    Args:
        predicted, truth: (N,) class ids.
        seen: (S,) ids of the seen classes.
    """
    right, of_seen = predicted == truth, np.isin(truth, seen)
    known = float(right[of_seen].mean()) if of_seen.any() else 0.0
    new = float(right[~of_seen].mean()) if not of_seen.all() else 0.0
    return {"seen": known, "unseen": new, "harmonic": 2 * known * new / (known + new) if known + new else 0.0}


def _check(seen_scores: Floats, unseen_scores: Floats, seen: Ids | None = None, unseen: Ids | None = None) -> None:
    if seen_scores.ndim != 2 or unseen_scores.ndim != 2 or len(seen_scores) != len(unseen_scores):
        raise GateError(
            f"gate: scores of shapes {seen_scores.shape} and {unseen_scores.shape}, expected (N, S) and (N, U)"
        )
    for scores, ids, kind in ((seen_scores, seen, "seen"), (unseen_scores, unseen, "unseen")):
        if not scores.shape[1] or (ids is not None and len(ids) != scores.shape[1]):
            count = "some" if ids is None else len(ids)
            raise GateError(f"gate: scores of {scores.shape[1]} {kind} classes, expected {count}")


def _inputs(seen_logits: Floats, unseen_scores: Floats, temperature: float, top: int) -> NDArray[np.float64]:
    """(N, 2 * top): the highest probabilities of the unseen part and of the seen part, each from the highest."""
    parts = [np.asarray(unseen_scores, np.float64), np.asarray(seen_logits, np.float64) / temperature]
    return np.concatenate([-np.sort(-softmax(part, axis=1), axis=1)[:, :top] for part in parts], axis=1)


def _cross_validated(inputs: NDArray[np.float64], is_unseen: NDArray[np.bool_]) -> float:
    """Share of clips told rightly apart, each by a regression on the other parts."""
    # Every FOLDS-th clip of either kind, so that each part has its share of both.
    part = np.empty(len(is_unseen), np.int64)
    for kind in (False, True):
        part[is_unseen == kind] = np.arange((is_unseen == kind).sum()) % FOLDS
    right = 0
    for fold in range(FOLDS):
        held, rest = part == fold, part != fold
        if is_unseen[rest].all() or not is_unseen[rest].any():
            rest = np.ones_like(held)  # a kind of a single clip cannot be held out
        weight, bias = _regression(inputs[rest], is_unseen[rest])
        right += int(((inputs[held] @ weight + bias > 0) == is_unseen[held]).sum())
    return right / len(is_unseen)


def _regression(inputs: NDArray[np.float64], is_unseen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Weight and bias. The inputs are standardised first: of cosines, probabilities hardly vary, yet they may tell."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread[spread < 1e-12] = 1.0
    model = LogisticRegression(max_iter=5000).fit((inputs - mean) / spread, is_unseen)
    weight = np.asarray(model.coef_[0], np.float64) / spread
    return weight, float(model.intercept_[0] - weight @ mean)
