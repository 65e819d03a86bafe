"""Areas of a camera's picture or of the floor before it, and who is in them.

Floor areas are metres in the plane of the floor, for sources in camera coordinates: x to the left as seen from the
camera, and z away from it. A camera that looks down by an angle `pitch` sees its own y and z turned: the distance of a
point along the floor is `z cos(pitch) + y sin(pitch)`. The height at which it hangs does not matter, since people are
looked at from above; a camera that leans to a side is not made up for. Image areas are in the units of the joints of
`image2d` sources: pixels where the joints are estimated from a video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stream.layouts.canonical import (
    ANKLE_LEFT,
    ANKLE_RIGHT,
    FOOT_LEFT,
    FOOT_RIGHT,
    HIP_LEFT,
    HIP_RIGHT,
    SPINE_BASE,
    SPINE_SHOULDER,
)
from stream.polygon import Points, contains, distance_to_edge
from stream.types import Space, Tracked

_FEET = [ANKLE_LEFT, FOOT_LEFT, ANKLE_RIGHT, FOOT_RIGHT]
_HIPS = [SPINE_BASE, HIP_LEFT, HIP_RIGHT]
LEG_SHARE = 1.32
"""Length of a leg, as a share of SpineBase to SpineShoulder (thigh and shank of `stream.layouts.geometry`)."""
EDGE_M = 0.1
"""How far outside a floor area someone who was in it still counts as in it: feet jitter by some centimetres."""
EDGE_SHARE = 0.02
"""The same for an image area, as a share of the diagonal of the box around it."""


class By(StrEnum):
    """What of a person must be in a zone for the person to be in it."""

    FEET = "feet"
    HIPS = "hips"
    ANY = "any"
    """Any joint that is seen."""


@dataclass(frozen=True)
class Zone:
    """One area; several of one name are one zone, in which a person is who is in any of them.

    Attributes:
        name: what prompts and rules call it.
        space: `CAMERA3D` for an area of the floor, `IMAGE2D` for one of the picture.
        corners: at least three (x, z) or (x, y), in order along the edge.
        by: what of a person counts.
        sources: names of the sources that it is an area of; none means all.
        pitch_deg: how far the camera of a floor area looks down, in degrees.
        edge: how far outside someone who was in it still counts as in it; None takes `EDGE_M` or `EDGE_SHARE`.
    """

    name: str
    space: Space
    corners: tuple[tuple[float, float], ...]
    by: By = By.FEET
    sources: frozenset[str] = frozenset()
    pitch_deg: float = 0.0
    edge: float | None = None

    @cached_property
    def polygon(self) -> Points:
        """(N, 2)."""
        return np.array(self.corners, np.float64)

    @cached_property
    def slack(self) -> float:
        """`edge`, or its default."""
        if self.edge is not None:
            return self.edge
        if self.space is Space.CAMERA3D:
            return EDGE_M
        return EDGE_SHARE * float(np.linalg.norm(np.ptp(self.polygon, axis=0)))

    def covers(self, source: str, space: Space) -> bool:
        """Whether it is an area of this source's."""
        return space is self.space and (not self.sources or source in self.sources)

    @property
    def view(self) -> View:
        """How people are looked at."""
        return View(self.space, self.by, self.pitch_deg)

    def holds(self, places: Places, tracks: Sequence[int], were_in: frozenset[int]) -> frozenset[int]:
        """Which of some people are in it.

        Args:
            places: of the people, in this zone's view.
            tracks: theirs.
            were_in: tracks of who was in it a frame before.
        """
        points, counting = places
        inside = (contains(self.polygon, points.reshape(-1, 2)).reshape(counting.shape) & counting).any(axis=1)
        for body in np.flatnonzero(~inside):
            if tracks[body] in were_in:
                inside[body] = (distance_to_edge(self.polygon, points[body][counting[body]]) <= self.slack).any()
        return frozenset(track for track, there in zip(tracks, inside.tolist(), strict=True) if there)


Places = tuple[Points, NDArray[np.bool_]]
"""The places (M, P, 2) of M people of which one must be in an area, and which of them (M, P) count."""


@dataclass(frozen=True, slots=True)
class View:
    """How people are looked at: what of them counts, in which plane. Zones that share it share the work."""

    space: Space
    by: By
    pitch_deg: float

    def places(self, frame: Tracked) -> Places:
        """Where the people of a frame are; of each some joint was seen."""
        confidence = frame.confidence.astype(np.float64)
        joints = np.where(confidence[..., None] > 0, frame.joints, 0.0)  # what is not seen may be anything
        plane = joints[..., :2]
        if self.space is Space.CAMERA3D:
            pitch = np.deg2rad(self.pitch_deg)
            plane = np.stack([joints[..., 0], joints[..., 2] * np.cos(pitch) + joints[..., 1] * np.sin(pitch)], axis=-1)
        if self.by is By.ANY:
            return plane, confidence > 0
        if self.by is By.FEET and confidence[:, _FEET].any(axis=1).all():
            place = _middle(plane[:, _FEET], confidence[:, _FEET])
        else:
            place = self._above_feet(plane, confidence)
        return place[:, None], np.ones((len(place), 1), np.bool_)

    def _above_feet(self, plane: Points, confidence: Points) -> Points:
        """One place (M, 2) of each, where not everybody's feet are seen or the hips are asked for."""
        known = confidence[:, _HIPS].any(axis=1)
        hips = _middle(plane[:, _HIPS], confidence[:, _HIPS])
        # Where so little is seen, whatever it is must do.
        place = np.where(known[:, None], hips, _middle(plane, confidence))
        if self.by is By.HIPS:
            return place
        if self.space is Space.IMAGE2D:
            # Feet behind a table: below the hips by a leg, as far as the trunk is upright; not at all if one lies.
            rise = np.maximum(hips[:, 1] - plane[:, SPINE_SHOULDER, 1], 0.0)
            place[:, 1] += LEG_SHARE * np.where(known & (confidence[:, SPINE_SHOULDER] > 0), rise, 0.0)
        feet = _middle(plane[:, _FEET], confidence[:, _FEET])
        return np.where(confidence[:, _FEET].any(axis=1)[:, None], feet, place)


def _middle(plane: Points, confidence: Points) -> Points:
    """Mean places (M, 2) of points (M, P, 2) by their confidence (M, P); of no use where that is 0."""
    total = np.maximum(confidence.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray((confidence[..., None] * plane).sum(axis=1) / total)


@dataclass(slots=True)
class _Seen:
    """What was last seen of one source: its people, and of each zone that is an area of it, who is in."""

    people: frozenset[int] = frozenset()
    zones: dict[str, frozenset[int]] = field(default_factory=dict)


class ZoneMap:
    """Who is in which zone now, by source.

    Args:
        zones: any number; those of one name are one zone.
    """

    def __init__(self, zones: Sequence[Zone] = ()) -> None:
        self._zones = tuple(zones)
        self._sources: dict[str, _Seen] = {}
        self._inside: dict[str, dict[int, frozenset[int]]] = {}
        """Of each source, of each area by its number, who was in it when last seen."""

    def see(self, frame: Tracked) -> None:
        """Take note of a frame; of each person in it some joint was seen."""
        source, tracks = frame.source, frame.track_ids.tolist()
        before = self._inside.get(source, {})
        inside: dict[int, frozenset[int]] = {}
        zones: dict[str, frozenset[int]] = {}
        views: dict[View, Places] = {}
        for number, zone in enumerate(self._zones):
            if not zone.covers(source, frame.space):
                continue
            view = zone.view
            if tracks and view not in views:
                views[view] = view.places(frame)
            were_in = before.get(number, frozenset())
            inside[number] = zone.holds(views[view], tracks, were_in) if tracks else frozenset()
            zones[zone.name] = zones.get(zone.name, frozenset()) | inside[number]
        self._inside[source] = inside
        self._sources[source] = _Seen(frozenset(tracks), zones)

    def people(self, source: str, zone: str | None = None) -> frozenset[int]:
        """Tracks in the source's newest frame, or those of them in a zone; none in one that is no area of its."""
        seen = self._sources.get(source)
        if seen is None:
            return frozenset()
        return seen.people if zone is None else seen.zones.get(zone, frozenset())

    def covers(self, source: str, zone: str) -> bool:
        """Whether the zone has an area of this source's, as far as its frames have told."""
        return source in self._sources and zone in self._sources[source].zones

    def forget(self, source: str) -> None:
        """Forget a source that ended."""
        self._sources.pop(source, None)
        self._inside.pop(source, None)
