"""The files that clips are read from, and the reading: into frame50 clips, in this process or in several."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.frame50 import FRAMES, frame50
from stream.errors import PosewireError
from train.processes import end_with_parent

Float32Array = NDArray[np.float32]
M, V = 2, 25
SHAPE = (3, FRAMES, V, M)
"""Of a clip as it is kept."""
AHEAD = 8
"""Sources that each worker has waiting for it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One clip to be: see `ClipSet`; `span` is its first frame in the source and the one after its last, or all."""

    name: str
    label: int
    subject: str = ""
    camera: str = ""
    setup: str = ""
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file of `size` bytes and the clips in it."""

    path: Path
    size: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Raw:
    """A clip as recorded.

    Attributes:
        x: (T, 2, 25, 3) float32 metres in camera axes; the main body first.
        seen: (T, 2, 25).
    """

    x: Float32Array
    seen: NDArray[np.bool_]


Read = Callable[[Source], Sequence[Raw | str]]
"""Reads a source's clips, in order; a string says why one is left out. A `PosewireError` leaves out all of them. A
function of a module where there are workers."""
Outcome = list[Float32Array | str]
"""For each clip of a source: `SHAPE`, or why it is left out."""


def main_frames(x: Float32Array, seen: NDArray[np.bool_]) -> Raw | str:
    """Only the frames in which body 0 is there.

    METHODS.md section 1, step 2: a clip's length is the number of frames that have body 0. The released code takes as
    many from the clip's start, which is the same unless the body is lost in between: then it keeps the hole and cuts
    the end.
    """
    there = seen[:, 0].any(axis=-1)
    if not there.any():
        return "no body in any frame"
    return Raw(x[there], seen[there])


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none to read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _outcome(read: Read, source: Source) -> Outcome:
    try:
        raws = read(source)
    except (PosewireError, OSError) as error:
        return [str(error)] * len(source.items)
    return [raw if isinstance(raw, str) else _clip(raw) for raw in raws]


def _clip(raw: Raw) -> Float32Array:
    clip: Float32Array = frame50(raw.x.transpose(3, 0, 2, 1)[None], raw.seen.transpose(0, 2, 1)[None])[0]
    return clip


def outcomes(read: Read, sources: Sequence[Source], workers: int) -> Callable[[int], Iterator[Outcome]]:
    """What gives the outcomes of the sources from a place on, in their order."""

    def one_by_one(start: int) -> Iterator[Outcome]:
        return (_outcome(read, source) for source in islice(sources, start, None))

    def side_by_side(start: int) -> Iterator[Outcome]:
        waiting: deque[Future[Outcome]] = deque()
        with ProcessPoolExecutor(workers, get_context("spawn"), end_with_parent) as pool:
            for source in islice(sources, start, None):
                waiting.append(pool.submit(_outcome, read, source))
                if len(waiting) > workers * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    return one_by_one if workers <= 1 else side_by_side
