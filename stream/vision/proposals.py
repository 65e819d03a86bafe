"""Where somebody may be whom nobody follows yet: crops to try, from three kinds of evidence.

The detector finds upright people, now and then; what moves in front of the background is anybody in any posture; and
the pose network's own detector, on the whole image and on its parts in turn, finds who is too close, seated or lying
still since before the camera started.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.types import NANOSECONDS
from stream.vision.background import Background
from stream.vision.boxes import Box
from stream.vision.detector import Detector, Step

SEARCH_S = 1.0
"""Seconds from one search to the next."""

SOON_S = 0.4
"""The same where something moves that nobody is known to be, or somebody was just lost."""

IDLE_S = 3.0
"""The same where nothing moved and nobody is there."""

FRUITLESS_S = 2.0
"""How long a place where nobody was found is left alone."""

EXPIRES_S = 1.5
"""A proposal that had no turn for so long is about somebody who has gone on."""

ROOM = 0.18
"""How far a box reaches beyond a person, in their larger side, for the pose network, which adds a margin of its own."""

PARTS = 3
"""The image's parts, this many by this many, that are tried in turn; each overlaps the next by half."""


@dataclass(slots=True)
class Proposal:
    """A crop in which somebody may be.

    Attributes:
        crop: what to look at, in pixels.
        box: where the person would be; None if anywhere in the crop.
        t: capture time in ns of the image that it comes from.
    """

    crop: Box
    box: Box | None
    t: int


class Proposals:
    """The proposals of one camera.

    Args:
        detector: finds upright people.
        background: finds what moves.
        limit: proposals that wait at most; the oldest are forgotten.

    Attributes:
        waiting: what to try, the oldest first.
        steps: what is left of the search that goes on.
        step_turn, try_turn: turns in which the last step was taken, and the last proposal tried.
    """

    def __init__(self, detector: Detector, background: Background, limit: int = 32) -> None:
        self._detector, self._background = detector, background
        self._limit = limit
        self.reset()

    def reset(self) -> None:
        """Forget everything: the image changed."""
        self._background.reset()
        self.waiting: deque[Proposal] = deque(maxlen=self._limit)
        self.steps: deque[Step] = deque()
        self.step_turn, self.try_turn = 0, 0
        self._searched: int | None = None
        self._part = 0
        self._moved = False
        self._fruitless: list[tuple[Box, int]] = []

    def watch(self, t_ns: int, image: NDArray[np.uint8], known: list[Box], turn: int, lost: bool) -> None:
        """Look for motion in the image, and start a search for people if it is time for one.

        Args:
            t_ns: capture time.
            image: (H, W, 3) uint8, blue green red.
            known: where somebody is known to be.
            turn: the number of this turn, for the order of work.
            lost: whether somebody was lost of late.
        """
        height, width = image.shape[:2]
        self._fruitless = [(box, until) for box, until in self._fruitless if until > t_ns]
        while self.waiting and self.waiting[0].t < t_ns - EXPIRES_S * NANOSECONDS:
            self.waiting.popleft()
        moving = self._background.moving(t_ns, image, [box.grown(0.15) for box in known])
        fresh = [box for box in moving if self._propose(box, t_ns)]
        self._moved = self._moved or bool(moving)
        pause = SOON_S if fresh or lost else SEARCH_S if known or self._moved else IDLE_S
        if self.steps or (self._searched is not None and t_ns - self._searched < pause * NANOSECONDS):
            return
        self._searched, self._moved, self.step_turn = t_ns, False, turn
        self.steps.extend(self._detector.steps(width, height))
        whole = Box(0.0, 0.0, float(width), float(height))
        for crop in (whole, self._next_part(width, height)):
            self.waiting.append(Proposal(crop, None, t_ns))

    def search(self, t_ns: int, image: NDArray[np.uint8], turn: int) -> None:
        """Take the next step of the search in this image."""
        self.step_turn = turn
        for box in self._detector.find(image, self.steps.popleft()):
            self._propose(box, t_ns)

    def fruitless(self, proposal: Proposal, t_ns: int) -> None:
        """Nobody new was found there."""
        if proposal.box is not None:
            self._fruitless.append((proposal.box, t_ns + int(FRUITLESS_S * NANOSECONDS)))

    def _propose(self, box: Box, t_ns: int) -> bool:
        taken = [other.box for other in self.waiting if other.box is not None]
        taken += [other for other, _ in self._fruitless]
        if any(box.iou(other) > 0.5 for other in taken):
            return False
        self.waiting.append(Proposal(box.grown(ROOM), box, t_ns))
        return True

    def _next_part(self, width: int, height: int) -> Box:
        """One of the overlapping parts of the image, another one each time."""
        across, down = 2.0 * width / (PARTS + 1), 2.0 * height / (PARTS + 1)
        row, column = divmod(self._part, PARTS)
        self._part = (self._part + 1) % (PARTS * PARTS)
        left, top = column * across / 2, row * down / 2
        return Box(left, top, left + across, top + down)
