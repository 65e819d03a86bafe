"""The source that a `[[sources]]` block of the configuration describes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stream.config_sources import (
    AzureKinectSource,
    FileSource,
    KinectV2Source,
    SourceEntry,
    SyntheticSource,
    VideoSource,
)
from stream.sources import synthetic
from stream.sources.base import RecordedSource, Source
from stream.sources.files import open_source
from stream.types import NANOSECONDS, SkeletonFrame


@dataclass(slots=True)
class _Round:
    """What one source of a recording gave in this round: its lowest and highest time, and how many frames.

    Attributes:
        seq: number of its next frame, over all rounds.
        shift: what is added to its times.
    """

    low: int
    high: int
    count: int = 0
    seq: int = 0
    shift: int = 0


class Looped(RecordedSource):
    """A recorded source that starts again at its end, for ever, with capture times and numbers that go on.

    Args:
        source: what to repeat.
    """

    def __init__(self, source: RecordedSource) -> None:
        self.name = source.name
        self._source = source

    def close(self) -> None:
        super().close()
        self._source.close()

    @property
    def stages(self) -> Mapping[str, float]:
        return self._source.stages

    @property
    def resolution(self) -> tuple[int, int] | None:
        return self._source.resolution

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield the frames of all rounds; a recording without frames ends at once."""
        rounds: dict[str, _Round] = {}
        while True:
            for frame in self._source.frames():
                name, t = frame.source, frame.t
                one = rounds.get(name)
                if one is None:
                    one = rounds[name] = _Round(t, t)
                elif not one.count:
                    one.low = one.high = t
                elif t > one.high:
                    one.high = t
                elif t < one.low:
                    one.low = t
                one.count += 1
                one.seq += 1
                yield SkeletonFrame(
                    name,
                    one.seq - 1,
                    t + one.shift,
                    frame.layout,
                    frame.joints,
                    frame.confidence,
                    frame.track_ids,
                    frame.space,
                )
            if not any(one.count for one in rounds.values()):
                return
            # Each source goes on by its own clock; the pause before its next round is one mean frame interval.
            for one in rounds.values():
                if one.count:
                    interval = (one.high - one.low) // (one.count - 1) if one.count > 1 else NANOSECONDS // 30
                    one.shift += one.high - one.low + interval
                    one.count = 0


def _wall_clock() -> Callable[[], float]:
    """A clock of seconds since 1970 that does not jump when the machine's clock is set."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


def configured_source(entry: SourceEntry) -> Source:
    """Make the source of one block; it is not open yet.

    Raises:
        SourceError: its file is missing or of no known format, or what its kind needs is not installed.
    """
    # Imported late: each kind needs libraries of its own.
    match entry:
        case FileSource():
            source = open_source(Path(entry.path), name=entry.name)
            return Looped(source) if entry.loop else source
        case SyntheticSource():
            return synthetic.SyntheticSource(
                entry.name, people=entry.people, fps=entry.fps, seed=entry.seed, clock=_wall_clock(), sleep=time.sleep
            )
        case VideoSource():
            from stream.sources.video import video_source

            return video_source(entry)
        case AzureKinectSource():
            from stream.sources.azure_kinect import azure_kinect_source

            return azure_kinect_source(entry)
        case KinectV2Source():
            from stream.sources.kinect_v2 import kinect_v2_source

            return kinect_v2_source(entry)
