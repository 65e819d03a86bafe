"""Folders of other tools' poses, as holders of RWF-2000, ShanghaiTech and UBnormal have them.

Videos are AlphaPose's JSON files (one a video) or OpenPose's (a folder of one a frame). A video's class is the folder
that it is in (RWF-2000: Fight, NonFight), or its frames are labelled by a `.npy` file called like it, 0 or 1 for each
frame (ShanghaiTech's test_frame_mask). Videos under a folder `train` or `training` teach, the others are judged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.anomaly.pose_json import MOST_PEOPLE, Person, read_alphapose, read_openpose, scene_of
from train.anomaly.scenes import Scene
from train.datasets.archive import DataError

BoolArray = NDArray[np.bool_]
ALPHAPOSE, OPENPOSE = "alphapose", "openpose"
FORMATS = (ALPHAPOSE, OPENPOSE)
TEACHING = frozenset(("train", "training"))
PARTS = frozenset((*TEACHING, "test", "testing", "val", "validation"))
"""Names of folders that are no class."""
_FRAME = re.compile(r"^(.*?)_?(\d+)_keypoints$")
_ENDING = re.compile(r"[-_]alpha-?pose([-_](results|tracked|person))*$")
_RESULTS = re.compile(r"^alpha-?pose[-_]results$")


@dataclass(frozen=True, slots=True)
class Video:
    """One video's poses.

    Attributes:
        scene: labelled by its class; "" where it has none.
        teaches: whether it is of the training part.
        mask: (T,) which of its frames are anomalies; None where they have no labels.
    """

    scene: Scene
    teaches: bool
    mask: BoolArray | None


def read_videos(folder: Path, form: str | None, rate_hz: float) -> list[Video]:
    """All videos in a folder, by name.

    Args:
        folder: see above.
        form: one of `FORMATS`, or None to tell by the files' names.
        rate_hz: frames a second.

    Raises:
        DataError: there are none, files are not what they should be, or masks do not fit.
    """
    files = sorted(folder.rglob("*.json"))
    if not files:
        expected = "poses by AlphaPose or OpenPose; labelled clips are given by their file, FILE.npz"
        raise DataError(folder, f"holds no .json file; expected {expected}")
    form = form or (OPENPOSE if all(_FRAME.match(path.stem) for path in files) else ALPHAPOSE)
    masks = {path.stem: path for path in sorted(folder.rglob("*.npy"))}
    groups = _openpose(files, folder) if form == OPENPOSE else {path: [path] for path in files}
    read: dict[Path, list[Person]] = {
        key: read_openpose(paths) if form == OPENPOSE else read_alphapose(key) for key, paths in groups.items()
    }
    slots = min(max((_crowd(people) for people in read.values()), default=1), MOST_PEOPLE)
    found = []
    for key, people in sorted(read.items()):
        name = _name(key)
        parts = [part.lower() for part in key.relative_to(folder).parts[:-1]]
        mask = _mask(masks[name]) if name in masks else None
        counted = _from_zero(key, people, None if mask is None else len(mask))
        length = max((person.frame for person in counted), default=0) + 1 if mask is None else len(mask)
        label = next((part for part in reversed(key.relative_to(folder).parts[:-1]) if part.lower() not in PARTS), "")
        scene = scene_of(counted, length, rate_hz, label, name, max(slots, 1))
        found.append(Video(scene, bool(TEACHING & set(parts)), mask))
    if lacking := sorted(set(masks) - {video.scene.name for video in found}):
        raise DataError(masks[lacking[0]], "labels the frames of no video; expected poses of its name")
    return found


def _openpose(files: Sequence[Path], folder: Path) -> dict[Path, list[Path]]:
    """Files of frames by video: by the beginning of their names, or by the folder where that says nothing."""
    groups: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        match = _FRAME.match(path.stem)
        if match is None:
            raise DataError(path, "is not called like a frame; expected OpenPose's NAME_000000000000_keypoints.json")
        own = path.parent != folder and (not match[1] or path.parent.name == match[1])
        groups[path.parent if own else path.parent / (match[1] or "video")].append(path)
    return groups


def _name(key: Path) -> str:
    """What a video is called, without what the tools add."""
    stem = key.stem if key.suffix == ".json" else key.name
    return key.parent.name if _RESULTS.match(stem) else _ENDING.sub("", stem)


def _crowd(people: Sequence[Person]) -> int:
    counts: dict[int, int] = defaultdict(int)
    for person in people:
        counts[person.frame] += 1
    return max(counts.values(), default=0)


def _from_zero(path: Path, people: Sequence[Person], length: int | None) -> list[Person]:
    """Frames counted from 0, as most tools do; those of a file that counts from 1 are told by the mask's length."""
    if not people:
        return []
    first, last = min(person.frame for person in people), max(person.frame for person in people)
    shift = 0
    if length is not None and last >= length:
        if last - 1 >= length or first < 1:
            raise DataError(path, f"has a frame {last}; its mask is of {length} frames")
        shift = 1
    return [Person(person.frame - shift, person.keypoints, person.track) for person in people]


def _mask(path: Path) -> BoolArray:
    try:
        with path.open("rb") as file:
            mask = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(path, "cannot be read; expected a .npy file with 0 or 1 for each frame") from error
    if not isinstance(mask, np.ndarray) or mask.ndim != 1 or not len(mask) or not np.isin(mask, (0, 1)).all():
        raise DataError(path, "not a mask; expected 0 or 1 for each frame")
    return mask.astype(bool)
