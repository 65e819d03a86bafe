"""Frames that are kept to be told to the event engine again: of those in which nothing changes, one in a while."""

from __future__ import annotations

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
        self._held: Tracked | None = None
        self._kept_t: int | None = None
        self._kept_ids: list[int] = []
        self._held_ids: list[int] = []

    def take(self, frame: Tracked) -> list[Tracked]:
        """Take the next frame; gives the one before it, if that is to be kept."""
        ids = frame.track_ids.tolist()
        before = self.flush() if self._needed(frame.t, ids) else []
        self._held, self._held_ids = frame, ids
        return before

    def flush(self) -> list[Tracked]:
        """The newest frame, unless it was given already: for whatever else happens after it."""
        held = self._held
        if held is None:
            return []
        self._kept_t, self._kept_ids, self._held = held.t, self._held_ids, None
        return [held]

    def _needed(self, t: int, ids: list[int]) -> bool:
        """Whether the frame that is held back must be kept, as another one of this time and these tracks comes."""
        if self._kept_t is None or self._held is None:
            return True
        changes = not self._kept_ids == self._held_ids == ids
        return changes or t < self._held.t or t - self._kept_t > self._apart
