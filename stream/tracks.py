"""Frames to people and their windows: a tracker for each source, and a ring of the last frames for each track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, islice

import numpy as np

from stream.events.presence import Presence, heirs
from stream.history import CLOCK_RESET
from stream.layouts import CANONICAL, layout
from stream.tracker import Tracker, TrackerSettings
from stream.types import NANOSECONDS, EndReason, Float32Array, SkeletonFrame, Tracked, Window
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


Step = Tracked | Window | TrackHole | TrackEnd


@dataclass(frozen=True, slots=True)
class _Due:
    """What a frame has reached of a track's grid, not yet written; the windows come with that."""

    source: str
    track: int
    stream: int
    reached: Sequence[Reached]


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
        steps: list[Step | _Due] = []
        for frame, (joints, confidence) in zip(frames, _canonical(frames), strict=True):
            steps.extend(self._take(frame, joints, confidence))
        # What is costly for each person is done for all of them at once.
        cuts = iter(fill([point for step in steps if isinstance(step, _Due) for point in step.reached]))
        whole: list[Step] = []
        for step in steps:
            if isinstance(step, _Due):
                due = [cut for cut in islice(cuts, len(step.reached)) if cut is not None]
                whole.extend(self._told(step, cut) for cut in due)
            else:
                whole.append(step)
        return whole

    def _take(self, frame: SkeletonFrame, joints: Float32Array, confidence: Float32Array) -> list[Step | _Due]:
        """A frame, its joints and confidence in the canonical layout, to steps; of windows what is to be written."""
        self.counts["frames"] += 1
        state = self._sources.get(frame.source)
        if state is None:
            state = _Source(Tracker(self._tracker, born=self._born.get(frame.source, 0)))
            self._sources[frame.source] = state
        steps: list[Step | _Due] = []
        if state.t is not None and frame.t <= state.t:
            if state.t - frame.t < CLOCK_RESET:
                self.counts["late_frames"] += 1
                return []
            self.counts["clock_resets"] += 1
            steps.append(TrackEnd(frame.source, None, EndReason.GAP))
            # The new tracker goes on counting where the old one stopped: ids are for the life of the process.
            state.tracker = Tracker(self._tracker, born=state.tracker.born)
            self._drop(state)
        state.t = frame.t

        sensor_ids = frame.track_ids
        seen = (confidence > 0).any(axis=1)  # a body of which nothing is seen is nowhere, and nobody
        if not seen.all():
            joints, confidence, sensor_ids = joints[seen], confidence[seen], sensor_ids[seen]
        ids, ended = state.tracker.update(frame.t, joints, confidence, sensor_ids, frame.space)
        for track in ended:
            if (row := state.rows.pop(track, None)) is not None:
                self.ended.append(row.stream)
            steps.append(TrackEnd(frame.source, track, EndReason.TRACK_LOST))
        tracked = Tracked(frame.source, frame.t, frame.space, ids, joints, confidence)
        steps.append(tracked)
        self._place(state, tracked)
        for body, track in enumerate(ids.tolist()):
            row = state.rows[track]
            reached, gap = row.ring.reach(frame.t, joints[body], confidence[body])
            if gap:
                self.counts["gaps"] += 1
                steps.append(TrackHole(frame.source, track))
                self.ended.append(row.stream)
                row.stream = next(self._streams)
            steps.append(_Due(frame.source, track, row.stream, reached))
        return steps

    def _told(self, due: _Due, cut: Cut) -> Window:
        if cut.coverage < self._min_coverage:
            self.counts["low_coverage" if cut.full else "filling"] += 1
        return Window(due.source, due.track, cut.t0, cut.t1, cut.x, cut.mask, cut.coverage, due.stream)

    def end_source(self, source: str) -> None:
        """Forget the tracks of a source; should it come back, its track ids go on."""
        state = self._sources.pop(source, None)
        if state is not None:
            self._born[source] = state.tracker.born
            self._drop(state)

    def end_all(self) -> None:
        """Forget all tracks."""
        for state in self._sources.values():
            self._drop(state)
        self._sources.clear()

    def _place(self, state: _Source, tracked: Tracked) -> None:
        """Note where everybody is, and give new tracks their rows: those of whom they go on as, or empty ones."""
        ids = tracked.track_ids.tolist()
        born = [track for track in ids if track not in state.rows]
        if born and self.handover_m > 0:
            since = tracked.t - round(self._window.gap_s * NANOSECONDS)
            lost = {old: row.last for old, row in state.rows.items() if old not in ids and row.last.t >= since}
            places = {old: _presence(old, last) for old, last in lost.items()}
            for old, new in heirs(places, {new: _presence(new, tracked) for new in born}, self.handover_m).items():
                state.rows[new] = state.rows.pop(old)
        for track in ids:
            if (row := state.rows.get(track)) is not None:
                row.last = tracked
            else:
                state.rows[track] = _Row(WindowRing(self._window, len(CANONICAL)), next(self._streams), tracked)

    def _drop(self, state: _Source) -> None:
        self.ended.extend(row.stream for row in state.rows.values())
        state.rows.clear()


def _presence(track: int, frame: Tracked) -> Presence:
    body = frame.track_ids.tolist().index(track)
    return Presence.of(frame.t, frame.joints[body], frame.confidence[body], frame.space)


def _canonical(frames: Sequence[SkeletonFrame]) -> list[tuple[Float32Array, Float32Array]]:
    """Joints (M, 25, 3) and confidence (M, 25) of each frame; those of one layout are mapped at once."""
    groups: dict[str, list[int]] = {}
    for number, frame in enumerate(frames):
        groups.setdefault(frame.layout, []).append(number)
    found: dict[int, tuple[Float32Array, Float32Array]] = {}
    for name, numbers in groups.items():
        mapped = layout(name).to_canonical(
            np.concatenate([frames[number].joints for number in numbers]),
            np.concatenate([frames[number].confidence for number in numbers]),
        )
        start = 0
        for number in numbers:
            end = start + len(frames[number].joints)
            found[number] = mapped[0][start:end], mapped[1][start:end]
            start = end
    return [found[number] for number in range(len(frames))]
