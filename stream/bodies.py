"""The bodies of many frames in the canonical layout, stacked: what each frame takes is taken once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from stream.layouts import CANONICAL, layout
from stream.types import Float32Array, Int64Array, SkeletonFrame


@dataclass(slots=True)
class Bodies:
    """B bodies, those of the first of F frames, those of the second ...

    Attributes:
        joints: (B, 25, 3) float32, finite.
        confidence: (B, 25) float32.
        seen: (B, 25) where that is above 0; at least one joint of each body is.
        sensor_ids: (B,) int64, the sensors' own body ids, or `NO_TRACK`.
        starts: F + 1 numbers: those of frame f are from `starts[f]` to before `starts[f + 1]`.
    """

    joints: Float32Array
    confidence: Float32Array
    seen: NDArray[np.bool_]
    sensor_ids: Int64Array
    starts: list[int]

    @classmethod
    def of(cls, frames: Sequence[SkeletonFrame]) -> Bodies:
        """Those of which anything is seen in these frames, at least one; the others are nowhere, and nobody.

        Raises:
            PosewireError: a frame has not the joints of its layout.
        """
        starts = list(accumulate((len(frame.joints) for frame in frames), initial=0))
        joints, confidence = _canonical(frames, starts)
        sensor_ids = np.concatenate([frame.track_ids for frame in frames])
        seen = confidence > 0
        someone = seen.any(axis=1)
        if np.count_nonzero(someone) < len(someone):
            starts = np.concatenate(([0], np.cumsum(someone)))[starts].tolist()
            joints, confidence, seen = joints[someone], confidence[someone], seen[someone]
            sensor_ids = sensor_ids[someone]
        return cls(joints, confidence, seen, sensor_ids, starts)

    def part(self, frames: Sequence[int]) -> slice | list[int]:
        """Where those of some frames are; their numbers ascend, and are at least one."""
        first, last = frames[0], frames[-1]
        if last - first + 1 == len(frames):
            return slice(self.starts[first], self.starts[last + 1])  # a slice is no copy
        return [body for frame in frames for body in range(self.starts[frame], self.starts[frame + 1])]


def _canonical(frames: Sequence[SkeletonFrame], starts: Sequence[int]) -> tuple[Float32Array, Float32Array]:
    """Joints (B, 25, 3) and confidence (B, 25); those of one layout are mapped at once."""
    groups: dict[str, list[int]] = {}
    for number, frame in enumerate(frames):
        groups.setdefault(frame.layout, []).append(number)
    joints = np.empty((starts[-1], len(CANONICAL), 3), np.float32)
    confidence = np.empty((starts[-1], len(CANONICAL)), np.float32)
    for name, numbers in groups.items():
        mapped = layout(name).to_canonical(
            np.concatenate([frames[number].joints for number in numbers]),
            np.concatenate([frames[number].confidence for number in numbers]),
        )
        if len(groups) == 1:
            return mapped
        rows = [row for number in numbers for row in range(starts[number], starts[number + 1])]
        joints[rows], confidence[rows] = mapped
    return joints, confidence
