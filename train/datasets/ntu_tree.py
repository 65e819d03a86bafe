"""NTU RGB+D 60 and 120 from a folder tree of raw `SsssCcccPpppRrrrAaaa.skeleton` files.

Setup s, camera c, performer p, replication r, action a. NTU RGB+D 60 is the actions 1 to 60 of the setups 1 to 17, 120
is all of both. `missing/*.txt` are the official lists of samples whose skeletons are missing or incomplete (302 and
535). Sources: Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019; the lists and FAQ of their authors' repository.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import PosewireError
from stream.sources.ntu import NtuSkeleton
from stream.types import SkeletonFrame
from train.datasets.archive import DataError
from train.datasets.clip_journal import Report
from train.datasets.clip_set import ClipSet
from train.datasets.clip_sources import Item, M, Raw, Source, V, main_frames, size_of
from train.datasets.clip_store import build, empty_set
from train.datasets.described import PUBLISHED, class_names

BoolArray = NDArray[np.bool_]
Name = Literal["ntu60", "ntu120"]
SETUPS = {"ntu60": 17, "ntu120": 32}
PROTOCOLS = {"ntu60": ("xsub", "xview"), "ntu120": ("xsub", "xset")}
TRAIN_SUBJECTS_60 = frozenset((1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38))
TRAIN_SUBJECTS_120 = TRAIN_SUBJECTS_60 | frozenset(
    (45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96), 97, 98, 100, 103)
)
"""20 of the 40 subjects, and 53 of the 106."""
TRAIN_CAMERAS = frozenset((2, 3))
SHORTEST = 12
"""Frames; bodies seen in fewer are noise. This and the next two: Zhang et al., VA-LSTM, ICCV 2017, and those after."""
WIDEST = 0.8
"""A skeleton wider than this share of its height is a piece of furniture, or lies."""
WIDE_SHARE = 0.69754
"""Bodies so wide in this share of their frames are noise."""
FILE = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})\.skeleton")
MISSING = Path(__file__).parent / "missing"
log = logging.getLogger(__name__)


def read_ntu(tree: Path, name: Name, store: Path, *, workers: int = 1, report: Report | None = None) -> ClipSet:
    """The clips of a tree, kept in a store: see `train.datasets.clip_store.build`.

    Args:
        tree: holds the files at any depth.
        name: what to read of it.
        store: folder of the store.
        workers: processes that read.
        report: where progress goes.

    Returns:
        Clips in the order of their names; `subjects` are P001 ..., `cameras` C001 ..., `setups` S001 ....

    Raises:
        DataError: the tree has no such file, none can be used, or the store cannot be written.
    """
    if not tree.is_dir():
        raise DataError(tree, f"no such folder; expected the raw .skeleton files of {name}")
    found: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for path in sorted(Path(folder, file) for folder, _, files in os.walk(tree) for file in files):
        if path.suffix != ".skeleton":
            continue
        match = FILE.fullmatch(path.name)
        if match is None:
            left_out[path.name] = "expected a name like S001C001P001R001A001.skeleton"
        elif 1 <= int(match[5]) <= PUBLISHED[name][1] and 1 <= int(match[1]) <= SETUPS[name]:
            if path.stem in missing_samples(name):
                left_out[path.stem] = "on the official list of samples with missing skeletons"
            else:
                found.setdefault(path.stem, path)
    for stem, reason in left_out.items():
        log.info("%s left out: %s", stem, reason)
    if not found:
        raise DataError(tree, f"no file that can be used; expected files like S001C001P001R001A001.skeleton of {name}")
    sources = [_source(path) for _, path in sorted(found.items())]
    empty = empty_set(name, class_names(name))
    return build(store, empty, sources, _read, left_out=left_out, workers=workers, report=report)


@cache
def missing_samples(name: Name) -> frozenset[str]:
    """Names of the samples that the authors say to ignore, 302 or 535."""
    return frozenset((MISSING / f"{name}.txt").read_text(encoding="ascii").split())


def train_rows(clips: ClipSet, protocol: str) -> BoolArray:
    """Which clips are for training by a protocol: (N,); the others are for testing.

    Args:
        clips: of `read_ntu`.
        protocol: "xsub" (20 of 40 subjects, or 53 of 106), "xview" (ntu60: cameras 2 and 3) or "xset" (ntu120:
            even setups).

    Raises:
        PosewireError: the set has no such protocol.
    """
    known = PROTOCOLS.get(clips.name, ())
    if protocol not in known:
        raise PosewireError(f"protocol {protocol!r} of {clips.name}: expected one of {', '.join(known) or 'none'}")
    if protocol == "xsub":
        subjects = TRAIN_SUBJECTS_60 if clips.name == "ntu60" else TRAIN_SUBJECTS_120
        return np.isin(_numbers(clips.subjects), sorted(subjects))
    if protocol == "xview":
        return np.isin(_numbers(clips.cameras), sorted(TRAIN_CAMERAS))
    even: BoolArray = _numbers(clips.setups) % 2 == 0
    return even


def _numbers(column: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.array([int(one[1:]) for one in column.tolist()], np.int64)


def _source(path: Path) -> Source:
    setup, camera, subject, action = (path.stem[at : at + 4] for at in (0, 4, 8, 16))
    return Source(path, size_of(path), (Item(path.stem, int(action[1:]) - 1, subject, camera, setup),))


def _read(source: Source) -> list[Raw | str]:
    with NtuSkeleton(source.path, source.path.stem) as recording:
        return [choose_bodies(list(recording))]


class Tracked(NamedTuple):
    """A body: the N frames it is there in, its joints (N, 25, 3) in metres, and which of them are seen, (N, 25)."""

    times: NDArray[np.int64]
    joints: NDArray[np.float32]
    seen: BoolArray


def choose_bodies(frames: Sequence[SkeletonFrame]) -> Raw | str:
    """The two bodies of a recording (T frames) that move most, by the sensor's ids; see `main_bodies`."""
    places: dict[int, list[tuple[int, int]]] = {}
    for t, frame in enumerate(frames):
        for m, track in enumerate(frame.track_ids.tolist()):
            places.setdefault(track, []).append((t, m))
    bodies = [
        Tracked(
            np.array([t for t, _ in place]),
            np.stack([frames[t].joints[m] for t, m in place]),
            np.stack([frames[t].confidence[m] > 0 for t, m in place]),
        )
        for place in places.values()
    ]
    return main_bodies(bodies, len(frames))


def main_bodies(bodies: Sequence[Tracked], frames: int) -> Raw | str:
    """The two bodies that move most; the one that moves most is body 0.

    Motion is the variance of the joints over time, summed, as the dataset's authors do it; bodies that are noise by
    their length or spread are not taken unless there is no other. Kinect gives a person who was lost a new id: a body
    that is never there together with one chosen before carries that one on. The released code of SMIE takes the first
    two bodies of each frame instead.

    Args:
        bodies: of one clip.
        frames: T of the clip.

    Returns:
        The clip, or why there is none.
    """
    chosen = [body for body in bodies if not _is_noise(body.joints)] or list(bodies)
    chosen.sort(key=lambda body: -float(body.joints.var(axis=0, dtype=np.float64).sum()))
    x = np.zeros((frames, M, V, 3), np.float32)
    seen = np.zeros((frames, M, V), np.bool_)
    for times, joints, known in chosen:
        free = next((m for m in range(M) if not seen[times, m].any()), None)
        if free is not None:
            x[times, free], seen[times, free] = joints, known
    return main_frames(x, seen)


def _is_noise(joints: NDArray[np.float32]) -> bool:
    """Whether a body (T, 25, 3) is too short, or too wide to be a person who stands or sits."""
    extent = np.ptp(joints, axis=1)
    wide = extent[:, 0] > WIDEST * extent[:, 1]
    return len(joints) < SHORTEST or bool(wide.mean() >= WIDE_SHARE)
