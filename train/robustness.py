"""What is left of the accuracy when people, cameras and joints are not as they were in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.layouts import MIRROR
from train.augment import mirror, rotate, rotations
from train.datasets.windows import Batch, Case, is_background
from train.metrics import top1_by_set

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
LOWER_BODY = (12, 13, 14, 15, 16, 17, 18, 19)
AGES = "kinder_gator"
"""The set that tells children from adults, by their names."""
SEED = 0


def _turned(batch: Batch, degrees: float) -> Batch:
    x = rotate(batch.x, rotations(np.full(len(batch.x), np.radians(degrees)), 1))
    return Batch(x, batch.mask, batch.action)


def _mirrored(batch: Batch) -> Batch:
    return Batch(mirror(batch.x), batch.mask[..., list(MIRROR)], batch.action)


def _played(batch: Batch, speed: float) -> Batch:
    """The later part of each window, slower, or all of it faster with its first frame held before."""
    last = batch.x.shape[2] - 1
    at = np.clip(last - speed * np.arange(last, -1, -1), 0, last)
    low = np.minimum(at.astype(int), last - 1)
    share = (at - low).astype(np.float32)
    x = batch.x[:, :, low] * (1 - share[:, None]) + batch.x[:, :, low + 1] * share[:, None]
    return Batch(x.astype(np.float32), batch.mask[:, np.round(at).astype(int)], batch.action)


def _hidden(batch: Batch, hide: NDArray[np.bool_]) -> Batch:
    return Batch(batch.x, np.where(hide, 0, batch.mask).astype(np.float32), batch.action)


def _shaken(batch: Batch, metres: tuple[float, float, float]) -> Batch:
    noise = np.random.default_rng(SEED).standard_normal(batch.x.shape, np.float32)
    return Batch(batch.x + noise * np.array(metres, np.float32)[:, None, None], batch.mask, batch.action)


def conditions(batch: Batch) -> dict[str, Batch]:
    """The windows as they are, and changed in several ways."""
    rng, shape = np.random.default_rng(SEED), batch.mask.shape
    lower = np.zeros(shape[2], bool)
    lower[list(LOWER_BODY)] = True
    person = rng.random((shape[0], 1, shape[2])) < 0.2
    return {
        "as recorded": batch,
        "mirrored": _mirrored(batch),
        **{f"camera {angle} degrees around": _turned(batch, angle) for angle in (45, 90, 180)},
        "0.7 times as fast": _played(batch, 0.7),
        "1.4 times as fast": _played(batch, 1.4),
        "20 % of the joints missing, others in each frame": _hidden(batch, rng.random(shape) < 0.2),
        "20 % of the joints missing, the same all the time": _hidden(batch, np.broadcast_to(person, shape)),
        "legs hidden (behind a desk)": _hidden(batch, np.broadcast_to(lower, shape)),
        "joints shaken by 2 cm": _shaken(batch, (0.02, 0.02, 0.02)),
        "depth shaken by 8 cm (as where RGB images are the source)": _shaken(batch, (0.02, 0.02, 0.08)),
    }


def robustness(judge: Callable[[Batch], FloatArray], batch: Batch, cases: Sequence[Case]) -> dict[str, Any]:
    """Top-1 among the set's own actions, mean over the sets, under each condition; background windows are left out.

    Args:
        judge: windows to probabilities of the actions (N, A).
        batch, cases: N windows and what they show.
    """
    news = np.array([not is_background(case.action) for case in cases])
    kept = [case for case in cases if not is_background(case.action)]
    batch = Batch(batch.x[news], batch.mask[news], batch.action[news])

    def mean(rows: NDArray[np.bool_], probability: FloatArray) -> float:
        chosen = [case for case, row in zip(kept, rows, strict=True) if row]
        return float(np.mean([share for share, _ in top1_by_set(chosen, probability[rows], own_labels=True).values()]))

    everyone = np.ones(len(kept), bool)
    changed = conditions(batch)
    found = {name: mean(everyone, judge(windows)) for name, windows in changed.items()}
    probability = judge(changed["as recorded"])
    groups = {
        group: np.array([case.set_name == AGES and case.person.startswith(group) for case in kept])
        for group in ("child", "adult")
    }
    people = {group: mean(rows, probability) for group, rows in groups.items() if rows.any()}
    return {"conditions": found, "people": people}
