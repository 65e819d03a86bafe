"""Everyone in a camera's images, each with an id of their own, in no more time than there is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.vision.background import Background
from stream.vision.body import SMALLEST, box_of, middle, plausible, same
from stream.vision.boxes import Box
from stream.vision.detector import Detector
from stream.vision.followed import CERTAIN, SURE_LOOKS, Followed, assigned, gap
from stream.vision.hiding import hidden
from stream.vision.proposals import ROOM, Proposal, Proposals

if TYPE_CHECKING:
    from stream.vision.pose import Pose

LEAST_SCORE = 0.5
"""Poses of a lower score are dropped."""

ROOMS = (ROOM, 0.04, 0.36)
"""How much room to give a followed person's crop, in turn while they are not found."""

LOOKS = 2
"""Looks at one crop at most: who is found there and is not meant is painted out for the second."""

KNOWN = 0.4
"""A proposed box that shares so much with somebody who is followed (intersection over union) is theirs."""


class Estimator(Protocol):
    """What finds the pose of one person in a part of an image, such as `PoseEstimator`."""

    def estimate(self, image: NDArray[np.uint8], box: Box | None) -> Pose | None:
        """The pose of the most prominent person in the box, in pixels of the whole image; None if there is none."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in an image.

    Attributes:
        id: from 1; the same for as long as they are followed, and never used again.
        box: around their joints that are seen, in pixels.
        pose: their pose in this image.
    """

    id: int
    box: Box
    pose: Pose


@dataclass(slots=True)
class _Sight:
    """A pose of this image: where, and by whose crop it was found (None: a proposal's)."""

    pose: Pose
    box: Box
    of: Followed | None


class Crowd:
    """Follows everyone in the images of one camera.

    Those who are known are looked at where they were; proposals of where others may be (see `Proposals`) are looked
    at besides. All work waits in one queue, and what waited longest goes first: with a budget, a busy scene sees
    everyone less often, but nobody never, and the search for others goes on.

    Args:
        estimator: finds one person's pose.
        max_people: how many are followed at most.
        budget_s: seconds of work for an image, which one piece of work (a pose, a step of the search) may exceed where
            it alone takes longer; None: all the work for every image.
        clock: seconds, monotonic; for the budget only.
        detector, background: what proposes people; OpenCV's if left out.
    """

    def __init__(
        self,
        estimator: Estimator,
        *,
        max_people: int,
        budget_s: float | None,
        clock: Callable[[], float] = time.perf_counter,
        detector: Detector | None = None,
        background: Background | None = None,
    ) -> None:
        self._estimator, self._max_people, self._budget_s, self._clock = estimator, max_people, budget_s, clock
        self._proposals = Proposals(detector or Detector(), background or Background())
        self._born, self._turn = 0, 0
        self._cost = {"look": 0.0, "search": 0.0}
        self._people: list[Followed] = []
        self._shape: tuple[int, ...] | None = None

    def reset(self) -> None:
        """Forget everyone, as after a gap or a change of the image's size; ids go on counting."""
        self._people = []
        self._proposals.reset()
        self._shape = None

    def update(self, t_ns: int, image_bgr: NDArray[np.uint8]) -> list[Person]:
        """The people whose pose was found in this image, by id.

        Args:
            t_ns: capture time, later than that of the image before.
            image_bgr: (H, W, 3) uint8, blue green red.
        """
        start = self._clock()
        if image_bgr.shape != self._shape:
            self.reset()
            self._shape = image_bgr.shape
        self._turn += 1
        began = self._turn
        known = [person.expected(t_ns) for person in self._people]
        lost = any(person.id is not None and person.misses for person in self._people)
        self._proposals.watch(t_ns, image_bgr, known, self._turn, lost)
        sights: list[_Sight] = []
        while (work := self._next(began, start, t_ns, sights)) is not None:
            self._turn += 1
            before = self._clock()
            if isinstance(work, Proposals):
                work.search(t_ns, image_bgr, self._turn)
            elif isinstance(work, Followed):
                self._follow(work, t_ns, image_bgr, sights)
            else:
                self._try(work, t_ns, image_bgr, sights)
            # What the next such work will take: half of it is news, so that one hiccup does not stop the search.
            kind = "search" if isinstance(work, Proposals) else "look"
            self._cost[kind] = (self._cost[kind] + self._clock() - before) / 2
        self._settle(t_ns, sights, began)
        return self._found(t_ns)

    def _next(
        self, began: int, start: float, t_ns: int, sights: list[_Sight]
    ) -> Followed | Proposal | Proposals | None:
        """What waited longest and fits into the budget; everyone is looked at once in an image."""
        self._drop_known(t_ns, sights)
        work: list[tuple[int, Followed | Proposal | Proposals]]
        work = [(person.turn, person) for person in self._people if person.turn <= began]
        if self._proposals.waiting:
            # One of them at a time: however many there are, those who are followed wait no longer.
            work.append((self._proposals.try_turn, self._proposals.waiting[0]))
        if self._proposals.steps:
            work.append((self._proposals.step_turn, self._proposals))
        if not work:
            return None
        longest = min(work, key=lambda waiting: waiting[0])[1]
        if self._budget_s is not None and self._turn > began:
            cost = self._cost["search" if isinstance(longest, Proposals) else "look"]
            if self._clock() - start + cost > self._budget_s:
                return None
        return longest

    def _follow(self, person: Followed, t_ns: int, image: NDArray[np.uint8], sights: list[_Sight]) -> None:
        """Look for somebody where they should be; with more or less room around it while they are not found."""
        person.turn = self._turn
        rooms = [ROOMS[(person.misses + again) % len(ROOMS)] for again in range(LOOKS)]
        self._find([person.expected(t_ns).grown(room) for room in rooms], person, t_ns, image, sights)

    def _drop_known(self, t_ns: int, sights: list[_Sight]) -> None:
        """Forget the oldest proposals while they are where somebody is followed or was seen in this image already."""
        waiting = self._proposals.waiting
        known = [sight.box for sight in sights]
        known += [person.expected(t_ns) for person in self._people if not person.misses]
        while waiting and (proposed := waiting[0].box) and any(proposed.iou(box) > KNOWN for box in known):
            waiting.popleft()

    def _try(self, proposal: Proposal, t_ns: int, image: NDArray[np.uint8], sights: list[_Sight]) -> None:
        """Look at a proposal."""
        self._proposals.waiting.popleft()
        self._proposals.try_turn = self._turn
        if not self._find([proposal.crop] * LOOKS, None, t_ns, image, sights):
            self._proposals.fruitless(proposal, t_ns)

    def _find(
        self, crops: list[Box], by: Followed | None, t_ns: int, image: NDArray[np.uint8], sights: list[_Sight]
    ) -> bool:
        """Look at one crop after the other until who is looked for is found (None: somebody new).

        Somebody else who is found there is painted out for the next look.
        """
        height, width = image.shape[:2]
        for crop in crops:
            inside = crop.clipped(width, height)
            if min(inside.width, inside.height) < SMALLEST:
                return False
            pose = self._estimator.estimate(image, inside)
            if pose is None or pose.score < LEAST_SCORE or not plausible(pose, inside, width, height):
                if by is None:
                    return False
                continue
            sight = _Sight(pose, box_of(pose, width, height), by)
            whole = inside.holds(*middle(pose, width, height))
            meant = whole and not self._taken(sight, t_ns, sights)
            # Of somebody whose middle is not in the crop only a part is: that pose is worth nothing.
            if whole:
                sights.append(sight)
            if meant:
                return True
            image = hidden(image, pose)
        return False

    def _taken(self, sight: _Sight, t_ns: int, sights: list[_Sight]) -> bool:
        """Whether a pose is of another person than the one who was looked for (None: of anybody who is known)."""
        for other in sights:
            if (sight.of is None or other.of is not sight.of) and same(sight.pose, sight.box, other.pose, other.box):
                return True
        gaps = [(gap(person, sight.pose, t_ns), person) for person in self._people]
        least, nearest = min(gaps, key=lambda pair: pair[0], default=(CERTAIN, None))
        return least <= 1 and nearest is not sight.of

    def _settle(self, t_ns: int, sights: list[_Sight], began: int) -> None:
        """Who the poses of this image belong to, who is new, and who has left."""
        kept: list[_Sight] = []
        for sight in sorted(sights, key=lambda one: -one.pose.score):
            if not any(same(sight.pose, sight.box, other.pose, other.box) for other in kept):
                kept.append(sight)
        owners = assigned(self._people, [sight.pose for sight in kept], t_ns)
        known = list(self._people)
        for number, sight in enumerate(kept):
            if number in owners:
                known[owners[number]].saw(sight.pose, sight.box, t_ns, self._turn)
            elif len(self._people) < self._max_people:
                self._people.append(Followed(sight.pose, sight.box, t_ns, self._turn))
        for person in known:
            if person.t != t_ns and person.turn > began:
                person.misses += 1
        self._people = [person for person in self._people if not person.has_left(t_ns)]

    def _found(self, t_ns: int) -> list[Person]:
        people = []
        for person in self._people:
            if person.t != t_ns or person.looks < SURE_LOOKS:
                continue
            if person.id is None:
                self._born += 1
                person.id = self._born
            people.append(Person(person.id, person.box, person.pose))
        return sorted(people, key=lambda one: one.id)
