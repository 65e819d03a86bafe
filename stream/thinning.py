"""Frames that are kept to be told to the event engine again: of those in which nothing changes, one in a while."""

from __future__ import annotations

import numpy as np

from stream.types import Tracked


class FrameThinner:
    """Which of a source's frames are kept: those before and after somebody comes or goes, and some in between.

    A frame is held back until it is clear whether the next one does as well, so that a pause of the source stays as
    long as it was: people who are not seen for a while are judged by that.

    Args:
        apart: ns between two frames that are kept, at most, unless the source itself pauses.
    """

    def __init__(self, apart: int) -> None:
        self._apart = apart
        self._kept: Tracked | None = None
        self._held: Tracked | None = None

    def take(self, frame: Tracked) -> list[Tracked]:
        """Take the next frame; gives the one before it, if that is to be kept."""
        before = self.flush() if self._needed(frame) else []
        self._held = frame
        return before

    def flush(self) -> list[Tracked]:
        """The newest frame, unless it was given already: for whatever else happens after it."""
        if self._held is None:
            return []
        self._kept, self._held = self._held, None
        return [self._kept]

    def _needed(self, frame: Tracked) -> bool:
        kept, held = self._kept, self._held
        if kept is None or held is None:
            return True
        changes = not (_same(kept, held) and _same(held, frame))
        return changes or frame.t < held.t or frame.t - kept.t > self._apart


def _same(one: Tracked, other: Tracked) -> bool:
    return np.array_equal(one.track_ids, other.track_ids)
