"""The last minutes in memory: all that a new prompt needs to be judged as if it had been there.

What is kept is what goes into the state machine of events: tracked frames, the features of windows, windows that saw
too little, ends of tracks. Of frames between which nobody came or went, and nothing else happened, one in a while is
enough. It is never written anywhere. Pure: time comes from the data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from stream.thinning import FrameThinner
from stream.types import NANOSECONDS, EndReason, Float32Array, Tracked

SECONDS = 600.0
MAX_BYTES = 64 << 20
MAX_SOURCES = 64
CLOCK_RESET = 5 * NANOSECONDS
"""A frame this much older than the newest is a sensor whose clock started anew, not a late frame."""
THIN = NANOSECONDS // 5
"""Between two frames in which nobody came or went; grace and zones ask for no more."""
OVERHEAD = 400
"""Bytes that a moment takes beside its arrays, about."""


@dataclass(frozen=True, slots=True)
class Featured:
    """A window that was scored.

    Attributes:
        track, t, coverage: as in `stream.types.Scores`.
        features: (F,) float32, the encoder's.
    """

    track: int
    t: int
    coverage: float
    features: Float32Array


@dataclass(frozen=True, slots=True)
class Unseen:
    """A window that saw too little of a track to be scored."""

    track: int
    t: int


@dataclass(frozen=True, slots=True)
class Hole:
    """A track that is seen again after so long that its windows begin anew."""

    track: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a track, or with None of all that a source had."""

    track: int | None
    reason: EndReason


Moment = Tracked | Featured | Unseen | Hole | Ended
_TIMELESS = (Hole, Ended)


@dataclass(slots=True)
class _Past:
    moments: deque[tuple[int, Moment]] = field(default_factory=deque)
    """Each with its time since the first, in ns; that of the data, but it never goes back."""
    size: int = 0
    now: int = 0
    ahead: int = 0
    frames: FrameThinner = field(default_factory=lambda: FrameThinner(THIN))


class History:
    """The last minutes of each source, bounded in time, in memory, and in the number of sources.

    Args:
        seconds: how long a moment is kept, by its source's clock.
        max_bytes: of all that is kept, about; beyond, the oldest moments of the source that takes most go first.

    Attributes:
        forgotten: windows that went for want of room.
    """

    def __init__(self, seconds: float = SECONDS, max_bytes: int = MAX_BYTES) -> None:
        self._span = round(seconds * NANOSECONDS)
        self._max_bytes = max_bytes
        self._sources: dict[str, _Past] = {}
        self._size = 0
        self.forgotten = 0

    @property
    def size(self) -> int:
        """Bytes that are kept, about."""
        return self._size

    def add(self, source: str, moment: Moment) -> None:
        """Keep what has just happened in a source."""
        past = self._sources.pop(source, None) or _Past()
        self._sources[source] = past  # the last one is the one that was heard last
        for frame in past.frames.take(moment) if isinstance(moment, Tracked) else past.frames.flush():
            self._keep(past, _alone(frame) if isinstance(frame, Tracked) else frame)
        if not isinstance(moment, _TIMELESS):
            if moment.t + past.ahead < past.now - CLOCK_RESET:  # a recording that is played again, a sensor's new clock
                past.ahead = past.now - moment.t
            past.now = max(past.now, moment.t + past.ahead)
        if not isinstance(moment, Tracked):
            self._keep(past, moment)
        while past.moments and past.moments[0][0] < past.now - self._span:
            self._drop(past)
        while self._size > self._max_bytes or len(self._sources) > MAX_SOURCES:
            self._make_room()

    def _keep(self, past: _Past, moment: Moment) -> None:
        past.moments.append((past.now, moment))
        size = _size(moment)
        past.size += size
        self._size += size

    def moments(self) -> Iterator[tuple[str, Moment]]:
        """Everything that is kept, source by source, in the order in which it happened."""
        for source, past in self._sources.items():
            for _, moment in past.moments:
                yield source, moment

    def _make_room(self) -> None:
        if len(self._sources) > MAX_SOURCES:
            past = self._sources.pop(next(iter(self._sources)))
            self.forgotten += sum(isinstance(moment, Featured) for _, moment in past.moments)
            self._size -= past.size
            return
        largest = max(self._sources.values(), key=lambda past: past.size)
        self.forgotten += isinstance(largest.moments[0][1], Featured)
        self._drop(largest)

    def _drop(self, past: _Past) -> None:
        size = _size(past.moments.popleft()[1])
        past.size -= size
        self._size -= size


def _size(moment: Moment) -> int:
    if isinstance(moment, Featured):
        return OVERHEAD + moment.features.nbytes
    if not isinstance(moment, Tracked):
        return OVERHEAD
    return OVERHEAD + moment.joints.nbytes + moment.confidence.nbytes + moment.track_ids.nbytes


def _alone(frame: Tracked) -> Tracked:
    """The same frame in arrays of its own: they may be part of a whole turn's, of which one frame would keep all."""
    arrays = frame.track_ids.copy(), frame.joints.copy(), frame.confidence.copy()
    return Tracked(frame.source, frame.t, frame.space, *arrays)
