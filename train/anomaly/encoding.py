"""Scenes through an encoder: features of windows, kept on disk where a folder is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.anomaly import AnomalyEncoder
from models.whole_file import replacing
from train.anomaly.scenes import Scene

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Report = Callable[[int, int], None]
"""Is told how many windows there are in all, and how many are done."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How scenes are cut into windows.

    Attributes:
        length_s: of a window; None takes every scene whole.
        step_s: from the end of one to the end of the next.
        causal: windows end at every step from the scene's first frame, and the first are short, as a stream sees it;
            otherwise none is shorter than its length, unless the scene is.
    """

    length_s: float | None = None
    step_s: float = 0.5
    causal: bool = False

    def windows(self, frames: int, rate_hz: float) -> list[tuple[int, int]]:
        """First frame of each window, and the one after its last, of a scene of so many frames."""
        if self.length_s is None:
            return [(0, frames)]
        length, step = max(round(self.length_s * rate_hz), 1), max(round(self.step_s * rate_hz), 1)
        if self.causal:
            return [(max(end - length, 0), end) for end in range(min(step, frames), frames + 1, step)]
        last = max(frames - length, 0)
        starts = [*range(0, last, step), last]
        return [(start, min(start + length, frames)) for start in starts]


CLIPS = Cut(1.0, 0.5)
"""Windows of clips, of which the highest counts: over strikes, kicks, pushes and lunges of the validation people they
told more than windows of 2 s or whole clips (docs/anomaly_results.md)."""


@dataclass(frozen=True, slots=True)
class Windows:
    """W windows of N scenes as an encoder sees them.

    Attributes:
        scene: (W, F), all people together.
        persons: (W, M, F), each for themselves.
        seen: (W, M), who is seen in it.
        clip: (W,) the number of its scene, in order.
        first, last: (W,) frames of it in that scene, the last one included.
    """

    scene: Float32Array
    persons: Float32Array
    seen: BoolArray
    clip: IntArray
    first: IntArray
    last: IntArray

    def rows(self, kept: BoolArray) -> Windows:
        """Some of the windows (W,)."""
        return Windows(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))

    def highest(self, values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """The highest value (W,) in each of so many scenes; -infinity where one has no window."""
        best = np.full(count, -np.inf)
        np.maximum.at(best, self.clip, values)
        return best


def joined(parts: Sequence[Windows]) -> Windows:
    """Windows of several sets of scenes, one after the other; the scenes' numbers are those in each."""
    return Windows(*(np.concatenate([getattr(part, name) for part in parts]) for name in Windows.__dataclass_fields__))


def encode(
    scenes: Sequence[Scene],
    encoder: AnomalyEncoder,
    cut: Cut,
    *,
    cache: Path | None = None,
    report: Report | None = None,
) -> Windows:
    """Encode all windows of scenes that have room for equally many people.

    Args:
        scenes: at least one.
        encoder: see `models.anomaly`.
        cut: which windows.
        cache: folder in which the features of these scenes by this encoder are kept; None for none.
        report: is told how far it is.
    """
    path = None if cache is None else cache / f"{_digest(scenes, encoder, cut)}.npz"
    if path is not None and path.is_file():
        with np.load(path) as kept:
            return Windows(*(kept[name] for name in Windows.__dataclass_fields__))
    places = [
        (number, *window) for number, scene in enumerate(scenes) for window in cut.windows(scene.frames, scene.rate_hz)
    ]
    found = []
    for done, (number, first, end) in enumerate(places, 1):
        scene = scenes[number]
        found.append(encoder.features(scene.joints[first:end], scene.confidence[first:end], scene.rate_hz, scene.space))
        if report is not None:
            report(len(places), done)
    windows = Windows(
        np.stack([one.scene for one in found]),
        np.stack([one.persons for one in found]),
        np.stack([one.seen for one in found]),
        np.array([number for number, *_ in places]),
        np.array([first for _, first, _ in places]),
        np.array([end - 1 for *_, end in places]),
    )
    if path is not None:
        _keep(path, windows)
    return windows


def _digest(scenes: Sequence[Scene], encoder: AnomalyEncoder, cut: Cut) -> str:
    digest = sha256(f"{encoder.name} {encoder.digest} {cut}".encode())
    for scene in scenes:
        digest.update(f"{scene.joints.shape} {scene.rate_hz} {scene.space}".encode())
        digest.update(np.ascontiguousarray(scene.joints).tobytes())
        digest.update(np.ascontiguousarray(scene.confidence).tobytes())
    return digest.hexdigest()


def _keep(path: Path, windows: Windows) -> None:
    """Write the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, **{name: getattr(windows, name) for name in Windows.__dataclass_fields__})
