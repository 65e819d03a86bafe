"""The papers' figures on folders of other tools' poses: AUROC of frames by masks, accuracy of clips by folders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.anomaly.encoding import Cut, Windows
from train.anomaly.folds import Fold
from train.anomaly.judging import NotJudgeable, Task, figures, per_label, ranking, score
from train.anomaly.pose_files import Video
from train.anomaly.scenes import Scene
from train.anomaly.scoring import Scored, Sight, together

BoolArray = NDArray[np.bool_]
FRAME_CUT = Cut(2.0, 0.2)
"""Windows of videos whose frames are judged: each frame is scored by the one in whose middle it is."""
BY_VIDEO = 5
"""Folds, where no videos are for learning."""
FIGHT = "fight"
"""The class that is an anomaly where nothing else is said, in small letters, as in RWF-2000."""


def masked(videos: Sequence[Video]) -> bool:
    """Whether frames have labels."""
    return any(video.mask is not None for video in videos)


def positives(videos: Sequence[Video], named: Collection[str]) -> tuple[str, ...]:
    """The classes that are anomalies: those named, or `FIGHT`.

    Raises:
        NotJudgeable: none is named, and there is no such class.
    """
    classes = sorted({video.scene.label for video in videos})
    found = tuple(named) or tuple(name for name in classes if name.lower() == FIGHT)
    if not found:
        raise NotJudgeable(f"no class {FIGHT!r} among {', '.join(map(repr, classes))}; expected --positive, or masks")
    return found


def judge_classes(videos: Sequence[Video], sights: Sequence[Sight], positive: Collection[str]) -> dict[str, Any]:
    """Figures of whole videos, as `train.anomaly.judging.figures`, and "per_label".

    Where some videos teach, only the others are judged, and normal is what those that teach show.

    Raises:
        NotJudgeable: there are not some of each kind.
    """
    scenes = [replace(video.scene, subject=str(place)) for place, video in enumerate(videos)]
    task = Task.of(scenes, positive)
    teach = np.array([video.teaches for video in videos])
    if not teach.any() or teach.all():
        return _classes(task, scenes, sights, np.ones(len(videos), bool))
    normal = teach & ~task.positive
    if int(normal.sum()) < 2 or task.positive[~teach].all() or not task.positive[~teach].any():
        raise NotJudgeable("its training part teaches nothing normal, or its test part has clips of one kind only")
    # Those who teach are judged by each other, which gives the threshold; the test part by all of them.
    half = np.cumsum(normal) % 2 == 0
    folds = (Fold(~teach, normal), Fold(teach & half, normal & ~half), Fold(teach & ~half, normal & half))
    return _classes(replace(task, normal=normal, folds=folds, by="parts"), scenes, sights, ~teach)


def _classes(task: Task, scenes: Sequence[Scene], sights: Sequence[Sight], judged: BoolArray) -> dict[str, Any]:
    scored = score(task, sights)
    return figures(scored, task, judged) | {"per_label": per_label(scored, scenes, task, judged)}


def judge_frames(videos: Sequence[Video], sights: Sequence[Sight]) -> dict[str, Any]:
    """Figures of single frames, all videos' together, as the papers of these sets have them.

    Where some videos teach, all that they show is normal; else the normal frames of other videos are.

    Returns:
        "auroc", "ap" (of the product), "by_score", "ap_by_score", "eer_accuracy", "frames", "positive_frames",
        "videos".

    Raises:
        NotJudgeable: there are not frames of each kind, or fewer than two videos to learn from.
    """
    teach = np.array([video.teaches for video in videos])
    judged = np.array([video.mask is not None and not video.teaches for video in videos])
    if not judged.any():
        raise NotJudgeable("no mask belongs to a video outside of the training part; expected masks of test videos")
    truth = np.concatenate(
        [video.mask for video, kept in zip(videos, judged, strict=True) if kept and video.mask is not None]
    )
    if truth.all() or not truth.any():
        raise NotJudgeable("its masks are all 0 or all 1; expected frames of each kind")
    if teach.any():
        folds = [Fold(judged, teach)]
        normal = [np.ones(video.scene.frames, bool) for video in videos]
    else:
        number = np.arange(len(videos)) % min(BY_VIDEO, len(videos))
        folds = [Fold(number == k, number != k) for k in range(int(number.max()) + 1)]
        normal = [np.zeros(v.scene.frames, bool) if v.mask is None else ~v.mask for v in videos]
    scored = together([_by_frame(one, videos, folds, normal) for one in sights])
    frames = np.concatenate([np.full(v.scene.frames, kept) for v, kept in zip(videos, judged, strict=True)])
    kept = scored.rows(frames)
    return {
        **ranking(kept, truth),
        "frames": len(truth),
        "positive_frames": int(truth.sum()),
        "videos": int(judged.sum()),
    }


def _by_frame(sight: Sight, videos: Sequence[Video], folds: Sequence[Fold], normal: Sequence[BoolArray]) -> Scored:
    """Scores of all frames of all videos, one after the other."""
    windows = sight.windows
    pure = np.array(
        [
            bool(normal[clip][first : last + 1].all())
            for clip, first, last in zip(windows.clip, windows.first, windows.last, strict=True)
        ]
    )
    try:
        scored = sight.scored_windows(folds, pure)
    except ValueError as error:
        raise NotJudgeable(f"too little of its videos is normal ({error})") from error
    rows = np.concatenate([nearest(windows, place, video.scene.frames) for place, video in enumerate(videos)])
    return scored.rows(rows)


def nearest(windows: Windows, clip: int, frames: int) -> NDArray[np.int64]:
    """For each frame of a clip the window in whose middle it is, or nearest to it."""
    own = np.flatnonzero(windows.clip == clip)
    middle = (windows.first[own] + windows.last[own]) / 2
    found: NDArray[np.int64] = own[np.abs(np.arange(frames)[:, None] - middle[None]).argmin(axis=1)]
    return found
