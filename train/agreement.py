"""Do joints estimated from colour images agree with those of a depth sensor, and does recognition see the same action?

Both recordings of a pair (see `train.rgbd_pair`) go the way of a replay, through the shipped model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.recogniser import Recogniser
from stream.config import Config
from stream.errors import SourceError
from stream.layouts import BONES, CANONICAL
from stream.pipeline import Pipeline
from stream.service import Service, load_service
from stream.types import NANOSECONDS, Event, Float32Array, Int64Array, Phase, Scores
from train.rgbd_pair import Camera, Recording, read_depth, read_rgb

Floats = NDArray[np.float64]

TOP = 5
_LAGS = range(-6, 7)
_FITTED = 4
"""Joints that an alignment needs at least."""


def aligned(moving: Floats, fixed: Floats, weight: Floats) -> Floats:
    """Move points (V, 3) onto others by the similarity (no reflection) of least weighted squared distance.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    """
    share = (weight / weight.sum())[:, None]
    centre, target = (share * moving).sum(axis=0), (share * fixed).sum(axis=0)
    a, b = moving - centre, fixed - target
    u, d, vt = np.linalg.svd((share * b).T @ a)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (d * signs).sum() / (share * a**2).sum()
    result: Floats = scale * a @ ((u * signs) @ vt).T + target
    return result


@dataclass(frozen=True, slots=True)
class JointErrors:
    """Distances (T, 25) between both cameras' joints in centimetres; NaN where either did not see the joint.

    Attributes:
        lag: how many frames later than the image the skeleton is taken that it is compared with; that of least median.
        cm: the distances.
        tracked: (T, 25) bool, where the sensor says that it saw the joint and the limb up to it, and inferred nothing:
            it calls finger tips tracked whose elbow and wrist it guesses.
    """

    lag: int
    cm: Float32Array
    tracked: NDArray[np.bool_]

    def rows(self) -> list[tuple[str, float, float, float]]:
        """Joint, share of frames in which it was tracked, median error of these, median error of all; in cm."""
        shown = np.where(self.tracked, self.cm, np.nan)
        return [
            (name, float(self.tracked[:, v].mean()), _median(shown[:, v]), _median(self.cm[:, v]))
            for v, name in enumerate(CANONICAL)
        ]

    @property
    def median(self) -> float:
        """Of all joints that the sensor tracked, cm."""
        return _median(np.where(self.tracked, self.cm, np.nan))


def _median(values: Float32Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def joint_errors(depth: Recording, rgb: Recording) -> JointErrors:
    """Compare frame by frame, each frame of the video with the sensor's nearest in time, after Procrustes alignment.

    The alignment is fitted to joints that the sensor tracked: those that it infers may be anywhere.

    Raises:
        SourceError: the two have no frame in common.
    """
    a, a_seen = depth.canonical()
    b, b_seen = rgb.canonical()
    nearest = np.abs(depth.t[None] - rgb.t[:, None]).argmin(axis=1)
    found = []
    for lag in _LAGS:
        partner = nearest + lag
        rows = np.flatnonzero((partner >= 0) & (partner < len(a)))
        at = partner[rows]
        tracked = _tracked(a_seen[at]) & (b_seen[rows] > 0)
        cm = np.full(tracked.shape, np.nan, np.float32)
        for n, (row, i) in enumerate(zip(rows, at, strict=True)):
            if tracked[n].sum() >= _FITTED:
                moved = aligned(b[row].astype(float), a[i].astype(float), tracked[n].astype(float))
                seen = (a_seen[i] > 0) & (b_seen[row] > 0)
                cm[n, seen] = 100 * np.linalg.norm(moved - a[i], axis=1)[seen]
        found.append(JointErrors(lag, cm, tracked))
    best = min(found, key=lambda one: np.nan_to_num(one.median, nan=np.inf))
    if not math.isfinite(best.median):
        raise SourceError("video", "its person and the skeleton's are in no frame together; expected the same moment")
    return best


def _tracked(confidence: Float32Array) -> NDArray[np.bool_]:
    tracked: NDArray[np.bool_] = confidence >= 1
    for child, parent in BONES:  # parents come before their children
        tracked[:, child] &= tracked[:, parent]
    return tracked


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the model makes of one recording.

    Attributes:
        t: (N,) times of the windows' ends in ns.
        embeddings: (N, E) unit vectors.
        probability: (N, K) of the known actions.
        prompts: highest score of each prompt, by name.
        events: names of the events, in the order of their starts.
    """

    t: Int64Array
    embeddings: Float32Array
    probability: Float32Array
    prompts: dict[str, float]
    events: list[str]

    def top(self, actions: Sequence[int]) -> list[tuple[int, float]]:
        """Of some known actions those of highest mean probability, with it."""
        mean = self.probability.mean(axis=0)
        return [(k, float(mean[k])) for k in sorted(actions, key=lambda k: -mean[k])[:TOP]]


def recognise(recording: Recording, source: str, service: Service) -> Recognised:
    """Send a recording through the model and the prompts of a service, as a replay does.

    Raises:
        SourceError: no window of it can be judged.
    """
    encoder = _Kept(service.recogniser)
    pipeline = Pipeline(encoder, service.prompts, service.settings)
    outputs = [output for frame in recording.frames(source) for output in pipeline.push([frame])]
    scores = [one for one in outputs if isinstance(one, Scores)]
    if not scores:
        raise SourceError(source, "no window is full enough to be judged; expected a person in view for over a second")
    features = np.concatenate(encoder.features)
    best = np.stack([one.probability for one in scores]).max(axis=0)
    names = [prompt.name for prompt in service.prompts.prompts]
    return Recognised(
        np.array([one.t for one in scores], np.int64),
        service.recogniser.embedding(features),
        features[:, : len(service.recogniser.bank)],
        dict(zip(names, best.tolist(), strict=True)),
        [one.name for one in outputs if isinstance(one, Event) and one.phase is Phase.START],
    )


class _Kept:
    """An encoder that remembers the features it gave."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self.features: list[Float32Array] = []

    def encode(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        features = self._recogniser.encode(x, mask)
        self.features.append(features)
        return features


def likeness(a: Recognised, b: Recognised) -> Float32Array:
    """Cosine of the embeddings of windows that end at the same time, (N,)."""
    rows = [(i, int(np.abs(b.t - t).argmin())) for i, t in enumerate(a.t)]
    pairs = [(i, j) for i, j in rows if abs(int(b.t[j] - a.t[i])) <= NANOSECONDS // 20]
    return np.array([a.embeddings[i] @ b.embeddings[j] for i, j in pairs], np.float32)


def agreement(video: Path, skeleton: Path, *, network: str, fov_deg: float | None) -> str:
    """Compare a pair of recordings; returns what was found, for people.

    Args:
        video, skeleton, network, fov_deg: see `train.rgbd_pair`.

    Raises:
        PosewireError: a file is broken, or a library, the pose network or the model is missing.
        ModelError: the model cannot be used.
    """
    depth, bodies = read_depth(skeleton)
    rgb, camera = read_rgb(video, bodies, network, fov_deg)
    errors = joint_errors(depth, rgb)
    service = load_service(Config())
    # From the first moment that both see the person, so that the windows of both are of the same moments.
    start = max(one.first for one in (depth, rgb))
    seen = {name: recognise(one.since(start), name, service) for name, one in (("depth", depth), ("RGB", rgb))}
    parts = [_head(depth, rgb, camera, errors), *_joint_table(errors), *_recognition(seen, service)]
    return "\n".join(parts) + "\n"


def _head(depth: Recording, rgb: Recording, camera: Camera, errors: JointErrors) -> str:
    found = int((rgb.confidence > 0).any(axis=1).sum())
    return (
        f"{len(rgb.t)} images, the person found in {found}; {len(depth.t)} skeletons; camera "
        f"{camera.fov_deg:.0f} degrees{', mirrored' if camera.mirrored else ''}\n"
        f"median error of tracked joints after alignment {errors.median:.1f} cm, least with each image beside the "
        f"skeleton {errors.lag:+d} frames from its time"
    )


def _joint_table(errors: JointErrors) -> list[str]:
    lines = [f"{'joint':<15}{'tracked':>8}{'cm':>7}{'cm, inferred too':>18}"]
    return lines + [f"{name:<15}{share:>8.0%}{cm:>7.1f}{every:>18.1f}" for name, share, cm, every in errors.rows()]


def _recognition(seen: dict[str, Recognised], service: Service) -> list[str]:
    bank = service.recogniser.bank
    cosines = likeness(*seen.values())
    shown = " ".join(f"{cosine:.2f}" for cosine in cosines.tolist())
    lines = [f"windows: cosine of the embeddings {shown}; mean {cosines.mean() if cosines.size else math.nan:.2f}"]
    for vocabulary in dict.fromkeys(action.vocabulary for action in bank):
        actions = [k for k, action in enumerate(bank) if action.vocabulary == vocabulary]
        for name, one in seen.items():
            best = ", ".join(f"{bank[k].name} {share:.3f}" for k, share in one.top(actions))
            lines.append(f"{vocabulary}, {name}: {best}")
    for name, one in seen.items():
        prompts = ", ".join(f"{prompt} {score:.3f}" for prompt, score in one.prompts.items())
        lines.append(f"prompts, {name}: {prompts}; events: {', '.join(one.events) or 'none'}")
    return lines
