"""How anomaly features come about in a stream: from the windows that are recognised, or from the points of each frame.

Pure, like the pipeline that calls them, in the order of capture within each source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.anomaly import FeatureSpace
from stream.types import NANOSECONDS, Float32Array, Space, Tracked, Window

if TYPE_CHECKING:
    from models.graph_anomaly import GraphAnomaly
    from models.pointset_model import PointSetModel, PointStream
    from stream.types import Tracked

FRESH_NS = NANOSECONDS
"""How long after their last window somebody still belongs to the scene, where it is made of windows."""


class AnomalyView(Protocol):
    """Features of people and scenes, from frames and windows as they come."""

    @property
    def space(self) -> FeatureSpace:
        """Whose features these are."""
        ...

    def see(self, tracked: Tracked) -> None:
        """Take a frame."""
        ...

    def person(self, window: Window, encoded: Float32Array) -> Float32Array | None:
        """Features (F,) of a person at the end of a window that the recogniser made `encoded` of; None: not known."""
        ...

    def scene(self, source: str, t: int) -> Float32Array | None:
        """Features (F,) of everybody whom a source saw lately, None of nobody."""
        ...

    def forget(self, source: str, track: int | None = None) -> None:
        """A track ended, or with None the whole source."""
        ...


class GraphView:
    """The recogniser's own windows once more: costs next to nothing, but for image coordinates.

    A scene is made of the last window of each person, so it lags behind by at most the stride of windows.
    """

    def __init__(self, graph: GraphAnomaly) -> None:
        self._graph = graph
        self._flat: dict[str, bool] = {}
        self._latest: dict[str, dict[int, tuple[int, Float32Array]]] = {}

    @property
    def space(self) -> FeatureSpace:
        """See `AnomalyView`."""
        return self._graph

    def see(self, tracked: Tracked) -> None:
        """See `AnomalyView`."""
        self._flat[tracked.source] = tracked.space is Space.IMAGE2D

    def person(self, window: Window, encoded: Float32Array) -> Float32Array | None:
        """See `AnomalyView`."""
        if self._flat.get(window.source, False):  # what the recogniser was given lies on its head, in pixels
            features = self._graph.of_window(window.x, window.mask, Space.IMAGE2D)
        else:
            features = self._graph.of_encoded(encoded[None])[0]
        self._latest.setdefault(window.source, {})[window.track] = (window.t1, features)
        return features

    def scene(self, source: str, t: int) -> Float32Array | None:
        """See `AnomalyView`."""
        latest = self._latest.get(source, {})
        fresh = [features for seen, features in latest.values() if t - seen <= FRESH_NS]
        return self._graph.scene(np.stack(fresh)) if fresh else None

    def forget(self, source: str, track: int | None = None) -> None:
        """See `AnomalyView`."""
        if track is None:
            self._latest.pop(source, None)
            self._flat.pop(source, None)
        else:
            self._latest.get(source, {}).pop(track, None)


class PointView:
    """A point set's streams, one a source: of each frame its own points are computed, once."""

    def __init__(self, points: PointSetModel) -> None:
        self._points = points
        self._streams: dict[str, PointStream] = {}

    @property
    def space(self) -> FeatureSpace:
        """See `AnomalyView`."""
        return self._points

    def see(self, tracked: Tracked) -> None:
        """See `AnomalyView`."""
        stream = self._streams.get(tracked.source)
        if stream is None:
            stream = self._streams[tracked.source] = self._points.stream()
        stream.push(tracked.t, tracked.joints, tracked.confidence, tracked.space, tracked.track_ids)

    def person(self, window: Window, encoded: Float32Array) -> Float32Array | None:
        """See `AnomalyView`; of the frames up to now, which may be one later than the window's end."""
        del encoded
        stream = self._streams.get(window.source)
        return None if stream is None else stream.persons().get(window.track)

    def scene(self, source: str, t: int) -> Float32Array | None:
        """See `AnomalyView`."""
        del t
        stream = self._streams.get(source)
        return stream.scene() if stream is not None and stream.persons() else None

    def forget(self, source: str, track: int | None = None) -> None:
        """See `AnomalyView`; what a track left in the scene stays for as long as a window."""
        if track is None:
            self._streams.pop(source, None)
