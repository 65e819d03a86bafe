"""Labelled clips and recordings of anyone's, to judge by; see `train.datasets.archive` for the files' format."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.datasets.archive import FRAMES, TAGS, Archive, Body, DataError

__all__ = ["Body", "Clip", "DataError", "Recording", "Tag", "pieces", "read_clips", "read_recordings", "runs"]

FloatArray = NDArray[np.float64]
AROUND_TAG = 25
"""Frames before, and as many after, an action point that make its clip."""
Run = tuple[int, int, str]
"""First frame, the one after the last, and the label of all frames between."""
log = logging.getLogger(__name__)

SHORTEST_SPAN = 0.2
"""Seconds; shorter segments of frame labels are slips of the annotator."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One action, by one person or two.

    Attributes:
        bodies: those who are seen in it, at least one.
        times: (T,) seconds from 0.
        label, subject, name: as the archive has them; `subject` is "" where it does not say.
    """

    bodies: tuple[Body, ...]
    times: FloatArray
    label: str
    subject: str
    name: str


@dataclass(frozen=True, slots=True)
class Tag:
    """An action point: when, in seconds of its recording, an action called `label` is at its peak."""

    time: float
    label: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A continuous recording and what is done in it.

    Attributes:
        bodies, times, subject, name: as in `Clip`.
        tags: in order of time; none where the archive has no action points.
        frame_labels: (T,) what is done in each frame, or None where the archive does not say.
    """

    bodies: tuple[Body, ...]
    times: FloatArray
    subject: str
    name: str
    tags: tuple[Tag, ...]
    frame_labels: tuple[str, ...] | None


def read_clips(path: Path) -> list[Clip]:
    """All clips of an archive in which somebody is seen; the log counts those that are left out.

    Recordings are cut: 25 frames before and after each action point, or else into the runs of one frame label, the
    background's included, of at least 0.2 s.

    Raises:
        DataError: it is not such an archive, or nobody is seen in it.
    """
    archive = Archive(path)
    clips = []
    cut = list(pieces(archive))
    for item, (start, stop, label) in cut:
        first = archive.offsets[item]
        if bodies := archive.bodies(first + start, first + stop):
            times = archive.times(item)[start:stop]
            name = archive.names[item] + ("" if archive.trimmed else f"[{start}:{stop}]")
            clips.append(Clip(bodies, times - times[0], label, archive.subjects[item], name))
    _count(path, "clips", len(clips), len(cut))
    return clips


def read_recordings(path: Path) -> list[Recording]:
    """All recordings of an untrimmed archive in which somebody is seen; the log counts those that are left out.

    Raises:
        DataError: it is not such an archive, trimmed clips for instance, or nobody is seen in it.
    """
    archive = Archive(path)
    if archive.trimmed:
        raise DataError(
            path,
            f"lacks {', '.join(TAGS)}, or {', '.join(FRAMES)}: it holds trimmed clips; "
            "expected continuous recordings with action points or frame labels",
        )
    tags: list[list[Tag]] = [[] for _ in archive.names]
    for item, frame, label in archive.tags():
        tags[item].append(Tag(float(archive.times(item)[frame]), label))
    labels = archive.frame_labels()
    recordings = []
    for item, (start, stop) in enumerate(pairwise(archive.offsets)):
        if bodies := archive.bodies(start, stop):
            points = tuple(sorted(tags[item], key=lambda tag: tag.time))
            own = None if labels is None else tuple(labels[start:stop])
            times, subject, name = archive.times(item), archive.subjects[item], archive.names[item]
            recordings.append(Recording(bodies, times, subject, name, points, own))
    _count(path, "recordings", len(recordings), len(archive.names))
    return recordings


def runs(labels: Sequence[str]) -> list[Run]:
    """The longest runs of one label in the labels (T,) of frames, in their order."""
    changes = [i for i in range(1, len(labels)) if labels[i] != labels[i - 1]]
    return [(a, b, labels[a]) for a, b in pairwise([0, *changes, len(labels)]) if a < b]


def pieces(archive: Archive) -> Iterator[tuple[int, Run]]:
    """What makes the clips: the item of the archive and the part of it, in frames from its start."""
    lengths = [stop - start for start, stop in pairwise(archive.offsets)]
    if archive.trimmed:
        for item, label in enumerate(archive.labels()):
            yield item, (0, lengths[item], label)
        return
    tags, frame_labels = archive.tags(), archive.frame_labels()
    for item, frame, label in tags:
        yield item, (max(frame - AROUND_TAG, 0), min(frame + AROUND_TAG, lengths[item]), label)
    if tags or frame_labels is None:
        return
    for item, (first, last) in enumerate(pairwise(archive.offsets)):
        for start, stop, label in runs(frame_labels[first:last]):
            if (stop - start) / archive.fps >= SHORTEST_SPAN:
                yield item, (start, stop, label)


def _count(path: Path, what: str, kept: int, found: int) -> None:
    if not kept:
        raise DataError(path, f"nobody is seen in any of its {found} {what}; expected joints that are not all 0 or NaN")
    if kept < found:
        log.warning("%s: left out %d of %d %s in which nobody is seen", path, found - kept, found, what)
