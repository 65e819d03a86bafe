"""The joints around each event, kept in memory for a while: what `posewire report-false` files. No images."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from stream.pipeline import Output
from stream.sources.recording import PackedFrame, pack_frame, pack_recording
from stream.types import NANOSECONDS, Clip, EndReason, Event, Phase, SkeletonFrame, Tracked

LEAD_S = 4.0
"""Before the start: the windows of a start look back two seconds, and whoever is in view needs some to be known."""
TAIL_S = 1.0
LONGEST_S = 30.0
MAX_BYTES = 2 << 20
"""Of a clip: half a minute of six people. What is beyond is cut off."""
_RING_S = 20.0
"""How far back a start may lie when it is told of; some are told only after a while."""
_KEPT = round(_RING_S * NANOSECONDS)
_OVER = (EndReason.GAP, EndReason.SOURCE_END, EndReason.SHUTDOWN)
"""Reasons of an end after which no frame follows."""


@dataclass(slots=True)
class _Growing:
    event: Event
    frames: list[PackedFrame]
    last: int
    """Capture time up to which it goes."""


@dataclass(slots=True)
class _Ring:
    """The last frames of a source, in the order of their times; those are packed that some clip holds."""

    frames: deque[Tracked | PackedFrame] = field(default_factory=deque)
    growing: dict[str, _Growing] = field(default_factory=dict)

    def over(self, t: int) -> list[_Growing]:
        """The clips that go up to before this time."""
        return [clip for clip in self.growing.values() if t > clip.last]

    def since(self, t: int) -> list[PackedFrame]:
        """Those from this time on."""
        wanted: list[PackedFrame] = []
        while self.frames and self.frames[-1].t >= t:
            wanted.append(_packed(self.frames.pop()))
        wanted.reverse()
        self.frames.extend(wanted)
        return wanted


class ClipKeeper:
    """Cuts a clip for each event out of what a pipeline yields, by data time alone.

    Args:
        model: digest of the pipeline's weights.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._rings: dict[str, _Ring] = {}

    def take(self, output: Output) -> list[Clip]:
        """Take what the pipeline yielded next; returns the clips that are complete with it."""
        if isinstance(output, Tracked):
            return self._frame(output)
        if isinstance(output, Event):
            return self._event(output)
        return []

    def end_source(self, source: str) -> list[Clip]:
        """A source has ended: no frame follows that its clips could wait for."""
        ring = self._rings.pop(source, _Ring())
        return [self._cut(clip) for clip in ring.growing.values()]

    def end_all(self) -> list[Clip]:
        """All sources have ended."""
        return [clip for source in list(self._rings) for clip in self.end_source(source)]

    def _frame(self, frame: Tracked) -> list[Clip]:
        done: list[Clip] = []
        ring = self._rings.get(frame.source)
        if ring is not None and frame.t <= ring.frames[-1].t:  # the sensor's clock started anew
            done = self.end_source(frame.source)
            ring = None
        if ring is None:
            ring = self._rings[frame.source] = _Ring()
        if ring.growing:
            done += [self._cut(ring.growing.pop(clip.event.id)) for clip in ring.over(frame.t)]
        if ring.growing:
            packed = _packed(frame)
            ring.frames.append(packed)
            for clip in ring.growing.values():
                clip.frames.append(packed)
        else:
            ring.frames.append(frame)
        while ring.frames[0].t < frame.t - _KEPT:
            ring.frames.popleft()
        return done

    def _event(self, event: Event) -> list[Clip]:
        ring = self._rings.get(event.source)
        if ring is None:
            return []
        if event.phase is Phase.START:
            first = event.t_start - round(LEAD_S * NANOSECONDS)
            ring.growing[event.id] = _Growing(event, ring.since(first), first + round(LONGEST_S * NANOSECONDS))
            return []
        clip = ring.growing.get(event.id)
        if clip is None:
            return []
        clip.event = event
        if event.t_end is not None:
            clip.last = min(clip.last, event.t_end + round(TAIL_S * NANOSECONDS))
        if event.reason in _OVER or (event.t_end is not None and ring.frames[-1].t >= clip.last):
            return [self._cut(ring.growing.pop(event.id))]
        return []

    def _cut(self, clip: _Growing) -> Clip:
        return Clip(clip.event, self._model, pack_recording(clip.frames, MAX_BYTES))


def _packed(frame: Tracked | PackedFrame) -> PackedFrame:
    if isinstance(frame, PackedFrame):
        return frame
    arrays = frame.joints, frame.confidence, frame.track_ids
    return pack_frame(SkeletonFrame(frame.source, 0, frame.t, "kinect_v2", *arrays, frame.space))
