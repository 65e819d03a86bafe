"""Clips of people in images, Penn Action and J-HMDB, as windows to learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.points import RATE_HZ
from stream.layouts import layout_for_names
from train.datasets.people import EVERY, VALIDATION_PLACE, Split
from train.datasets.sequences import Float32Array
from train.pointset.data import FRAMES, Cut
from train.pointset.vocabulary import IMAGE_LABELS


@dataclass(frozen=True, slots=True)
class ImageClip:
    """A clip of an image set: joints (T, V, 3) about a metre's size, y up, z = 0; confidence (T, V)."""

    joints: Float32Array
    confidence: Float32Array
    fps: float
    label: str
    set_name: str


def read_image_clips(data: Path, split: Split) -> list[ImageClip]:
    """Clips of Penn Action and J-HMDB, where they are; their own test half tests, a sixth of the rest validates."""
    clips = []
    for name, meanings in IMAGE_LABELS.items():
        path = data / "clips" / f"{name}.npz"
        if not path.is_file():
            continue
        with np.load(path, allow_pickle=False) as archive:
            raw, offsets = archive["joints"].astype(np.float32), archive["offsets"].astype(np.int64)
            labels, halves = archive["label"], archive["subject"]
            layout = layout_for_names([str(joint) for joint in archive["joint_names"]])
        # Penn Action says which joints are visible, J-HMDB gives them all.
        sure = raw[..., 2] if raw.shape[2] == 3 else np.ones(raw.shape[:2], np.float32)
        flat = np.concatenate((raw[..., :2], np.zeros_like(raw[..., :1])), axis=2)
        joints, confidence = layout.to_canonical(flat, sure)
        place = 0
        for i, (start, stop) in enumerate(pairwise(offsets)):
            place += str(halves[i]) != "test"
            held = place % EVERY == VALIDATION_PLACE
            mine = Split.TEST if str(halves[i]) == "test" else Split.VALIDATION if held else Split.TRAIN
            if mine is split and (confidence[start:stop] > 0).any():
                clip = _upright(joints[start:stop], confidence[start:stop])
                clips.append(ImageClip(*clip, 25.0, meanings[str(labels[i])], name))
    return clips


def _upright(joints: Float32Array, confidence: Float32Array) -> tuple[Float32Array, Float32Array]:
    seen = joints[confidence > 0]
    size = float(np.percentile(seen[:, 1], 95) - np.percentile(seen[:, 1], 5)) / 1.5 or 1.0
    centred = (joints - seen.mean(axis=0)) / max(size, 1e-6) * np.array([-1, -1, 1], np.float32)
    return np.clip(centred, -50, 50).astype(np.float32), confidence


def image_cuts(clips: Sequence[ImageClip], number: int, rng: np.random.Generator) -> Iterator[Cut]:
    """Windows of image clips; before a clip begins nobody is there, or they stay as they were."""
    counts: dict[str, int] = defaultdict(int)
    for clip in clips:
        counts[clip.label] += 1
    chances = np.array([counts[clip.label] ** -0.5 for clip in clips])
    for row in rng.choice(len(clips), number, p=chances / chances.sum()) if clips else ():
        clip = clips[row]
        speed = rng.uniform(0.8, 1.3) * clip.fps / RATE_HZ
        length = len(clip.joints) - 1
        last = rng.uniform(min(length, 25 * speed * 0.75), length) if rng.random() < 0.7 else float(length)
        at = np.round(last - np.arange(FRAMES - 1, -1, -1) * speed).astype(np.int64)
        kept = np.clip(at, 0, length)
        confidence = clip.confidence[kept].copy()
        if rng.random() < 0.7:
            confidence[at < 0] = 0
        yield Cut(clip.joints[kept][:, None], confidence[:, None], clip.label, (clip.label,), clip.set_name, image=True)
