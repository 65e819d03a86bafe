"""PKU-MMD I and II from a folder tree: recordings cut into clips by their annotations.

Files of one recording have one name, `0002-L.txt` in phase 1 and `A01N02-L.txt` in phase 2 (N: the subject); L, M and R
are the cameras. Label files are those below a folder with "label" in its name (`Train_Label_PKU_final`), with lines
`class,start,end,confidence`: class 1 to 51 in alphabetical order, frames from 0, the end not included. Phase 2 has 41
of the classes, with the numbers of phase 1. The others are skeletons (see `stream.sources.pku`). A file
`cross-subject.txt` (phase 2: `cross_subject_v2.txt`) lists names after "Training videos:" and "Validataion videos:"
(sic). Sources: Liu et al., "PKU-MMD", 2017, and the dataset's own notes.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream.errors import PosewireError
from stream.sources.pku import PkuText
from stream.sources.text_lines import TextLines
from stream.types import SkeletonFrame
from train.datasets.archive import DataError
from train.datasets.clip_journal import Report
from train.datasets.clip_set import ClipSet
from train.datasets.clip_sources import Item, M, Raw, Source, V, main_frames, size_of
from train.datasets.clip_store import build, empty_set
from train.datasets.described import PUBLISHED, class_names

BoolArray = NDArray[np.bool_]
Name = Literal["pku1", "pku2"]
RECORDING = {"pku1": re.compile(r"\d{4}-[LMR]"), "pku2": re.compile(r"A\d\dN\d\d-[LMR]")}
WHO = {"pku1": slice(0, 4), "pku2": slice(3, 6)}
"""Of a recording's name: its number in phase 1, its subject in phase 2."""
EXAMPLE = {"pku1": "0002-L.txt", "pku2": "A01N02-L.txt"}
SPLIT = {"pku1": re.compile(r"cross[-_]subject\.txt"), "pku2": re.compile(r"cross[-_]subject[-_]v2\.txt")}
PROTOCOLS = ("xsub", "xview")
TRAIN_CAMERAS = ("M", "R")
TEST_RECORDINGS = frozenset(f"{number:04}" for number in range(291, 335))
TEST_SUBJECTS = frozenset(("N02", "N03", "N07"))
"""What the published cross-subject splits list for testing: 132 of 1076 recordings in phase 1."""
TRAIN, TEST = "train", "test"
NEVER = 2**31 - 1
log = logging.getLogger(__name__)


def read_pku(tree: Path, name: Name, store: Path, *, workers: int = 1, report: Report | None = None) -> ClipSet:
    """The clips of a tree, kept in a store: see `train.datasets.clip_store.build`.

    Args:
        tree: holds skeletons, labels and, if there, the split file, at any depth.
        name: phase 1 or 2; the tree may have both.
        store: folder of the store.
        workers: processes that read.
        report: where progress goes.

    Returns:
        Clips in the order of their recordings and annotations, with names like `0002-L:0`. `subjects` are N01 ... (""
        in phase 1, which does not name them), `cameras` L, M or R; `setups` are "train" or "test", the recording's half
        of the cross-subject split: by the tree's split file (test: all that it does not list for training), or without
        one by the published split.

    Raises:
        DataError: the tree has no recording with labels, none can be used, its split file is broken, or the store
            cannot be written.
    """
    if not tree.is_dir():
        raise DataError(tree, f"no such folder; expected the skeletons and labels of {name}")
    skeletons, labels, split = _find(tree, name)
    training = None if split is None else _read_split(split, name)
    if training is None:
        log.info("%s: no cross-subject split file; taking the published split", tree)
    left_out = dict.fromkeys(labels.keys() - skeletons.keys(), "no skeletons for its labels")
    sources = []
    for stem, path in sorted(skeletons.items()):
        try:
            items = list(_items(name, stem, labels, training))
        except PosewireError as error:
            left_out[stem] = str(error)
        else:
            sources.append(Source(path, size_of(path), tuple(items)))
    for stem, reason in sorted(left_out.items()):
        log.warning("%s left out: %s", stem, reason)
    if not any(source.items for source in sources):
        raise DataError(tree, f"no recording of {name} with labels; expected skeletons and labels {EXAMPLE[name]} ...")
    empty = empty_set(name, class_names(name))
    return build(store, empty, sources, _read, left_out=left_out, workers=workers, report=report)


def train_rows(clips: ClipSet, protocol: str) -> BoolArray:
    """Which clips are for training by a protocol: (N,); the others are for testing.

    Args:
        clips: of `read_pku`.
        protocol: "xsub", or "xview" (trained on cameras M and R).

    Raises:
        PosewireError: there is no such protocol.
    """
    if protocol == "xsub":
        train: BoolArray = clips.setups == TRAIN
        return train
    if protocol == "xview":
        return np.isin(clips.cameras, TRAIN_CAMERAS)
    raise PosewireError(f"protocol {protocol!r} of {clips.name}: expected one of {', '.join(PROTOCOLS)}")


def performances(clips: ClipSet) -> NDArray[np.str_]:
    """What was recorded in each clip, (N,): its recording's name less the camera's letter, the same in all views.

    Args:
        clips: of `read_pku`.
    """
    return np.array([name.partition("-")[0] for name in clips.names.tolist()], np.str_)


def _find(tree: Path, name: Name) -> tuple[dict[str, Path], dict[str, Path], Path | None]:
    """Skeletons and labels by recording, and the split file."""
    skeletons: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    split = None
    for path in sorted(Path(folder, file) for folder, _, files in os.walk(tree) for file in files):
        if SPLIT[name].fullmatch(path.name):
            split = split or path
        elif path.suffix == ".txt" and RECORDING[name].fullmatch(path.stem):
            is_label = any("label" in part.lower() for part in path.relative_to(tree).parts[:-1])
            (labels if is_label else skeletons).setdefault(path.stem, path)
    return skeletons, labels, split


def _read_split(path: Path, name: Name) -> frozenset[str]:
    """The recordings for training."""
    found: dict[str, set[str]] = {}
    half = None
    with TextLines.of(path) as lines:
        while (line := lines.read()) is not None:
            text = line.decode("latin-1")
            if text.lower().startswith(("training", "valid", "test")):
                half = TRAIN if text.lower().startswith("training") else TEST
                text = text.partition(":")[2]
            for stem in filter(None, map(str.strip, text.split(","))):
                if half is None or not RECORDING[name].fullmatch(stem):
                    expected = f"expected 'Training videos:', then names like {EXAMPLE[name].removesuffix('.txt')}"
                    raise lines.fault(f"{stem[:24]!a}; {expected}")
                found.setdefault(half, set()).add(stem)
    if TRAIN not in found:
        raise DataError(path, "no recording for training; expected names after 'Training videos:'")
    return frozenset(found[TRAIN])


def _items(name: Name, stem: str, labels: dict[str, Path], training: frozenset[str] | None) -> Iterator[Item]:
    """The annotated clips of a recording.

    Raises:
        PosewireError: it has no labels, or they cannot be read.
    """
    if stem not in labels:
        raise PosewireError("no labels for its skeletons")
    who, camera = stem[WHO[name]], stem[-1]
    held_out = TEST_RECORDINGS if name == "pku1" else TEST_SUBJECTS
    trains = who not in held_out if training is None else stem in training
    subject = "" if name == "pku1" else who
    expected = "class,start,end,confidence"
    with TextLines.of(labels[stem]) as lines:
        place = 0
        while (line := lines.read()) is not None:
            if not line:
                continue
            fields = line.replace(b",", b" ").split()
            if len(fields) not in (3, 4):
                raise lines.fault(f"{len(fields)} columns; expected {expected}")
            label = lines.integer(fields[0], 1, PUBLISHED[name][1], "the class")
            start, stop = (lines.integer(field, 0, NEVER, "a frame") for field in fields[1:3])
            yield Item(f"{stem}:{place}", label - 1, subject, camera, TRAIN if trains else TEST, (start, stop))
            place += 1


def _read(source: Source) -> list[Raw | str]:
    with PkuText(source.path, source.path.stem) as recording:
        frames = list(recording)
    return [_cut(frames, item.span or (0, len(frames))) for item in source.items]


def _cut(frames: Sequence[SkeletonFrame], span: tuple[int, int]) -> Raw | str:
    """One clip; an end beyond the recording is its end."""
    start, stop = span
    part = frames[start:stop]
    if not part:
        return f"annotated from frame {start} to {stop} of {len(frames)}; expected a start before the end"
    x = np.zeros((len(part), M, V, 3), np.float32)
    seen = np.zeros((len(part), M, V), np.bool_)
    for (t, frame), bodies in zip(enumerate(part), _places(part), strict=True):
        x[t, bodies], seen[t, bodies] = frame.joints, frame.confidence > 0
    return main_frames(x, seen)


def _places(frames: Sequence[SkeletonFrame]) -> Iterator[list[int]]:
    """Which body each one of a frame is: the file's columns, as the reader leaves out bodies that are absent.

    Someone who is alone after two were seen is the one who was nearer.
    """
    last: dict[int, NDArray[np.float32]] = {}
    for frame in frames:
        centres = [joints[known].mean(axis=0) for joints, known in zip(frame.joints, frame.confidence > 0, strict=True)]
        bodies = list(range(len(centres)))
        if len(centres) == 1 and len(last) == M:
            bodies = [min(last, key=lambda m: float(np.linalg.norm(centres[0] - last[m])))]
        last.update(zip(bodies, centres, strict=True))
        yield bodies
