"""Stable track ids for the people of one source.

Bodies are assigned to tracks by the distance between poses (Hungarian method), predicted with constant velocity. The
sensor's own body ids count as evidence, not as truth: a body with a track's id is preferred unless it is so far from
where the track was that the sensor must have swapped two people.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stream.types import NANOSECONDS, NO_TRACK, Float32Array, Int64Array, Space

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


@dataclass(slots=True)
class _Track:
    id: int
    sensor_id: int
    t: int
    joints: Float32Array
    confidence: Float32Array
    scale: float
    velocity: Float32Array = field(default_factory=lambda: np.zeros(3, np.float32))


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
        self._tracks: list[_Track] = []
        self.born = born

    @property
    def open_tracks(self) -> list[int]:
        """Ids of the tracks that have not ended."""
        return [track.id for track in self._tracks]

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
        ended = [track.id for track in self._tracks if t - track.t > limit]
        self._tracks = [track for track in self._tracks if t - track.t <= limit]

        bodies = len(joints)
        ids = np.zeros(bodies, np.int64)
        for row, column in self._assign(t, joints, confidence, sensor_ids):
            track = self._tracks[row]
            self._move(track, t, joints[column], confidence[column], int(sensor_ids[column]))
            ids[column] = track.id
        for body in np.flatnonzero(ids == 0):
            self.born += 1
            scale = 1.0 if space is Space.CAMERA3D else _body_height(joints[body], confidence[body]) / 1.7
            self._tracks.append(_Track(self.born, int(sensor_ids[body]), t, joints[body], confidence[body], scale))
            ids[body] = self.born
        return ids, ended

    def _assign(
        self, t: int, joints: Float32Array, confidence: Float32Array, sensor_ids: Int64Array
    ) -> list[tuple[int, int]]:
        if not self._tracks or not len(joints):
            return []
        settings = self._settings
        cost = np.full((len(self._tracks), len(joints)), _FORBIDDEN)
        for row, track in enumerate(self._tracks):
            lost_s = (t - track.t) / NANOSECONDS
            # A track that was not seen lately has not kept its velocity: trust it for half a second at most.
            predicted = track.joints + track.velocity * min(lost_s, 0.5)
            distance = _pose_distance(predicted, track.confidence, joints, confidence) / track.scale
            same_id = (sensor_ids == track.sensor_id) & (track.sensor_id != NO_TRACK)
            other_id = ~same_id & (sensor_ids != NO_TRACK) & (track.sensor_id != NO_TRACK)
            gate = min(settings.gate_m + settings.speed_m_s * lost_s, max(settings.gate_m, _MAX_GATE_M))
            allowed = distance + settings.id_bonus_m * other_id <= gate * np.where(same_id, 2.0, 1.0)
            cost[row, allowed] = (distance + settings.id_bonus_m * (other_id.astype(int) - same_id))[allowed]
        from scipy.optimize import linear_sum_assignment  # here: reading a configuration must not load scipy

        rows, columns = linear_sum_assignment(cost)
        return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < _FORBIDDEN]

    @staticmethod
    def _move(track: _Track, t: int, joints: Float32Array, confidence: Float32Array, sensor_id: int) -> None:
        both = (track.confidence > 0) & (confidence > 0)
        if both.any():
            dt = (t - track.t) / NANOSECONDS
            velocity = (joints[both] - track.joints[both]).mean(axis=0) / dt
            # Half of the new velocity: sensors jitter, and a wrong guess only has to be better than none.
            track.velocity = (0.5 * track.velocity + 0.5 * velocity).astype(np.float32)
        track.t, track.joints, track.confidence, track.sensor_id = t, joints, confidence, sensor_id


def _pose_distance(
    pose: Float32Array, pose_confidence: Float32Array, joints: Float32Array, confidence: Float32Array
) -> Float32Array:
    """Mean distance (M,) of one pose (V, 3) to M bodies (M, V, 3) over the joints that both have; inf if none."""
    both = (pose_confidence > 0) & (confidence > 0)
    distance = np.linalg.norm(joints - pose, axis=-1)
    count = both.sum(axis=-1)
    mean = np.where(both, distance, 0.0).sum(axis=-1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.inf).astype(np.float32)


def _body_height(joints: Float32Array, confidence: Float32Array) -> float:
    """Diagonal of the box around the seen joints; 1 where fewer than two are seen."""
    seen = joints[confidence > 0]
    size = float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) > 1 else 0.0
    return size or 1.0
