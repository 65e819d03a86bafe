"""Frames to people and their windows: a tracker for each source, and a ring of the last frames for each track."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from stream.bodies import Bodies
from stream.events.presence import Presence, heirs
from stream.history import CLOCK_RESET
from stream.layouts import CANONICAL
from stream.track_table import TrackTable
from stream.tracker import Look, Tracker, TrackerSettings, follow
from stream.types import NANOSECONDS, EndReason, Int64Array, SkeletonFrame, Tracked, Window
from stream.window import Cut, Reached, WindowRing, WindowSettings, fill


@dataclass(frozen=True, slots=True)
class TrackHole:
    """A track that is seen again after so long that its windows begin anew."""

    source: str
    track: int


@dataclass(frozen=True, slots=True)
class TrackEnd:
    """The end of a track, or with None of all that a source had."""

    source: str
    track: int | None
    reason: EndReason


_LEAP = 1 << 62
"""A step of so many ns, a century, is none of a clock; differences of times beyond it have no room in 64 bits."""
Step = Tracked | Window | TrackHole | TrackEnd


@dataclass(slots=True)
class _Due:
    """A window of which it is known that it is due, and whose it is; it comes with its points of the grid."""

    source: str
    track: int
    stream: int


@dataclass(slots=True)
class _Row:
    """The rows of one track.

    Attributes:
        stream: see `stream.types.Window`.
        last: the frame that showed the track last.
    """

    ring: WindowRing
    stream: int
    last: Tracked


@dataclass(slots=True)
class _Source:
    tracker: Tracker
    t: int | None = None
    rows: dict[int, _Row] = field(default_factory=dict)


@dataclass(slots=True)
class _Arrival:
    """A frame that is not late.

    Attributes:
        number: of the frame in its turn.
        reset: whether the source's clock was set back: who was there before is gone.
        ended: the tracks that ended before it, once it is known who is who.
    """

    number: int
    frame: SkeletonFrame
    state: _Source
    reset: bool
    ended: Sequence[int] = ()


class Tracks:
    """The people of any number of sources. Pure: time comes from the frames.

    Args:
        tracker: who is who from frame to frame.
        window: how frames become windows.
        min_coverage: see `counts`.

    Attributes:
        handover_m: how near to where somebody was last seen a new track must appear to go on with their windows, if
            they were seen within `gap_s` and are not any more; in metres, 0 for never.
        ended: numbers of the streams of windows (see `stream.types.Window`) that are over; whoever keeps anything by
            them reads and clears the list.
        counts: `frames`; `late_frames`, which are left out; `clock_resets`; `gaps` of tracks after which their windows
            begin anew; windows with less than `min_coverage`: `filling` of tracks that are too young for a score, and
            `low_coverage`.
    """

    def __init__(self, tracker: TrackerSettings, window: WindowSettings, min_coverage: float) -> None:
        self._tracker = tracker
        self._window = window
        self._min_coverage = min_coverage
        self._table = TrackTable()
        self._sources: dict[str, _Source] = {}
        self._born: dict[str, int] = {}
        """How many tracks a source that ended has had: should it come back, its track ids go on."""
        self._streams = count(1)
        self.handover_m = 0.0
        self.ended: list[int] = []
        self.counts: Counter[str] = Counter()

    def push(self, frames: Sequence[SkeletonFrame]) -> list[Step]:
        """Take frames; those of a source come in the order of capture.

        Returns:
            For each frame the tracks that are over, the frame with those that it shows, and the windows that it
            completes, the hole of a track before its windows. Nothing of a late frame.
        """
        if not frames:
            return []
        # What is costly for each frame or person is done for all of them at once: who is who, and the windows' rows.
        bodies = Bodies.of(frames)
        arrivals = self._admit(frames)
        ids = self._follow(arrivals, bodies)
        steps: list[Step | _Due] = []
        points: list[Reached] = []
        for arrival in arrivals:
            self._take(arrival, bodies, ids, steps, points)
        cuts = iter(fill(points))
        return [self._told(step, next(cuts)) if isinstance(step, _Due) else step for step in steps]

    def _admit(self, frames: Sequence[SkeletonFrame]) -> list[_Arrival]:
        """The frames that are not late."""
        self.counts["frames"] += len(frames)
        arrivals = []
        for number, frame in enumerate(frames):
            state = self._sources.get(frame.source)
            if state is None:
                tracker = Tracker(self._tracker, self._born.get(frame.source, 0), self._table)
                state = self._sources[frame.source] = _Source(tracker)
            reset = False
            if state.t is not None and frame.t <= state.t:
                if state.t - frame.t < CLOCK_RESET:
                    self.counts["late_frames"] += 1
                    continue
                self.counts["clock_resets"] += 1
                reset = True
            elif state.t is not None and frame.t - state.t > _LEAP:
                self.counts["clock_resets"] += 1
                reset = True
            state.t = frame.t
            arrivals.append(_Arrival(number, frame, state, reset))
        return arrivals

    def _follow(self, arrivals: Sequence[_Arrival], bodies: Bodies) -> Int64Array:
        """Who the bodies (B,) are, in rounds: the first frame of each source, the second of each that has two ..."""
        rounds: defaultdict[int, list[_Arrival]] = defaultdict(list)
        frames_of: Counter[str] = Counter()
        for arrival in arrivals:
            rounds[frames_of[arrival.frame.source]].append(arrival)
            frames_of[arrival.frame.source] += 1
        ids = np.zeros(len(bodies.joints), np.int64)
        for together in rounds.values():
            looks = []
            for arrival in together:
                if arrival.reset:
                    arrival.state.tracker.forget()  # ids go on: they are for the life of the process
                shown = bodies.starts[arrival.number + 1] - bodies.starts[arrival.number]
                looks.append(Look(arrival.state.tracker, arrival.frame.t, arrival.frame.space, shown))
            part = bodies.part([arrival.number for arrival in together])
            ids[part], ended = follow(looks, bodies.joints[part], bodies.seen[part], bodies.sensor_ids[part])
            for arrival, tracks in zip(together, ended, strict=True):
                arrival.ended = tracks
        return ids

    def _take(
        self, arrival: _Arrival, bodies: Bodies, ids: Int64Array, steps: list[Step | _Due], points: list[Reached]
    ) -> None:
        """Add a frame's steps, and the points of its tracks' grids that it reaches; ids (B,) say who the bodies are."""
        frame, state = arrival.frame, arrival.state
        if arrival.reset:
            steps.append(TrackEnd(frame.source, None, EndReason.GAP))
            self._drop(state)
        for track in arrival.ended:
            if (gone := state.rows.pop(track, None)) is not None:
                self.ended.append(gone.stream)
            steps.append(TrackEnd(frame.source, track, EndReason.TRACK_LOST))
        part = slice(bodies.starts[arrival.number], bodies.starts[arrival.number + 1])
        joints, confidence = bodies.joints[part], bodies.confidence[part]
        tracked = Tracked(frame.source, frame.t, frame.space, ids[part], joints, confidence)
        steps.append(tracked)
        tracks = tracked.track_ids.tolist()
        if born := [track for track in tracks if track not in state.rows]:
            self._place(state, tracked, tracks, born)
        for body, track in enumerate(tracks):
            row = state.rows[track]
            row.last = tracked
            reached, gap = row.ring.reach(frame.t, joints[body], confidence[body])
            if gap:
                self.counts["gaps"] += 1
                steps.append(TrackHole(frame.source, track))
                self.ended.append(row.stream)
                row.stream = next(self._streams)
            for point in reached:
                points.append(point)
                if point.due:
                    steps.append(_Due(frame.source, track, row.stream))

    def _told(self, due: _Due, cut: Cut) -> Window:
        if cut.coverage < self._min_coverage:
            self.counts["low_coverage" if cut.full else "filling"] += 1
        return Window(due.source, due.track, cut.t0, cut.t1, cut.x, cut.mask, cut.coverage, due.stream)

    def end_source(self, source: str) -> None:
        """Forget the tracks of a source; should it come back, its track ids go on."""
        state = self._sources.pop(source, None)
        if state is not None:
            self._born[source] = state.tracker.born
            state.tracker.forget()
            self._drop(state)

    def end_all(self) -> None:
        """Forget all tracks."""
        for state in self._sources.values():
            state.tracker.forget()
            self._drop(state)
        self._sources.clear()

    def _place(self, state: _Source, tracked: Tracked, ids: Sequence[int], born: Sequence[int]) -> None:
        """Give new tracks their rows: those of whom they go on as, or empty ones."""
        if self.handover_m > 0:
            since = tracked.t - round(self._window.gap_s * NANOSECONDS)
            lost = {old: row.last for old, row in state.rows.items() if old not in ids and row.last.t >= since}
            places = {old: Presence.within(last, old) for old, last in lost.items()}
            for old, new in heirs(
                places, {new: Presence.within(tracked, new) for new in born}, self.handover_m
            ).items():
                state.rows[new] = state.rows.pop(old)
        for track in born:
            if track not in state.rows:
                state.rows[track] = _Row(WindowRing(self._window, len(CANONICAL)), next(self._streams), tracked)

    def _drop(self, state: _Source) -> None:
        self.ended.extend(row.stream for row in state.rows.values())
        state.rows.clear()
