"""Whether a camera's image changes, and when to do something about one that does not."""

from __future__ import annotations

CHANGES = 10
"""So many images other than the one before each, and the image changes again: the one change a minute of a clock that
the camera draws into its black image is none."""
FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 300.0
"""Seconds between two attempts to make a still image move."""


class StillWatch:
    """Tells a still image from one that changes. All times are seconds of a clock that never jumps.

    Args:
        frozen_s: for how long an image must stay the same to be still.

    Attributes:
        is_still: whether the image is still, until `CHANGES` images have differed or the source is lost.
    """

    def __init__(self, frozen_s: float) -> None:
        self.is_still = False
        self._frozen_s = frozen_s
        self._image: int | None = None
        self._changed = 0.0
        self._changes = self._tries = 0
        self._wait_until = 0.0

    def opened(self, now: float) -> None:
        """The source was opened: its first image tells nothing."""
        self._image, self._changed = None, now

    def lost(self) -> None:
        """The source is lost: what it shows when it is back is not known."""
        self.is_still = False

    def see(self, image: int | None, now: float) -> None:
        """Take note of an image by its fingerprint; None where the source has none, which is never still."""
        if image is None or image != self._image:
            self._changes += self._image is not None
            self._image, self._changed = image, now
        if now - self._changed >= self._frozen_s:
            self.is_still, self._changes = True, 0
        elif self._changes >= CHANGES:
            self.is_still, self._tries, self._wait_until = False, 0, 0.0

    def try_now(self, now: float) -> bool:
        """Whether to open the source again now: at once, after 30 s, then ever more seldom. True counts as done."""
        if not self.is_still or now - self._changed < self._frozen_s or now < self._wait_until:
            return False
        self._wait_until = now + min(FIRST_WAIT_S * 2.0**self._tries, LONGEST_WAIT_S)
        self._tries = min(self._tries + 1, 16)
        return True
