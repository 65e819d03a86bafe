"""Labelled archives (.npz): trimmed clips, or continuous recordings.

`joints` (frames, V, 3), 0 or NaN where missing; `offsets` (N + 1,), item i is frames offsets[i] to offsets[i + 1];
`joint_names` (V,), each prefixed `A_` or `B_` where there are two people; `meta`, JSON with `fps` (else 30) and `units`
(else told from the numbers). Clips have `label` (N,). Recordings have action points (`tag_sequence`; `tag_frame`,
counted from the recording's start; `tag_label`) or `frame_label` (frames,), which indexes `label_names`; and may have
`timestamp_us` (frames,). Both may have `subject` (N,) and, for their names, `clip` or `sequence` (N,).
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import PosewireError
from stream.layouts import SPINE_BASE, SPINE_SHOULDER, Layout, layout_for_names

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
FPS = 30.0
LONGEST_GAP = 1.0
"""Seconds between two frames; timestamps with a longer gap are not believed."""
TORSO = 0.5
"""Metres from SpineBase to SpineShoulder, roughly: what tells the unit of numbers that have none."""
PEOPLE = ("A_", "B_")
UNITS = {"mm": 0.001, "millimetre": 0.001, "cm": 0.01, "centimetre": 0.01, "m": 1.0, "metre": 1.0}
"""Metres in each; plurals and American spelling are understood too."""
NEEDED = ("joints", "offsets", "joint_names")
TAGS = ("tag_sequence", "tag_frame", "tag_label")
FRAMES = ("frame_label", "label_names")
KEYS = (*NEEDED, *TAGS, *FRAMES, "meta", "label", "subject", "clip", "sequence", "timestamp_us")
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, MemoryError, TokenError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for damaged archives."""


class DataError(PosewireError):
    """A labelled archive is not what it should be: one line that says what is wrong and what was expected."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")


@dataclass(frozen=True, slots=True)
class Body:
    """One person in the canonical layout.

    Attributes:
        joints: (T, 25, 3) float32, metres in camera axes, finite; undefined where confidence is 0.
        confidence: (T, 25) float32, 0 where not seen.
    """

    joints: Float32Array
    confidence: Float32Array


class Archive:
    """A labelled archive, checked.

    Attributes:
        trimmed: whether its N items are clips, not recordings.
        offsets: (N + 1,) frames at which the items begin, and the end of the last.
        names, subjects: (N,); subjects are "" where the archive has none.
        fps: frames per second, nominally.

    Raises:
        DataError: at any time; it is no such archive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays = _load(path)
        self._require(*NEEDED)
        self.trimmed = "label" in self._arrays
        if not self.trimmed:
            own = next((keys for keys in (TAGS, FRAMES) if self._arrays.keys() & set(keys)), ("label",))
            self._require(*own)
        self._joints = self._arrays["joints"]
        self._check_joints()
        self.offsets = self._read_offsets()
        count = len(self.offsets) - 1
        self.subjects = self._strings("subject", count) if "subject" in self._arrays else [""] * count
        key = next((key for key in ("clip", "sequence") if key in self._arrays), None)
        self.names = [str(i) for i in range(count)] if key is None else self._strings(key, count)
        self._people = self._read_people()
        meta = self._read_meta()
        self.fps, self._scale = self._read_fps(meta), self._read_scale(meta)

    def bodies(self, start: int, stop: int) -> tuple[Body, ...]:
        """Those who are seen in the given frames of the archive."""
        found = (self._body(person, slice(start, stop), self._scale) for person in self._people)
        return tuple(body for body in found if body.confidence.any())

    def times(self, item: int) -> FloatArray:
        """Seconds of the frames of an item from its first, by its timestamps where those can be believed."""
        start, stop = self.offsets[item : item + 2]
        if "timestamp_us" in self._arrays:
            stamps = self._integers("timestamp_us", len(self._joints))[start:stop]
            times: FloatArray = (stamps - stamps[:1]).astype(np.float64) / 1e6
            steps = np.diff(times)
            if ((steps > 0) & (steps <= LONGEST_GAP)).all():
                return times
        return np.arange(stop - start) / self.fps

    def labels(self) -> list[str]:
        """(N,) of trimmed clips."""
        return self._strings("label", len(self.names))

    def tags(self) -> list[tuple[int, int, str]]:
        """Item, frame from its start, and label of each action point, in the archive's order."""
        if "tag_label" not in self._arrays:
            return []
        labels = self._strings("tag_label")
        items, frames = (self._integers(key, len(labels)).tolist() for key in ("tag_sequence", "tag_frame"))
        tags = list(zip(items, frames, labels, strict=True))
        for i, (item, frame, _) in enumerate(tags):
            if not 0 <= item < len(self.names):
                raise self._error(f"tag_sequence[{i}] is {item}; expected 0 to {len(self.names) - 1}")
            length = self.offsets[item + 1] - self.offsets[item]
            if not 0 <= frame < length:
                raise self._error(f"tag_frame[{i}] is {frame}; recording {item} has {length} frames")
        return tags

    def frame_labels(self) -> list[str] | None:
        """The label of each frame of the archive, or None where frames have none."""
        if "frame_label" not in self._arrays:
            return None
        names = self._strings("label_names")
        index = self._integers("frame_label", len(self._joints)).tolist()
        if wrong := [i for i in index if not 0 <= i < len(names)]:
            raise self._error(f"frame_label has {wrong[0]}; expected 0 to {len(names) - 1}, as there are label_names")
        return [names[i] for i in index]

    def _error(self, message: str) -> DataError:
        return DataError(self._path, message)

    def _require(self, *keys: str) -> None:
        if lacking := [key for key in keys if key not in self._arrays]:
            kinds = f"label, or {', '.join(TAGS)}, or {', '.join(FRAMES)}"
            raise self._error(f"lacks {', '.join(lacking)}; expected {', '.join(NEEDED)}, and {kinds}")

    def _integers(self, key: str, count: int | None = None) -> NDArray[Any]:
        return self._column(key, "iu", "integers", count)

    def _strings(self, key: str, count: int | None = None) -> list[str]:
        column = self._column(key, "USiu", "strings", count)
        if column.dtype.kind == "S":
            column = np.char.decode(column, "utf-8", "replace")
        return [str(value) for value in column.tolist()]

    def _column(self, key: str, kinds: str, what: str, count: int | None) -> NDArray[Any]:
        column = self._arrays[key]
        if column.ndim != 1 or column.dtype.kind not in kinds or count not in (None, len(column)):
            length = "N" if count is None else count
            raise self._error(f"{key} is {column.dtype} {column.shape}; expected {what} ({length},)")
        return column

    def _check_joints(self) -> None:
        if self._joints.ndim == 3 and self._joints.shape[2] == 2:
            raise self._error("joints are 2-D, of an image; this model takes 3-D joints")
        if self._joints.ndim != 3 or self._joints.shape[2] != 3 or self._joints.dtype.kind not in "iuf":
            raise self._error(f"joints are {self._joints.dtype} {self._joints.shape}; expected numbers (frames, V, 3)")

    def _read_offsets(self) -> list[int]:
        offsets: list[int] = self._integers("offsets").tolist()
        if len(offsets) < 2:
            raise self._error(f"offsets has {len(offsets)} entries; expected one more than there are clips")
        for i, (before, after) in enumerate(pairwise(offsets), 1):
            if not 0 <= before <= after <= len(self._joints):
                raise self._error(f"offsets[{i}] is {after} after {before}; expected 0 rising to {len(self._joints)}")
        return offsets

    def _read_people(self) -> list[tuple[Layout, list[int]]]:
        """Layout and joints of each person."""
        names = self._strings("joint_names", self._joints.shape[1])
        by_prefix = [[v for v, name in enumerate(names) if name.startswith(prefix)] for prefix in PEOPLE]
        people = [columns for columns in by_prefix if columns]
        if not people:
            people, cut = [list(range(len(names)))], 0
        else:
            cut = len(PEOPLE[0])
        if sum(map(len, people)) < len(names):
            other = next(name for name in names if not name.startswith(PEOPLE))
            raise self._error(f"joint name {other[:40]!r} lacks the prefix {' or '.join(PEOPLE)} that others have")
        try:
            return [(layout_for_names([names[v][cut:] for v in columns]), columns) for columns in people]
        except PosewireError as error:
            raise self._error(str(error)) from error

    def _read_meta(self) -> dict[str, Any]:
        text = str(self._arrays["meta"]) if "meta" in self._arrays else "{}"
        try:
            meta = json.loads(text)
        except (ValueError, RecursionError):
            meta = None
        if not isinstance(meta, dict):
            raise self._error(f'meta is {text[:40]!r}; expected a JSON object such as {{"fps": 30, "units": "mm"}}')
        return meta

    def _read_fps(self, meta: dict[str, Any]) -> float:
        fps = meta.get("fps") or FPS
        if not isinstance(fps, int | float) or not 0 < fps <= 1000:
            raise self._error(f"meta has fps {str(fps)[:40]!r}; expected a number up to 1000")
        return float(fps)

    def _read_scale(self, meta: dict[str, Any]) -> float:
        """Metres in a unit of the joints."""
        units = meta.get("units")
        unit = str(units).strip().lower().removesuffix("s").replace("meter", "metre")
        scale = self._guess_scale() if units is None else UNITS.get(unit)
        if scale is None:
            raise self._error(f"meta has units {str(units)[:40]!r}; this model takes 3-D joints in mm, cm or m")
        return scale

    def _guess_scale(self) -> float:
        """Metres in a unit of the joints: integers are mm; else what makes the median torso most like a person's."""
        if self._joints.dtype.kind != "f":
            return UNITS["mm"]
        frames = slice(None, None, max(len(self._joints) // 1000, 1))
        lengths = []
        for person in self._people:
            body = self._body(person, frames, 1.0)
            ends = body.joints[:, [SPINE_BASE, SPINE_SHOULDER]]
            seen = (body.confidence[:, [SPINE_BASE, SPINE_SHOULDER]] > 0).all(axis=1)
            lengths += np.linalg.norm(ends[seen, 0] - ends[seen, 1], axis=1).tolist()
        torso = float(np.median(lengths)) if lengths else 0.0
        if torso <= 0:
            return UNITS["m"]
        return min((UNITS["mm"], UNITS["cm"], UNITS["m"]), key=lambda scale: abs(math.log(torso * scale / TORSO)))

    def _body(self, person: tuple[Layout, list[int]], frames: slice, scale: float) -> Body:
        layout, columns = person
        raw = self._joints[frames][:, columns].astype(np.float64)
        return Body(*layout.to_canonical(raw * scale, raw.any(axis=2).astype(np.float32)))


def _load(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataError(path, "not found; expected an .npz archive of labelled clips or recordings")
    if not zipfile.is_zipfile(path):
        raise DataError(path, "not an .npz archive; expected one of labelled clips or recordings")
    try:
        # Opened here, because numpy leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in KEYS if key in archive.files}
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise DataError(path, f"cannot be read ({reason}); expected arrays of numbers and strings") from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DataError(path, f"{key} is not an array; expected an .npz archive as numpy.savez writes it")
    return arrays
