"""Recordings to measure with: people of the bundled demonstration, side by side, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from stream.sources.configured import Looped
from stream.sources.files import open_source
from stream.sources.recording import RecordingWriter
from stream.types import NANOSECONDS, SkeletonFrame

FPS = 30
APART_M = 1.2
DEMO = Path(__file__).parents[1] / "demo"
FIGHTS = ("Seq1_11.csv", "Seq1_10.csv")
OFFSET = 17
"""Frames by which one person is ahead of the next: they must not move as one."""


def footage(people: int, seconds: float, source: str = "cam") -> Iterator[SkeletonFrame]:
    """Frames of so many people, at `FPS`, from time 0."""
    with ExitStack() as stack:
        files = [open_source(DEMO / FIGHTS[number % len(FIGHTS)]) for number in range(people)]
        ones = [stack.enter_context(Looped(file)) for file in files]
        shifts = APART_M * (np.arange(people, dtype=np.float32) - (people - 1) / 2)
        late = [islice(one, OFFSET * number, None) for number, one in enumerate(ones)]
        for seq, frames in enumerate(zip(*late, strict=True)):
            if seq >= FPS * seconds:
                return
            joints = np.concatenate([frame.joints for frame in frames])
            joints[..., 0] += shifts[:, None]
            yield replace(
                frames[0],
                source=source,
                seq=seq,
                t=seq * NANOSECONDS // FPS,
                joints=joints,
                confidence=np.concatenate([frame.confidence for frame in frames]),
                track_ids=np.arange(people),
            )


def record(path: Path, people: int, seconds: float) -> Path:
    """Write such a recording, whose frames carry the file's name; returns its path."""
    with RecordingWriter(path) as writer:
        for frame in footage(people, seconds, path.stem):
            writer.write(frame)
    return path
