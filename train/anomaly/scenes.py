"""Labelled clips of scenes: one person or two, 3-D or 2-D, from archives as `train.datasets.archive` describes them.

On top of those, joints may be (frames, V, 2), image coordinates with y down, or (frames, V, 3) with a visibility in
third place: `meta` says so (units in pixels or of an image), or else that third number always lies in 0 to 1.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.layouts import Layout
from stream.types import Space
from train.datasets.archive import UNITS, Archive, Body, DataError
from train.datasets.labelled import pieces

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
FLAT_WORDS = ("px", "pixel", "image", "visib")
"""What `units` or `frame` of an archive say where its joints are 2-D."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everybody who is seen in a clip or a recording.

    Attributes:
        joints: (T, M, 25, 3) float32, canonical layout: metres in camera axes, or image coordinates with y down and
            z = 0; undefined where the confidence is 0. Slot m is one person throughout where the data know who is who.
        confidence: (T, M, 25) float32 in 0..1; 0 where not seen.
        rate_hz: frames a second.
        space: which of the two coordinates.
        label, subject, name: as the archive has them; `subject` is "" where it does not say.
        start: number of its first frame in what it was cut from.
    """

    joints: Float32Array
    confidence: Float32Array
    rate_hz: float
    space: Space
    label: str
    subject: str
    name: str
    start: int = 0

    @property
    def frames(self) -> int:
        """T."""
        return len(self.joints)

    @property
    def people(self) -> int:
        """M."""
        return self.joints.shape[1]

    def part(self, frames: slice) -> Scene:
        """Some of its frames."""
        first = range(self.frames)[frames].start
        joints, confidence = self.joints[frames], self.confidence[frames]
        return replace(self, joints=joints, confidence=confidence, start=self.start + first)


class SceneArchive(Archive):
    """An archive of either kind, whose items are scenes.

    Attributes:
        flat: whether its joints are 2-D.
        count: M, the people whom its joint names tell apart.
    """

    def _check_joints(self) -> None:
        joints = self._joints
        if joints.ndim != 3 or joints.shape[2] not in (2, 3) or joints.dtype.kind not in "iuf":
            what = f"joints are {joints.dtype} {joints.shape}"
            raise self._error(f"{what}; expected numbers (frames, V, 3), or (frames, V, 2) of an image")

    def _read_scale(self, meta: dict[str, Any]) -> float:
        words = " ".join(str(meta.get(key, "")) for key in ("units", "frame")).lower()
        told = any(word in words for word in FLAT_WORDS)
        self.flat = self._joints.shape[2] == 2 or told or (meta.get("units") is None and self._has_visibility())
        self.count = len(self._people)
        if self.flat:
            return 1.0
        unit = str(meta.get("units")).strip().lower().removesuffix("s").replace("meter", "metre")
        return super()._read_scale(meta if unit in UNITS else meta | {"units": None})

    def _has_visibility(self) -> bool:
        third = self._joints[..., 2]
        return self._joints.dtype.kind == "f" and bool(((third >= 0) & (third <= 1)).all())

    def _body(self, person: tuple[Layout, list[int]], frames: slice, scale: float) -> Body:
        if not self.flat:
            return super()._body(person, frames, scale)
        layout, columns = person
        raw = self._joints[frames][:, columns].astype(np.float64)
        place = np.concatenate((raw[..., :2], np.zeros_like(raw[..., :1])), axis=2)
        seen = place.any(axis=2).astype(np.float32)
        if raw.shape[2] == 3:
            seen *= np.clip(np.nan_to_num(raw[..., 2]), 0, 1).astype(np.float32)
        return Body(*layout.to_canonical(place, seen))

    def scene(self, item: int, frames: tuple[int, int], label: str) -> Scene | None:
        """Frames of an item, from its start, without those at both ends in which nobody is seen; None without any."""
        first = self.offsets[item] + frames[0]
        bodies = [self._body(one, slice(first, self.offsets[item] + frames[1]), self._scale) for one in self._people]
        confidence = np.stack([body.confidence for body in bodies], axis=1)
        seen = np.flatnonzero(confidence.any(axis=(1, 2)))
        if not len(seen):
            return None
        return Scene(
            np.stack([body.joints for body in bodies], axis=1),
            confidence,
            self.fps,
            Space.IMAGE2D if self.flat else Space.CAMERA3D,
            label,
            self.subjects[item],
            self.names[item],
            frames[0],
        ).part(slice(int(seen[0]), int(seen[-1]) + 1))


def read_scenes(path: Path) -> list[Scene]:
    """All clips of an archive in which somebody is seen, recordings cut as `train.datasets.labelled.read_clips` does.

    Raises:
        DataError: it is no such archive, or nobody is seen in it.
    """
    archive = SceneArchive(path)
    cut = list(pieces(archive))
    found = [archive.scene(item, (start, stop), label) for item, (start, stop, label) in cut]
    return _seen(path, "clips", found)


def read_whole(path: Path) -> list[Scene]:
    """The items of an archive uncut, with the label "" where they are recordings.

    Raises:
        DataError: as `read_scenes`.
    """
    archive = SceneArchive(path)
    labels = archive.labels() if archive.trimmed else [""] * len(archive.names)
    lengths = [stop - start for start, stop in pairwise(archive.offsets)]
    found = [archive.scene(item, (0, lengths[item]), label) for item, label in enumerate(labels)]
    return _seen(path, "recordings", found)


def _seen(path: Path, what: str, found: Sequence[Scene | None]) -> list[Scene]:
    kept = [scene for scene in found if scene is not None]
    if not kept:
        raise DataError(path, f"nobody is seen in any of its {len(found)} {what}; expected joints not all 0 or NaN")
    if len(kept) < len(found):
        log.warning("%s: left out %d of %d %s in which nobody is seen", path, len(found) - len(kept), len(found), what)
    return kept
