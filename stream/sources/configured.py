"""The source that a `[[sources]]` block of the configuration describes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
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
        shifts: dict[str, int] = {}
        numbers: dict[str, int] = {}
        while True:
            times: dict[str, tuple[int, int, int]] = {}
            for frame in self._source.frames():
                name = frame.source
                low, high, count = times.get(name, (frame.t, frame.t, 0))
                times[name] = min(low, frame.t), max(high, frame.t), count + 1
                seq = numbers.get(name, 0)
                numbers[name] = seq + 1
                t, arrays = frame.t + shifts.get(name, 0), (frame.joints, frame.confidence, frame.track_ids)
                yield SkeletonFrame(name, seq, t, frame.layout, *arrays, frame.space)
            if not times:
                return
            # Each source goes on by its own clock; the pause before its next round is one mean frame interval.
            for name, (low, high, count) in times.items():
                interval = (high - low) // (count - 1) if count > 1 else NANOSECONDS // 30
                shifts[name] = shifts.get(name, 0) + high - low + interval


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
