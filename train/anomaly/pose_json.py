"""Poses that AlphaPose and OpenPose wrote: one video of each as a scene, with a slot for each person.

AlphaPose's results are one JSON file a video: a list of people found, `image_id`, `keypoints` [x, y, confidence, ...]
and, where it tracked them, `idx`; or, as sets of tracked poses are passed on, an object of person, then of frame.
OpenPose writes a JSON file a frame, in whose `people` each has `pose_keypoints_2d` of the same form.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stream.layouts import Layout, layout
from stream.types import Space
from train.anomaly.scenes import Scene
from train.datasets.archive import DataError

FloatArray = NDArray[np.float64]
MOST_PEOPLE = 10
"""In a scene; the surest are kept where more are seen at once."""
LONGEST = 200_000
"""Frames of a video; a higher number is a mistake in a file's name."""
LARGEST = 2**30
"""Bytes of a file."""
_BODY_25 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
"""Where OpenPose's 18 joints are among its 25."""
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a frame.

    Attributes:
        frame: its number as the file says it.
        keypoints: (K, 3) x, y in pixels, y down, and confidence; 0 where not found.
        track: who it is, where that was told; else "".
    """

    frame: int
    keypoints: FloatArray
    track: str = ""

    @property
    def sure(self) -> float:
        """The sum of the joints' confidences."""
        return float(self.keypoints[:, 2].sum())


def layout_of(joints: int) -> tuple[Layout, Sequence[int]] | None:
    """The layout of so many joints of these two tools, and which of them it takes."""
    if joints == 18:
        return layout("openpose"), range(18)
    if joints == 25:
        return layout("openpose"), _BODY_25
    # Halpe's 26 and 136 and COCO's 133 joints of the whole body begin with COCO's 17.
    return (layout("coco"), range(17)) if joints in (17, 26, 133, 136) else None


def read_alphapose(path: Path) -> list[Person]:
    """Everybody in AlphaPose's results of one video.

    Raises:
        DataError: it is no such file.
    """
    found = _load(path)
    if isinstance(found, Mapping):
        return [_person(path, frame, one, str(track)) for track, frame, one in _by_track(path, found)]
    if not isinstance(found, list):
        raise DataError(path, "not AlphaPose's results; expected a list of people, each with image_id and keypoints")
    names: dict[str, int] = {}
    people = []
    for one in found:
        if not isinstance(one, Mapping) or "image_id" not in one:
            raise DataError(path, "an entry lacks image_id; expected AlphaPose's image_id, keypoints and score")
        name = str(one["image_id"])
        digits = _NUMBERS.findall(name.rsplit("/", 1)[-1])
        frame = int(digits[-1]) if digits else names.setdefault(name, len(names))
        people.append(_person(path, frame, one, _track(one.get("idx", one.get("track_id")))))
    return people


def read_openpose(paths: Sequence[Path]) -> list[Person]:
    """Everybody in OpenPose's files of one video; the number of a frame is the last one in the file's name.

    Raises:
        DataError: one is no such file.
    """
    people = []
    for place, path in enumerate(sorted(paths)):
        found = _load(path)
        if not isinstance(found, Mapping) or not isinstance(found.get("people"), list):
            raise DataError(path, 'lacks "people"; expected OpenPose\'s file of one frame')
        digits = _NUMBERS.findall(path.stem)
        for one in found["people"]:
            if not isinstance(one, Mapping):
                raise DataError(path, "one of its people is no object; expected pose_keypoints_2d of each")
            frame = int(digits[-1]) if digits else place
            people.append(_person(path, frame, one, _track(one.get("person_id")), "pose_keypoints_2d"))
    return people


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(path, f"{path.stat().st_size} bytes; expected at most {LARGEST}")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror}); expected a JSON file of poses") from error
    except (ValueError, RecursionError) as error:
        raise DataError(path, "not JSON; expected poses by AlphaPose or OpenPose") from error


def _by_track(path: Path, found: Mapping[str, Any]) -> Iterator[tuple[str, int, Any]]:
    for track, frames in found.items():
        if not isinstance(frames, Mapping) or not all(str(frame).isdigit() for frame in frames):
            raise DataError(path, f"person {track[:40]!r} has no frames; expected person, then frame, then keypoints")
        for frame, one in frames.items():
            yield track, int(frame), one


def _track(value: object) -> str:
    """Who somebody is: a number, perhaps in a list; a negative one, or none, says nothing."""
    while isinstance(value, list) and value:
        value = value[0]
    return str(int(value)) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else ""


def _person(path: Path, frame: int, one: Any, track: str, key: str = "keypoints") -> Person:
    try:
        numbers = np.asarray(one[key], np.float64).reshape(-1, 3)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(path, f"frame {frame}: no {key}; expected x, y, confidence of each joint") from error
    if layout_of(len(numbers)) is None:
        raise DataError(path, f"frame {frame}: {len(numbers)} joints; expected 17, 18, 25, 26, 133 or 136")
    if not 0 <= frame <= LONGEST:
        raise DataError(path, f"a frame's number is {frame}; expected 0 to {LONGEST}")
    good = np.isfinite(numbers).all(axis=1) & (numbers[:, 2] > 0)
    return Person(frame, np.where(good[:, None], numbers, 0.0), track)


def scene_of(people: Sequence[Person], frames: int, rate_hz: float, label: str, name: str, slots: int) -> Scene:
    """People of one video as a scene of so many frames, from 0, with `slots` for people.

    Who was tracked keeps a slot while being tracked; others get the slot of whoever was nearest in the frame before.
    """
    joints = np.zeros((frames, slots, 25, 3), np.float32)
    confidence = np.zeros((frames, slots, 25), np.float32)
    by_frame: dict[int, list[Person]] = defaultdict(list)
    for person in people:
        by_frame[person.frame].append(person)
    seats = _Seats(slots)
    for frame in sorted(by_frame):
        surest = sorted(by_frame[frame], key=lambda person: -person.sure)[:slots]
        for person, slot in zip(surest, seats.take(frame, surest), strict=True):
            found = layout_of(len(person.keypoints))
            assert found is not None  # `_person` has seen to it
            known, kept = found
            numbers = person.keypoints[list(kept)]
            place = np.concatenate((numbers[:, :2], np.zeros((len(numbers), 1))), axis=1)
            sure = np.clip(numbers[:, 2], 0, 1)
            joints[frame, slot], confidence[frame, slot] = known.to_canonical(place, sure)
    return Scene(joints, confidence, rate_hz, Space.IMAGE2D, label, "", name)


class _Seats:
    """Who has which slot."""

    def __init__(self, slots: int) -> None:
        self._tracks = [""] * slots
        self._places = np.full((slots, 2), np.nan)
        self._last = np.full(slots, -1)

    def take(self, frame: int, people: Sequence[Person]) -> list[int]:
        """The slot of each of the people of a frame, all different."""
        centres = np.array([_centre(person) for person in people]).reshape(-1, 2)
        # One's own slot is the best, then the nearest one of nobody else, then the one that was free the longest.
        away = np.linalg.norm(centres[:, None] - self._places[None], axis=2)
        cost = np.where(np.isnan(away), 1e6, away) + 1e-3 * np.maximum(self._last, 0)
        for row, person in enumerate(people):
            for slot, track in enumerate(self._tracks):
                if person.track and person.track == track:
                    cost[row, slot] = -1e9
                elif person.track != track:
                    cost[row, slot] = 2e6 + self._last[slot]
        _, slots = linear_sum_assignment(cost)
        for person, slot, centre in zip(people, slots.tolist(), centres, strict=True):
            self._tracks[slot], self._places[slot], self._last[slot] = person.track, centre, frame
        return [int(slot) for slot in slots]


def _centre(person: Person) -> FloatArray:
    seen = person.keypoints[person.keypoints[:, 2] > 0, :2]
    return seen.mean(axis=0) if len(seen) else np.zeros(2)
