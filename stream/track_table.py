"""The tracks of any number of sources in one table: what each of them takes is next to nothing, so it is done for all
of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.layouts import CANONICAL
from stream.types import NANOSECONDS, NO_TRACK, Float32Array, Int64Array

BoolArray = NDArray[np.bool_]
IntpArray = NDArray[np.intp]

_ROOM = 4
"""Slots at the start; room is doubled as it is needed."""

_ONES = np.ones(len(CANONICAL), np.float32)
_HALF, _ONE, _FAR = np.float32(0.5), np.float32(1), np.float32(np.inf)


class TrackTable:
    """A slot for each track; whoever asked for it knows whose it is.

    Attributes:
        ids, sensor_ids: (S,) those of each slot's track and of its body.
        t: (S,) when it was last seen, in ns.
        joints: (S, V, 3) float32 then, and in `seen` (S, V) which of them were.
        velocity: (S, 3) float32, of the body.
        scale: (S,) float32, a metre in units of the joints.
    """

    def __init__(self) -> None:
        self.ids: Int64Array = np.zeros(_ROOM, np.int64)
        self.sensor_ids: Int64Array = np.full(_ROOM, NO_TRACK)
        self.t: Int64Array = np.zeros(_ROOM, np.int64)
        self.joints: Float32Array = np.zeros((_ROOM, len(CANONICAL), 3), np.float32)
        self.seen: BoolArray = np.zeros((_ROOM, len(CANONICAL)), np.bool_)
        self.velocity: Float32Array = np.zeros((_ROOM, 3), np.float32)
        self.scale: Float32Array = np.ones(_ROOM, np.float32)
        self._free = list(range(_ROOM))

    def add(self, track: int, sensor_id: int, t: int, joints: Float32Array, seen: BoolArray, scale: float) -> int:
        """The slot of a new track, of a body (V, 3) with joints `seen` (V,) that appears at time t."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self.ids[slot], self.sensor_ids[slot], self.t[slot] = track, sensor_id, t
        self.joints[slot], self.seen[slot] = joints, seen
        self.velocity[slot], self.scale[slot] = 0, scale
        return slot

    def release(self, slots: Sequence[int]) -> None:
        """These tracks are over: others may have their slots."""
        self._free.extend(slots)

    def distances(
        self, slots: IntpArray, lost_s: NDArray[np.float64], pairs: IntpArray, joints: Float32Array, seen: BoolArray
    ) -> Float32Array:
        """How far bodies are from where tracks should be by now: means over the joints that both have, inf if none.

        Args:
            slots: (N,) tracks.
            lost_s: (N,) for how long each has not been seen, in seconds.
            pairs: (P,) which of the N is asked for.
            joints, seen: (P, V, 3) and (P, V), the body that it is compared with.

        Returns:
            (P,) float32, in metres.
        """
        # A track that was not seen lately has not kept its velocity: trust it for half a second at most.
        ahead = self.velocity[slots] * np.minimum(lost_s, 0.5).astype(np.float32)[:, None]
        apart = joints - (self.joints[slots] + ahead[:, None])[pairs]
        apart *= apart
        squared = apart[..., 0] + apart[..., 1] + apart[..., 2]  # so short an axis is slow to sum
        own = slots[pairs]
        both = (self.seen[own] & seen).astype(np.float32)
        count = both @ _ONES
        total = np.add.reduce(np.sqrt(squared) * both, axis=-1)
        metres: Float32Array = np.where(count > 0, total / np.maximum(count, _ONE), _FAR) / self.scale[own]
        return metres

    def move(
        self, slots: IntpArray, t: Int64Array, joints: Float32Array, seen: BoolArray, sensor_ids: Int64Array
    ) -> None:
        """R tracks, none of them twice, are seen again at times t (R,): bodies (R, V, 3), of which joints (R, V)."""
        both = (self.seen[slots] & seen).astype(np.float32)
        count = (both @ _ONES)[:, None]
        step = np.einsum("rvc,rv->rc", joints - self.joints[slots], both) / np.maximum(count, _ONE)
        velocity = step / ((t - self.t[slots]) / NANOSECONDS).astype(np.float32)[:, None]
        # Half of the new velocity: sensors jitter, and a wrong guess only has to be better than none.
        before = self.velocity[slots]
        self.velocity[slots] = np.where(count > 0, _HALF * before + _HALF * velocity, before)
        self.t[slots], self.sensor_ids[slots] = t, sensor_ids
        self.joints[slots], self.seen[slots] = joints, seen

    def _grow(self) -> None:
        room = len(self.ids)
        for name in ("ids", "sensor_ids", "t", "joints", "seen", "velocity", "scale"):
            values = getattr(self, name)
            setattr(self, name, np.concatenate((values, np.zeros_like(values))))
        self._free.extend(range(room, 2 * room))
