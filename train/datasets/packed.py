"""The sets of labelled archives as the papers' networks see them.

A set is an archive in the data folder's `clips/` or `untrimmed/`, anyone's too (see `train.datasets.archive`). Its
classes are its own labels, sorted. Several sets can be one dataset: their labels and people are then prefixed by the
set's name, "utd_mhad: right hand wave", and nothing is merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.frame50 import FRAMES, frame50
from models.graph import JOINTS
from stream.errors import PosewireError
from train.datasets import sequences
from train.datasets.clip_set import ClipSet
from train.datasets.labelled import Clip, read_clips
from train.datasets.labels import archive_of
from train.datasets.splits import JOIN, PREFIX

Float32Array = NDArray[np.float32]
BATCH = 128
"""Clips of one length that are preprocessed at once."""
UNEVEN = 0.01
"""Steps between frames that differ by a larger share from their mean are not even."""


class PackedError(PosewireError):
    """There is no such set in the data folder: one line that lists those it has."""


def read_packed(data: Path, names: Sequence[str]) -> ClipSet:
    """Read one set, or several as one dataset.

    Args:
        data: the folder that holds clips/ and untrimmed/.
        names: of the sets, without ".npz".

    Returns:
        The clips of all sets in their order, M = 2 where two people are seen in any of them. Its name is the sets',
        joined with "+"; subjects of several sets are prefixed as their classes are, "" where a set names none.

    Raises:
        PackedError: there is no such set, or a set is named twice.
        DataError: an archive is not one of 3-D clips or recordings.
    """
    found = available(data)
    for place, name in enumerate(names):
        if name not in found:
            listed = ", ".join(found) or "no archives (*.npz) in clips/ and untrimmed/"
            raise PackedError(f"{data}: no set {name!r}; it has {listed}")
        if name in names[:place]:
            raise PackedError(f"set {name!r} is named twice; expected different sets")
    if not names:
        raise PackedError("no set is named; expected at least one")
    clips: list[Clip] = []
    classes: list[str] = []
    labels: list[int] = []
    subjects: list[str] = []
    for name in names:
        prefix = name + PREFIX if len(names) > 1 else ""
        own = read_clips(archive_of(data)(name))
        place_of = {label: len(classes) + i for i, label in enumerate(sorted({clip.label for clip in own}))}
        classes += [prefix + label for label in place_of]
        labels += [place_of[clip.label] for clip in own]
        subjects += [prefix + clip.subject if clip.subject else "" for clip in own]
        clips += own
    unknown = np.full(len(clips), "")
    return ClipSet(
        name=JOIN.join(names),
        classes=tuple(classes),
        clips=preprocess_clips(clips),
        labels=np.array(labels, np.int64),
        subjects=np.array(subjects),
        cameras=unknown,
        setups=unknown,
        names=np.array([clip.name for clip in clips]),
    )


def available(data: Path) -> tuple[str, ...]:
    """Names of the archives in a data folder, sorted."""
    return tuple(sorted({path.stem for folder in ("clips", "untrimmed") for path in (data / folder).glob("*.npz")}))


def preprocess_clips(clips: Sequence[Clip]) -> Float32Array:
    """Preprocess clips of any lengths by `models.frame50`.

    Returns:
        (N, 3, 50, 25, M) float32; M is the largest number of people in a clip.
    """
    people = max((len(clip.bodies) for clip in clips), default=1)
    made = np.empty((len(clips), 3, FRAMES, len(JOINTS), people), np.float32)
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, clip in enumerate(clips):
        by_length[len(clip.times)].append(row)
    for length, rows in by_length.items():
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            x = np.zeros((len(part), 3, length, len(JOINTS), people), np.float32)
            seen = np.zeros((len(part), length, len(JOINTS), people), np.bool_)
            for i, row in enumerate(part):
                for m, (joints, confidence) in enumerate(_even(clips[row])):
                    x[i, ..., m] = joints.transpose(2, 0, 1)
                    seen[i, ..., m] = confidence > 0
            made[part] = frame50(x, seen)
    return made


def _even(clip: Clip) -> list[tuple[Float32Array, Float32Array]]:
    """Joints (T, V, 3) and confidence (T, V) of each body, at T even times; only uneven clips are resampled."""
    steps = np.diff(clip.times)
    if len(steps) == 0 or np.abs(steps - steps.mean()).max() <= UNEVEN * steps.mean():
        return [(body.joints, body.confidence) for body in clip.bodies]
    times = np.linspace(0.0, clip.times[-1], len(clip.times))
    return [
        sequences.Sequence("", "", "", body.joints, body.confidence, clip.times, (), trimmed=True).sample(times)
        for body in clip.bodies
    ]
