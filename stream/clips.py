"""One recorded clip as the embedding of what its main person does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.heads import BankHead
from stream.errors import PosewireError
from stream.layouts import layout
from stream.sources.base import RecordedSource
from stream.tracker import Tracker, TrackerSettings
from stream.types import NANOSECONDS, Float32Array, Int64Array

if TYPE_CHECKING:
    from models.recogniser import Recogniser

MIN_FRAMES = 8
MAX_S = 60.0
"""An example is the action and little else."""
SHORT, RATE_HZ = 64, 30.0
"""Clips up to this many frames at this rate are stretched to one window, as the published networks were trained on
stretched clips; longer ones keep the speed that the longest of those get."""
NEAR_NS = NANOSECONDS // 5
"""Rows further than this from the nearest frame are masked, as in `stream.window`."""


class ClipError(PosewireError):
    """A clip cannot serve as an example."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One person in one recording.

    Attributes:
        t: (F,) int64 capture times in ns, increasing.
        joints: (F, 25, 3) float32, canonical layout.
        confidence: (F, 25) float32.
    """

    t: Int64Array
    joints: Float32Array
    confidence: Float32Array


def read_clip(source: RecordedSource, settings: TrackerSettings) -> Clip:
    """The person with most frames in a recording, tracked as the pipeline does; of two with as many, the first seen.

    Raises:
        SourceError: it cannot be read to its end.
        ClipError: there is nobody in it, for too few frames or too long.
    """
    trackers: dict[str, Tracker] = {}
    newest: dict[str, int] = {}
    people: dict[tuple[str, int], list[tuple[int, Float32Array, Float32Array]]] = defaultdict(list)
    with source:
        for frame in source:
            if frame.t <= newest.get(frame.source, frame.t - 1):
                continue
            newest[frame.source] = frame.t
            tracker = trackers.setdefault(frame.source, Tracker(settings))
            joints, confidence = layout(frame.layout).to_canonical(frame.joints, frame.confidence)
            seen = (confidence > 0).any(axis=1)
            joints, confidence = joints[seen], confidence[seen]
            ids, _ = tracker.update(frame.t, joints, confidence, frame.track_ids[seen], frame.space)
            for body, track in enumerate(ids.tolist()):
                people[frame.source, track].append((frame.t, joints[body], confidence[body]))
    if not people:
        raise ClipError("nobody is seen in it; expected a recording of a person")
    rows = max(people.values(), key=len)
    if len(rows) < MIN_FRAMES:
        raise ClipError(f"its main person is in {len(rows)} frames; expected at least {MIN_FRAMES}")
    t = np.array([row[0] for row in rows], np.int64)
    if (seconds := (t[-1] - t[0]) / NANOSECONDS) > MAX_S:
        raise ClipError(f"{seconds:.0f} s; expected the action alone, at most {MAX_S:.0f} s")
    return Clip(t, np.stack([row[1] for row in rows]), np.stack([row[2] for row in rows]))


def embed_clip(clip: Clip, recogniser: Recogniser, min_coverage: float) -> Float32Array:
    """Its embedding (E,), unit norm.

    Raises:
        ClipError: less than `min_coverage` of its joints were seen.
    """
    length = round((clip.t[-1] - clip.t[0]) / NANOSECONDS * RATE_HZ) + 1
    whole = isinstance(recogniser.head, BankHead)  # others take nothing but windows
    rows = max(recogniser.frames, round(recogniser.frames * length / SHORT)) if whole else recogniser.frames
    x, mask = _resampled(clip, np.linspace(clip.t[0], clip.t[-1], rows))
    if (coverage := float((mask > 0).mean())) < min_coverage:
        raise ClipError(f"{coverage:.0%} of its joints are seen; expected at least {min_coverage:.0%}")
    features = recogniser.encode_clips(x.transpose(2, 0, 1)[None], mask[None])
    embedding: Float32Array = recogniser.embedding(features)[0]
    return embedding


def _resampled(clip: Clip, at: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[Float32Array, Float32Array]:
    """Joints (T, 25, 3) and confidences (T, 25) at T times, interpolated as `stream.window.WindowRing` does."""
    low = np.clip(np.searchsorted(clip.t, at, side="right") - 1, 0, len(clip.t) - 2)
    high = low + 1
    share = ((at - clip.t[low]) / (clip.t[high] - clip.t[low])).astype(np.float32)[:, None]
    before = np.where((at - clip.t[low] <= NEAR_NS)[:, None], clip.confidence[low], 0.0)
    after = np.where((clip.t[high] - at <= NEAR_NS)[:, None], clip.confidence[high], 0.0)
    both = (clip.confidence[low] > 0) & (clip.confidence[high] > 0)
    weight = np.where(both, share, clip.confidence[high] > 0).astype(np.float32)[..., None]
    joints = clip.joints[low] * (1 - weight) + clip.joints[high] * weight
    between = (1 - share) * clip.confidence[low] + share * clip.confidence[high]
    mask = np.where(both, np.where(before + after > 0, between, 0.0), np.maximum(before, after))
    return joints.astype(np.float32), mask.astype(np.float32)
