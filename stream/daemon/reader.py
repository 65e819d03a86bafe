"""A source's frames on their way out of the capture: read, named and encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from stream.daemon.child import BEAT_S
from stream.daemon.frame_part import encode_frame
from stream.sources.base import Source, SourceTimeout
from stream.topics import MAX_NAME, slug
from stream.types import SkeletonFrame

Read = tuple[str, SkeletonFrame, bytes, Mapping[str, float]]
"""Name under which a frame goes, the frame, what `encode_frame` made of it, and the stages that it took."""


class Reader:
    """Reads an open source, several frames at a time where they are there at once.

    A capture sleeps most of the time, and after each sleep the processor has to fetch all code anew: what is done for
    several frames in a row costs hardly more than for one.

    Args:
        source: the source.
        ahead: frames to read at a time; 1 for every source that has to wait for them, or work for long.
    """

    def __init__(self, source: Source, ahead: int) -> None:
        self.source = source
        self._ahead = ahead
        self._read: deque[Read] = deque()
        self._names: dict[str, str] = {}
        self._end: Exception | None = None

    def read(self) -> Read:
        """The next frame, after at most `BEAT_S`.

        Raises:
            SourceTimeout, EndOfSource, SourceError: as `Source.read`, once all frames before are read.
            Exception: what else comes of reading, likewise.
        """
        if not self._read:
            if self._end is not None:
                raise self._end
            self._fill()
        return self._read.popleft()

    def _fill(self) -> None:
        source = self.source
        for _ in range(self._ahead):
            try:
                frame = source.read(timeout=BEAT_S)
                # A recording may hold several sources: they keep their names, under that of the block.
                if (name := self._names.get(frame.source)) is None:
                    name = self._names[frame.source] = _name(source.name, frame.source)
                self._read.append((name, frame, encode_frame(frame, name), source.stages))
            except SourceTimeout:
                if not self._read:
                    raise
                return
            except Exception as error:  # whatever it is, it comes after the frames before it
                if not self._read:
                    raise
                self._end = error
                return


def _name(block: str, own: str) -> str:
    """Name of a frame's source: that of the block, with the frame's own behind it where they differ."""
    joined = block if own == block else f"{block}.{own}"
    return joined if len(joined) <= MAX_NAME else slug(joined)
