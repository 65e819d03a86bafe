"""Stable track ids for the people of one source.

Bodies are assigned to tracks by the distance between poses (Hungarian method), predicted with constant velocity. The
sensor's own body ids count as evidence, not as truth: a body with a track's id is preferred unless it is so far from
where the track was that the sensor must have swapped two people.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream.types import NANOSECONDS, NO_TRACK, Float32Array, Int64Array, Space

BoolArray = NDArray[np.bool_]

_FORBIDDEN = 1e6
"""Cost that no permitted pair reaches; finite because the solver rejects infinite rows."""

_MAX_GATE_M = 1.0
"""However long a track was unseen: beyond this it is as likely to be somebody else."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """How bodies become tracks.

    Attributes:
        gate_m: mean joint distance in metres up to which a body may be the same person one frame later.
        speed_m_s: how fast the gate opens with the time since the track was last seen, to 1 m at most (or `gate_m`).
        id_bonus_m: how much nearer a body counts that carries the track's sensor id, and how much further one that
            carries another: larger trusts the sensor more when two people touch, smaller repairs its swaps sooner.
        max_lost_s: a track unseen for longer than this ends; a body that appears near it before that continues it.
    """

    gate_m: float = 0.5
    speed_m_s: float = 3.0
    id_bonus_m: float = 0.3
    max_lost_s: float = 1.5


class Tracker:
    """The tracks of one source, by data time only. Ids count from 1 and are never used again.

    Args:
        settings: see `TrackerSettings`.
        born: number of ids that are used up already.

    Attributes:
        born: number of tracks born so far, those included.
    """

    def __init__(self, settings: TrackerSettings | None = None, born: int = 0) -> None:
        self._settings = settings or TrackerSettings()
        self._tracks = _Tracks()
        self.born = born

    @property
    def open_tracks(self) -> list[int]:
        """Ids of the tracks that have not ended."""
        return [int(track) for track in self._tracks.ids]

    def update(
        self, t: int, joints: Float32Array, confidence: Float32Array, sensor_ids: Int64Array, space: Space
    ) -> tuple[Int64Array, list[int]]:
        """Assign the bodies of one frame.

        Args:
            t: capture time in ns, later than that of the frame before.
            joints: (M, V, 3) float32, finite.
            confidence: (M, V) float32.
            sensor_ids: (M,) the sensor's body ids, or `NO_TRACK`.
            space: image coordinates are gated in body heights instead of metres.

        Returns:
            The (M,) track ids, and the ids of the tracks that ended before this frame.
        """
        limit = round(self._settings.max_lost_s * NANOSECONDS)
        tracks = self._tracks
        over = t - tracks.t > limit
        ended: list[int] = []
        if over.any():
            ended = tracks.ids[over].tolist()
            tracks = self._tracks = tracks.select(~over)

        seen = confidence > 0
        ids = np.zeros(len(joints), np.int64)
        if len(tracks.ids) and len(joints):
            rows, columns = self._assign(t, joints, seen, sensor_ids)
            if len(rows):
                tracks.move(rows, t, joints[columns], seen[columns], sensor_ids[columns])
                ids[columns] = tracks.ids[rows]
        new = np.flatnonzero(ids == 0)
        if len(new):
            scales = [1.0 if space is Space.CAMERA3D else _body_height(joints[n], confidence[n]) / 1.7 for n in new]
            ids[new] = self.born + 1 + np.arange(len(new))
            self.born += len(new)
            self._tracks = tracks.with_new(ids[new], sensor_ids[new], t, joints[new], seen[new], scales)
        return ids, ended

    def _assign(
        self, t: int, joints: Float32Array, seen: BoolArray, sensor_ids: Int64Array
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Which tracks, ascending, are which bodies; there is at least one of both."""
        settings, tracks = self._settings, self._tracks
        lost_s = (t - tracks.t) / NANOSECONDS
        # A track that was not seen lately has not kept its velocity: trust it for half a second at most.
        ahead = tracks.velocity * np.minimum(lost_s, 0.5).astype(np.float32)[:, None]
        predicted = tracks.joints + ahead[:, None]
        distance = _pose_distance(predicted, tracks.seen, joints, seen) / tracks.scale[:, None]
        known = tracks.sensor_ids[:, None]
        same_id = (sensor_ids == known) & (known != NO_TRACK)
        other_id = ~same_id & (sensor_ids != NO_TRACK) & (known != NO_TRACK)
        gate = np.minimum(settings.gate_m + settings.speed_m_s * lost_s, max(settings.gate_m, _MAX_GATE_M))[:, None]
        allowed = distance + settings.id_bonus_m * other_id <= gate * np.where(same_id, 2.0, 1.0)
        if allowed.sum(axis=0).max() <= 1 and allowed.sum(axis=1).max() <= 1:
            rows, columns = np.nonzero(allowed)  # nobody is near two: there is nothing to choose
            return rows, columns
        from scipy.optimize import linear_sum_assignment  # here: reading a configuration must not load scipy

        bonus = settings.id_bonus_m * (other_id.astype(np.int64) - same_id)
        cost = np.where(allowed, distance + bonus, _FORBIDDEN)
        rows, columns = linear_sum_assignment(cost)
        taken = cost[rows, columns] < _FORBIDDEN
        return rows[taken], columns[taken]


@dataclass(slots=True)
class _Tracks:
    """The N tracks of a source.

    Attributes:
        ids, sensor_ids: (N,), those of bodies.
        t: (N,) when each was last seen, in ns.
        joints: (N, V, 3) float32 then, and in `seen` (N, V) which of them were.
        velocity: (N, 3) float32, of the body.
        scale: (N,) float32, a metre in units of the joints.
    """

    ids: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    sensor_ids: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    t: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    joints: Float32Array = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    seen: BoolArray = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    velocity: Float32Array = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    scale: Float32Array = field(default_factory=lambda: np.zeros(0, np.float32))

    def select(self, rows: BoolArray) -> _Tracks:
        """Some of them."""
        return _Tracks(
            self.ids[rows],
            self.sensor_ids[rows],
            self.t[rows],
            self.joints[rows],
            self.seen[rows],
            self.velocity[rows],
            self.scale[rows],
        )

    def with_new(
        self, ids: Int64Array, sensor_ids: Int64Array, t: int, joints: Float32Array, seen: BoolArray, scale: list[float]
    ) -> _Tracks:
        """These, and those of bodies that appear at time t."""
        none = not len(self.ids)
        return _Tracks(
            np.concatenate((self.ids, ids)),
            np.concatenate((self.sensor_ids, sensor_ids)),
            np.concatenate((self.t, np.full(len(ids), t, np.int64))),
            joints if none else np.concatenate((self.joints, joints)),
            seen if none else np.concatenate((self.seen, seen)),
            np.concatenate((self.velocity, np.zeros((len(ids), 3), np.float32))),
            np.concatenate((self.scale, np.array(scale, np.float32))),
        )

    def move(
        self, rows: NDArray[np.intp], t: int, joints: Float32Array, seen: BoolArray, sensor_ids: Int64Array
    ) -> None:
        """Some of them, in this order, are seen again: bodies (R, V, 3), of which joints (R, V) were seen."""
        both = self.seen[rows] & seen
        count = both.sum(axis=1)
        step = np.where(both[..., None], joints - self.joints[rows], np.float32(0)).sum(axis=1)
        mean = (step / np.maximum(count, 1)[:, None]).astype(np.float32)
        velocity = mean / ((t - self.t[rows]) / NANOSECONDS).astype(np.float32)[:, None]
        # Half of the new velocity: sensors jitter, and a wrong guess only has to be better than none.
        before = self.velocity[rows]
        half = np.float32(0.5)
        self.velocity[rows] = np.where(count[:, None] > 0, half * before + half * velocity, before)
        self.t[rows], self.sensor_ids[rows] = t, sensor_ids
        self.joints[rows], self.seen[rows] = joints, seen


def _pose_distance(poses: Float32Array, pose_seen: BoolArray, joints: Float32Array, seen: BoolArray) -> Float32Array:
    """Mean distances (N, M) of N poses (N, V, 3) to M bodies (M, V, 3) over the joints that both have; inf if none."""
    both = pose_seen[:, None] & seen
    apart = joints - poses[:, None]
    distance = np.where(both, np.sqrt((apart * apart).sum(axis=-1)), np.float32(0)).sum(axis=-1)
    count = both.sum(axis=-1)
    return np.where(count > 0, distance / np.maximum(count, 1), np.inf).astype(np.float32)


def _body_height(joints: Float32Array, confidence: Float32Array) -> float:
    """Diagonal of the box around the seen joints; 1 where fewer than two are seen."""
    seen = joints[confidence > 0]
    size = float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) > 1 else 0.0
    return size or 1.0
