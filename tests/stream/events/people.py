"""Frames and scores for the tests of events: people are where they are told to be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stream.types import NANOSECONDS, Scores, Space, Tracked

STEP = NANOSECONDS // 2


def at(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def seen(t: int, places: Mapping[int, float], source: str = "cam", space: Space = Space.CAMERA3D) -> Tracked:
    """A frame with people of which two joints are seen, 1.7 units apart, each at x as told."""
    joints = np.zeros((len(places), 25, 3), np.float32)
    confidence = np.zeros((len(places), 25), np.float32)
    for body, x in enumerate(places.values()):
        joints[body, :, 0] = x
        joints[body, 3, 1] = 1.7
        confidence[body, [0, 3]] = 1.0
    return Tracked(source, t, space, np.array(list(places), np.int64), joints, confidence)


def scores(t: int, *probability: float, track: int = 1, source: str = "cam", margin: float = 0.1) -> Scores:
    values = np.array(probability, np.float32)
    return Scores(source, track, t, values, values, np.full_like(values, margin), None, 1.0, "digest")
