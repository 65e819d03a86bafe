"""Anomaly features from the streaming (graph) encoder: each person's window as it is recognised, alone.

Features of a person are the square roots of the known actions' probabilities, whose Euclidean distances are those of
Hellinger, and the embedding. People are encoded one by one, each relative to themselves: what lies *between* two
people (who hits whom) is not seen. The scene's features are those of the person who does most that is news.

2-D input, which the encoder was not trained on, is turned upright and scaled so that the torso is as long as in the
encoder's own people; depth is 0. Whoever turns sideways to the camera is then narrow, not turned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.anomaly import Features
from models.errors import ModelError
from models.graph import CENTRE
from models.heads import BankHead, Scorer
from models.joints import SPINE_BASE, TORSO

if TYPE_CHECKING:
    from models.recogniser import Recogniser

Float32Array = NDArray[np.float32]
STRIDE_S = 0.32
"""Seconds between the windows that a longer clip is cut into."""
NEAR_S = 0.2
"""Rows further than this from the nearest frame in which a joint was seen are masked, as in `stream.window`."""
CORE = (4, 8, 12, 16)
"""Shoulders and hips, which stand in for a torso that no sensor gave."""


class GraphAnomaly:
    """`models.anomaly.AnomalyEncoder` on a loaded recogniser.

    Args:
        recogniser: a streaming model; may serve the recognition of actions too.

    Attributes:
        name: "graph".
        digest: of the recogniser's weights.
        dim: F.

    Raises:
        ModelError: it is no streaming model: those of the papers' recipes give no probabilities of known actions.
    """

    name = "graph"

    def __init__(self, recogniser: Recogniser) -> None:
        if not isinstance(recogniser.head, BankHead):
            raise ModelError(f"anomaly encoder graph: model is {recogniser.kind}; expected a streaming one, or points")
        self._recogniser = recogniser
        self._head = recogniser.head
        self._known = len(recogniser.bank)
        self._quiet = np.array([action.background for action in recogniser.bank], np.float32)
        self.digest = recogniser.digest
        self.dim = self._known + recogniser.embedding_dim

    def features(self, joints: Float32Array, confidence: Float32Array, rate_hz: float, space: str) -> Features:
        """See `models.anomaly.AnomalyEncoder`; of a clip longer than a window, the window of most news counts.

        Raises:
            ValueError: the shapes do not fit.
        """
        if joints.ndim != 4 or joints.shape[2:] != (25, 3) or confidence.shape != joints.shape[:3] or not len(joints):
            raise ValueError(f"expected joints (T, M, 25, 3) and confidence, got {joints.shape}, {confidence.shape}")
        seen = (confidence > 0).any(axis=(0, 2))
        persons = np.zeros((len(seen), self.dim), np.float32)
        if not seen.any():
            return Features(np.zeros(self.dim, np.float32), persons, seen)
        bodies = np.flatnonzero(seen)
        cut = [self._windows(joints[:, body], confidence[:, body], rate_hz, space) for body in bodies]
        encoded = self._recogniser.encode(
            np.concatenate([x for x, _ in cut]), np.concatenate([mask for _, mask in cut])
        )
        for body, rows in zip(bodies, np.split(self.of_encoded(encoded), len(bodies)), strict=True):
            persons[body] = rows[self.news(rows).argmax()]
        return Features(self.scene(persons[seen]), persons, seen)

    def of_encoded(self, encoded: Float32Array) -> Float32Array:
        """What the recogniser made of windows, (N, F), to anomaly features (N, F)."""
        features: Float32Array = np.concatenate(
            (np.sqrt(np.maximum(encoded[:, : self._known], 0)), encoded[:, self._known :]), axis=1
        )
        return features

    def of_window(self, x: Float32Array, mask: Float32Array, space: str) -> Float32Array:
        """Features (F,) of one person's window (3, T, V) with its mask (T, V), at the recogniser's rate."""
        if space == "image2d":
            x = upright(x.transpose(1, 2, 0), mask).transpose(2, 0, 1)
        features: Float32Array = self.of_encoded(self._recogniser.encode(x[None], mask[None]))[0]
        return features

    def news(self, features: Float32Array) -> Float32Array:
        """How little of each window (N, F) is standing, walking and what else is no news: (N,) in 0..1."""
        share: Float32Array = 1 - features[:, : self._known] ** 2 @ self._quiet
        return share

    def scene(self, persons: Float32Array) -> Float32Array:
        """Features (F,) of a scene: of the one of its people (M, F), M at least 1, who does most that is news."""
        # By value, not by place: the order of people changes nothing, not even where two do the same.
        newest: Float32Array = persons[np.lexsort((persons[:, -1], self.news(persons)))[-1]]
        return newest

    def prompts(self, vectors: Float32Array) -> Scorer:
        """See `models.anomaly.AnomalyEncoder`."""
        return self._head.scorer([vector[None] for vector in np.asarray(vectors, np.float32)])

    def similarity(self, features: Float32Array, prompts: Any) -> Float32Array:
        """See `models.anomaly.AnomalyEncoder`: here the prompts' probabilities (see `models.heads.BankHead`)."""
        encoded = features.copy()
        encoded[:, : self._known] **= 2
        _, probability = prompts(encoded)
        surest: Float32Array = probability.max(axis=1)
        return surest

    def _windows(
        self, joints: Float32Array, confidence: Float32Array, rate_hz: float, space: str
    ) -> tuple[Float32Array, Float32Array]:
        """One person's frames (T, 25, 3) to windows (N, 3, 50, 25) and masks; before the first nothing is seen."""
        if space == "image2d":
            joints = upright(joints, confidence)
        x, mask = _resampled(joints, confidence, rate_hz, self._recogniser.rate_hz)
        frames, stride = self._recogniser.frames, max(1, round(STRIDE_S * self._recogniser.rate_hz))
        missing = max(frames - len(x), 0)
        x = np.concatenate((np.zeros((missing, *x.shape[1:]), np.float32), x))
        mask = np.concatenate((np.zeros((missing, mask.shape[1]), np.float32), mask))
        starts = range(len(x) - frames, -1, -stride)
        windows = np.stack([x[start : start + frames].transpose(2, 0, 1) for start in starts])
        return windows, np.stack([mask[start : start + frames] for start in starts])


def upright(joints: Float32Array, confidence: Float32Array) -> Float32Array:
    """One person's image joints (T, 25, 3), y down, in any unit, to about metres: y up, depth 0, about the mean.

    The scale is the longest torso's (95 % quantile of the frames: foreshortening only shortens), the same throughout.
    """
    seen = confidence > 0
    flat = np.where(seen[..., None], joints, 0.0)[..., :2] * np.array([-1.0, -1.0], np.float32)
    top = np.where(
        seen[:, CENTRE, None], flat[:, CENTRE], (flat[:, 4] + flat[:, 8]) / 2
    )  # sensors without a spine give shoulders and hips
    bottom = np.where(seen[:, SPINE_BASE, None], flat[:, SPINE_BASE], (flat[:, 12] + flat[:, 16]) / 2)
    told = (seen[:, CENTRE] | seen[:, [4, 8]].all(axis=1)) & (seen[:, SPINE_BASE] | seen[:, [12, 16]].all(axis=1))
    length = np.linalg.norm(top - bottom, axis=1)[told]
    if not len(length) or (torso := float(np.quantile(length, 0.95))) <= 0:  # no torso: as if all of it were a body
        torso = max(float(np.ptp(flat[seen], axis=0).max()) * TORSO / 1.7, 1e-9) if seen.any() else 1.0
    middle = flat[seen].mean(axis=0) if seen.any() else np.zeros(2, np.float32)
    out = np.zeros(joints.shape, np.float32)
    out[..., :2] = (flat - middle) * (TORSO / torso)
    return out


def _resampled(
    joints: Float32Array, confidence: Float32Array, rate_hz: float, wanted_hz: float
) -> tuple[Float32Array, Float32Array]:
    """Frames (T, 25, 3) at one rate to another by linear interpolation, the last frame kept in place."""
    if abs(rate_hz - wanted_hz) < 1e-6 * wanted_hz:
        return joints, confidence
    rows = int((len(joints) - 1) / rate_hz * wanted_hz + 1e-6) + 1
    at = np.maximum(len(joints) - 1 - np.arange(rows)[::-1] * rate_hz / wanted_hz, 0.0)
    low = np.minimum(np.floor(at + 1e-9).astype(int), len(joints) - 1)
    high = np.minimum(low + 1, len(joints) - 1)
    share = np.clip(at - low, 0, 1).astype(np.float32)[:, None]
    near = NEAR_S * rate_hz
    before = np.where(share <= near, confidence[low], 0.0)
    after = np.where(1 - share <= near, confidence[high], 0.0)
    both = (confidence[low] > 0) & (confidence[high] > 0)
    weight = np.where(both, share, (confidence[low] <= 0) & (confidence[high] > 0)).astype(np.float32)[..., None]
    between = (1 - share) * confidence[low] + share * confidence[high]
    mask = np.where(both, np.where(before + after > 0, between, 0.0), np.maximum(before, after))
    x = np.where(weight < 1, joints[low], 0) * (1 - weight) + np.where(weight > 0, joints[high], 0) * weight
    return x.astype(np.float32), mask.astype(np.float32)
