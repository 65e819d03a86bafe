"""Stable track ids for the people of one source.

Bodies are assigned to tracks by the distance between poses (Hungarian method), predicted with constant velocity. The
sensor's own body ids count as evidence, not as truth: a body with a track's id is preferred unless it is so far from
where the track was that the sensor must have swapped two people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.track_table import BoolArray, IntpArray, TrackTable
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


class Tracker:
    """The tracks of one source, by data time only. Ids count from 1 and are never used again.

    Args:
        settings: see `TrackerSettings`.
        born: number of ids that are used up already.
        table: where its tracks are kept; trackers that share one, and the settings, may `follow` together.

    Attributes:
        born: number of tracks born so far, those included.
        slots: of the tracks that have not ended, in the order of their ids.
    """

    def __init__(self, settings: TrackerSettings | None = None, born: int = 0, table: TrackTable | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self.table = table or TrackTable()
        self.born = born
        self.slots: list[int] = []

    @property
    def open_tracks(self) -> list[int]:
        """Ids of the tracks that have not ended."""
        return [int(track) for track in self.table.ids[self.slots]]

    def update(
        self, t: int, joints: Float32Array, confidence: Float32Array, sensor_ids: Int64Array, space: Space
    ) -> tuple[Int64Array, list[int]]:
        """Assign the bodies of one frame.

        Args:
            t: capture time in ns, later than that of the frame before.
            joints: (M, 25, 3) float32, finite, canonical layout.
            confidence: (M, 25) float32.
            sensor_ids: (M,) the sensor's body ids, or `NO_TRACK`.
            space: image coordinates are gated in body heights instead of metres.

        Returns:
            The (M,) track ids, and the ids of the tracks that ended before this frame.
        """
        ids, ended = follow([Look(self, t, space, len(joints))], joints, confidence > 0, sensor_ids)
        return ids, ended[0]

    def drop_lost(self, t: int) -> list[int]:
        """End the tracks that at time t have not been seen for too long; their ids."""
        limit = t - round(self.settings.max_lost_s * NANOSECONDS)
        lost = [slot for slot in self.slots if self.table.t[slot] < limit]
        if lost:
            self.table.release(lost)
            self.slots = [slot for slot in self.slots if slot not in lost]
        ended: list[int] = self.table.ids[lost].tolist()
        return ended

    def forget(self) -> None:
        """Drop all tracks; ids go on."""
        self.table.release(self.slots)
        self.slots = []


class Look(NamedTuple):
    """What a source shows in one frame.

    Attributes:
        tracker: the source's.
        t, space: see `Tracker.update`.
        bodies: M.
    """

    tracker: Tracker
    t: int
    space: Space
    bodies: int


def follow(
    looks: Sequence[Look], joints: Float32Array, seen: BoolArray, sensor_ids: Int64Array
) -> tuple[Int64Array, list[list[int]]]:
    """Assign the bodies of one frame of each of some sources: `Tracker.update` for all of them at once.

    Args:
        looks: at least one; their trackers differ, and share their table and settings.
        joints: (B, 25, 3) float32, finite: the bodies of the first, of the second ...
        seen: (B, 25) which joints are.
        sensor_ids: (B,).

    Returns:
        The (B,) track ids, and for each look the ids of the tracks that ended before it.
    """
    table = looks[0].tracker.table
    slots, t = _open(looks)
    lost = t - table.t[slots]
    ended: list[list[int]] = [[] for _ in looks]
    over = lost > round(looks[0].tracker.settings.max_lost_s * NANOSECONDS)
    if np.count_nonzero(over):
        for look, told in zip(looks, ended, strict=True):
            told.extend(look.tracker.drop_lost(look.t))
        slots, t, lost = slots[~over], t[~over], lost[~over]

    ids = np.zeros(len(joints), np.int64)
    if len(slots) and len(joints):
        rows, columns = _assign(looks, slots, lost / NANOSECONDS, joints, seen, sensor_ids)
        if len(rows):
            matched = slots[rows]
            table.move(matched, t[rows], joints[columns], seen[columns], sensor_ids[columns])
            ids[columns] = table.ids[matched]
    if np.count_nonzero(ids) < len(ids):
        _bear(looks, ids, joints, seen, sensor_ids)
    return ids, ended


def _open(looks: Sequence[Look]) -> tuple[IntpArray, Int64Array]:
    """The slots (N,) of all tracks that have not ended, and the times (N,) at which their sources look for them."""
    slots: list[int] = []
    t: list[int] = []
    for look in looks:
        slots += look.tracker.slots
        t += [look.t] * len(look.tracker.slots)
    return np.array(slots, np.intp), np.array(t, np.int64)


def _assign(
    looks: Sequence[Look],
    slots: IntpArray,
    lost_s: NDArray[np.float64],
    joints: Float32Array,
    seen: BoolArray,
    sensor_ids: Int64Array,
) -> tuple[IntpArray, IntpArray]:
    """Which of the N tracks, ascending, are which bodies; there is at least one of both."""
    tracker = looks[0].tracker
    table, settings = tracker.table, tracker.settings
    tracks, bodies = _pairs(looks)
    distance = table.distances(slots, lost_s, tracks, joints[bodies], seen[bodies])
    known, given = table.sensor_ids[slots][tracks], sensor_ids[bodies]
    told = (known != NO_TRACK) & (given != NO_TRACK)
    same_id = told & (known == given)
    other_id = told & ~same_id
    gate = np.minimum(settings.gate_m + settings.speed_m_s * lost_s, max(settings.gate_m, _MAX_GATE_M))[tracks]
    allowed = distance + settings.id_bonus_m * other_id <= gate * np.where(same_id, 2.0, 1.0)
    rows, columns = tracks[allowed], bodies[allowed]
    if len(set(rows.tolist())) == len(rows) == len(set(columns.tolist())):
        return rows, columns  # nobody is near two: there is nothing to choose

    bonus = settings.id_bonus_m * (other_id.astype(np.int64) - same_id)
    cost = np.where(allowed, distance + bonus, _FORBIDDEN)
    near = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
    _choose(looks, cost, allowed, np.flatnonzero(allowed)[near])
    return tracks[allowed], bodies[allowed]


def _pairs(looks: Sequence[Look]) -> tuple[IntpArray, IntpArray]:
    """Each track with each body (P,) of its source: both count through all looks."""
    tracks: list[int] = []
    bodies: list[int] = []
    track = body = 0
    for look in looks:
        shown = range(body, body + look.bodies)
        body += look.bodies
        for _ in look.tracker.slots:
            tracks += [track] * len(shown)
            bodies += shown
            track += 1
    return np.array(tracks, np.intp), np.array(bodies, np.intp)


def _choose(looks: Sequence[Look], cost: NDArray[np.float64], allowed: BoolArray, disputed: IntpArray) -> None:
    """Leave of the pairs (P,) of the looks with a disputed one those that together cost least."""
    from scipy.optimize import linear_sum_assignment  # here: reading a configuration must not load scipy

    ends = np.cumsum([len(look.tracker.slots) * look.bodies for look in looks])
    for number in np.unique(np.searchsorted(ends, disputed, side="right")).tolist():
        shape = len(looks[number].tracker.slots), looks[number].bodies
        part = slice(ends[number] - shape[0] * shape[1], ends[number])
        costs = cost[part].reshape(shape)
        rows, columns = linear_sum_assignment(costs)
        chosen = np.zeros(shape, np.bool_)
        chosen[rows, columns] = costs[rows, columns] < _FORBIDDEN
        allowed[part] = chosen.ravel()


def _bear(
    looks: Sequence[Look], ids: Int64Array, joints: Float32Array, seen: BoolArray, sensor_ids: Int64Array
) -> None:
    """Give the bodies without an id new tracks."""
    start = 0
    for look in looks:
        tracker = look.tracker
        for body in (start + np.flatnonzero(ids[start : start + look.bodies] == 0)).tolist():
            tracker.born += 1
            ids[body] = tracker.born
            scale = 1.0 if look.space is Space.CAMERA3D else _body_height(joints[body][seen[body]]) / 1.7
            tracker.slots.append(
                tracker.table.add(tracker.born, int(sensor_ids[body]), look.t, joints[body], seen[body], scale)
            )
        start += look.bodies


def _body_height(joints: Float32Array) -> float:
    """Diagonal of the box around joints (N, 3); 1 where they are fewer than two."""
    size = float(np.linalg.norm(np.ptp(joints, axis=0))) if len(joints) > 1 else 0.0
    return size or 1.0
