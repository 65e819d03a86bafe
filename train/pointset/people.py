"""Whose windows the point set learns from, and whose it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.data import load_data
from train.datasets.people import Split
from train.pointset.data import Recordings, Scenes, pair_cuts, single_cuts, stacked
from train.pointset.images import ImageClip, image_cuts, read_image_clips
from train.pointset.vocabulary import Label


@dataclass(frozen=True, slots=True)
class People:
    """One part of the people: those of the sets in space, and the clips of the image sets."""

    recordings: Recordings
    clips: list[ImageClip]


def read_people(data: Path) -> dict[Split, People]:
    """The parts of all people.

    Raises:
        DataMissing: the sets are not there.
    """
    found = load_data(data)
    return {split: People(Recordings(getattr(found, split.value)), read_image_clips(data, split)) for split in Split}


def make_scenes(people: People, labels: Sequence[Label], size: int, seed: int) -> dict[int, Scenes]:
    """Windows of one part of the people, by their number of bodies: about `size` in all."""
    rng = np.random.default_rng(seed)
    cuts = list(single_cuts(people.recordings, size * 55 // 100, rng))
    cuts += pair_cuts(people.recordings, size * 25 // 100 // 15, rng)
    cuts += image_cuts(people.clips, size * 16 // 100, rng)
    return stacked(cuts, labels)
