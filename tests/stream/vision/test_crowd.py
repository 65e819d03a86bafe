"""Following people, with an estimator and proposals that are made up: everything but the images is real."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

try:
    import cv2
except ImportError as error:
    pytest.skip(f"OpenCV cannot be loaded: {error}", allow_module_level=True)

from stream.errors import PosewireError
from stream.types import NANOSECONDS
from stream.vision.background import Background
from stream.vision.boxes import Box
from stream.vision.crowd import Crowd, Person
from stream.vision.detector import Detector, Step
from stream.vision.pose import Pose, PoseEstimator

SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "samples"
WIDTH, HEIGHT = 640, 480
STANDING = np.array(
    # nose, eyes, ears, mouth; shoulders, elbows, wrists, hands; hips, knees, ankles, feet: shares of the height
    [(0, 0.05), *[(0.01, 0.04)] * 3, *[(-0.01, 0.04)] * 3, (0.03, 0.05), (-0.03, 0.05), (0.01, 0.07), (-0.01, 0.07)]
    + [(0.1, 0.2), (-0.1, 0.2), (0.14, 0.35), (-0.14, 0.35), (0.15, 0.5), (-0.15, 0.5)]
    + [(0.15, 0.53), (-0.15, 0.53)] * 3
    + [(0.07, 0.52), (-0.07, 0.52), (0.08, 0.75), (-0.08, 0.75), (0.08, 0.95), (-0.08, 0.95)]
    + [(0.08, 0.98), (-0.08, 0.98), (0.1, 1), (-0.1, 1)]
)
IMAGE = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)


def pose(x: float, y: float, height: float = 120, score: float = 0.9, *, lying: bool = False) -> Pose:
    """Somebody whose head is at (x, y), standing, or lying to the right."""
    shape = STANDING[:, ::-1] if lying else STANDING
    image = np.zeros((33, 3), np.float32)
    image[:, :2] = shape * height + (x, y)
    return Pose(image, np.full(33, score, np.float32), np.zeros((33, 3), np.float32), score)


class World:
    """Estimator, detector, background and clock over people at known places.

    A crop shows the person whose middle lies nearest to its own middle; a look takes `look_s`, a step `step_s`.
    """

    def __init__(self, *people: Pose, look_s: float = 0.02, step_s: float = 0.05) -> None:
        self.people = list(people)
        self.upright = list(people)
        self.moving: list[Box] = []
        self.look_s, self.step_s, self.now = look_s, step_s, 0.0
        self.looks: list[Box] = []
        self.searches = 0

    def crowd(self, budget_s: float | None = None, max_people: int = 10) -> Crowd:
        return Crowd(
            self, max_people=max_people, budget_s=budget_s, clock=lambda: self.now, detector=SeenBy(self),
            background=Moved(self),
        )  # fmt: skip

    def estimate(self, image: np.ndarray, box: Box | None) -> Pose | None:
        self.now += self.look_s
        box = box or Box(0, 0, WIDTH, HEIGHT)
        self.looks.append(box)
        shown = []
        for someone in self.people:
            middle = someone.image[[11, 12, 23, 24], :2].mean(axis=0)
            painted_out = (image[int(middle[1]), int(middle[0])] != IMAGE[0, 0]).any()
            if box.holds(*middle) and not painted_out:
                shown.append((float(np.hypot(*(middle - box.centre))), len(shown), someone))
        return min(shown)[2] if shown else None

    def picture(self) -> np.ndarray:
        """An image whose mean differs from the middle of everyone, so that painting out is seen."""
        image = IMAGE.copy()
        image[:160, :160] = 0
        return image


class SeenBy(Detector):
    """Finds the upright in one step each of two halves."""

    def __init__(self, world: World) -> None:
        self.world = world

    def steps(self, width: int, height: int) -> list[Step]:
        del height
        return [Step(1.0, 0, width // 2), Step(1.0, width // 2, width)]

    def find(self, image: np.ndarray, step: Step) -> list[Box]:
        del image
        self.world.now += self.world.step_s
        self.world.searches += 1
        return [
            Box(x - 20, y, x + 20, y + 120)
            for x, y in (someone.image[0, :2].tolist() for someone in self.world.upright)
            if step.left <= x < step.right
        ]


class Moved(Background):
    """Tells what moves."""

    def __init__(self, world: World) -> None:
        self.world = world

    def reset(self) -> None:
        """Nothing is learnt."""

    def moving(self, t_ns: int, image: np.ndarray, known: list[Box]) -> list[Box]:
        del t_ns, image
        return [box for box in self.world.moving if not any(box.iou(other) > 0.3 for other in known)]


def watch(crowd: Crowd, world: World, count: int, start: int = 0) -> Iterator[tuple[int, list[Person]]]:
    """Ten images a second."""
    for number in range(start, start + count):
        yield number, crowd.update(number * NANOSECONDS // 10, world.picture())


def test_everyone_is_found_once_and_keeps_their_id() -> None:
    world = World(pose(200, 200), pose(330, 210), pose(500, 220))
    crowd = world.crowd()
    for number, people in watch(crowd, world, 30):
        if number:
            assert [person.id for person in people] == [1, 2, 3]
            assert sorted(float(person.pose.image[0, 0]) for person in people) == [200, 330, 500]
            assert all(person.box.holds(*person.pose.image[0, :2].tolist()) for person in people)


def test_ids_go_with_those_who_walk() -> None:
    world = World(pose(200, 200), pose(560, 210))
    crowd = world.crowd()
    where: dict[int, list[float]] = {}
    for number, people in watch(crowd, world, 40):
        for person in people:
            where.setdefault(person.id, []).append(float(person.pose.image[0, 0]))
        world.people = [pose(200 + 4 * number, 200), pose(560 - 3 * number, 210)]
        world.upright = []
    assert set(where) == {1, 2}
    for xs in where.values():
        assert len(xs) >= 38
        assert np.abs(np.diff(xs)).max() < 10


def test_two_crops_of_one_person_are_one_person() -> None:
    one, other = pose(300, 200, score=0.8), pose(303, 202, score=0.9)
    world = World(one)
    crowd = world.crowd()
    world.moving = [Box(240, 190, 290, 330), Box(310, 190, 360, 330)]
    for number, people in watch(crowd, world, 20):
        world.people = [one, other] if number % 2 else [other, one]
        assert len(people) == (number > 0)
        assert all(person.id == 1 for person in people)


def test_a_person_beside_the_one_whom_the_crop_shows_is_found() -> None:
    near, hidden_behind = pose(300, 200), pose(335, 200)
    world = World(near, hidden_behind)
    world.upright = [near]
    people = [found for _, found in watch(world.crowd(), world, 15)][-1]
    assert sorted(float(person.pose.image[0, 0]) for person in people) == [300, 335]


def test_somebody_lying_is_found_by_what_moves() -> None:
    fallen = pose(250, 400, 150, lying=True)
    world = World()
    crowd = world.crowd()
    assert [found for _, found in watch(crowd, world, 5)][-1] == []
    world.people, world.moving = [fallen], [Box(245, 380, 405, 425)]
    people = [found for _, found in watch(crowd, world, 3, start=5)][-1]
    assert len(people) == 1
    assert people[0].box.width > people[0].box.height


def test_somebody_seated_still_is_found_in_a_part_of_the_image() -> None:
    world = World(pose(560, 380, 80))
    world.upright = []
    found = [bool(people) for _, people in watch(world.crowd(), world, 100)]
    assert any(found), "no detector saw them and they never moved"


def test_who_leaves_is_forgotten_and_who_comes_is_another() -> None:
    world = World(pose(200, 200))
    crowd = world.crowd()
    assert [[person.id for person in people] for _, people in watch(crowd, world, 3)] == [[], [1], [1]]
    world.people = world.upright = []
    assert [people for _, people in watch(crowd, world, 30, start=3)] == [[]] * 30
    world.people = world.upright = [pose(200, 200)]
    ids = {person.id for _, people in watch(crowd, world, 30, start=33) for person in people}
    assert ids == {2}


def test_somebody_lost_for_a_moment_keeps_their_id() -> None:
    world = World(pose(200, 200))
    crowd = world.crowd()
    list(watch(crowd, world, 3))
    world.people = world.upright = []
    list(watch(crowd, world, 8, start=3))
    world.people = world.upright = [pose(215, 200)]
    people = [found for _, found in watch(crowd, world, 4, start=11)][-1]
    assert [person.id for person in people] == [1]


@pytest.mark.parametrize(
    "nobody",
    [
        pose(200, 200, score=0.2),
        pose(200, 200, height=12),
        Pose(
            np.linspace((200, 100, 0), (202, 300, 0), 33).astype(np.float32),
            np.ones(33, np.float32), np.zeros((33, 3), np.float32), 0.9,
        ),
        pose(-400, 200),
    ],
    ids=["doubtful", "too small", "a line", "out of the image"],
)  # fmt: skip
def test_what_is_no_person_is_dropped(nobody: Pose) -> None:
    world = World()
    world.estimate = lambda _image, _box: nobody  # type: ignore[method-assign]
    assert [people for _, people in watch(world.crowd(), world, 10)] == [[]] * 10


def test_no_more_people_than_asked_for() -> None:
    world = World(*(pose(60 + 70 * number, 200) for number in range(8)))
    for number, people in watch(world.crowd(max_people=3), world, 20):
        assert len(people) == (3 if number else 0)


def test_with_a_budget_nobody_starves_and_the_search_goes_on() -> None:
    world = World(*(pose(40 + 62 * number, 200) for number in range(9)))
    crowd = world.crowd(budget_s=0.06)
    last: dict[int, int] = {}
    waits: dict[int, list[int]] = {}
    searches = []
    for number, people in watch(crowd, world, 200):
        before = world.now
        assert len(people) <= 3
        searches.append(world.searches)
        for person in people:
            if number >= 100:
                waits.setdefault(person.id, []).append(number - last[person.id])
            last[person.id] = number
        assert world.now == before
    assert set(last) == set(range(1, 10))
    assert max(max(gaps) for gaps in waits.values()) <= 9, "nine people, three looks an image, and the search"
    assert min(len(gaps) for gaps in waits.values()) > 0.5 * max(len(gaps) for gaps in waits.values())
    assert searches[-1] > searches[100] + 10


def test_an_image_takes_no_longer_than_its_budget_once_the_costs_are_known() -> None:
    world = World(*(pose(40 + 62 * number, 200) for number in range(9)))
    crowd = world.crowd(budget_s=0.06)
    took = []
    for number in range(100):
        before = world.now
        crowd.update(number * NANOSECONDS // 10, world.picture())
        took.append(world.now - before)
    assert max(took[10:]) <= 0.06 + world.look_s + 1e-9, "a second look at somebody is part of the first"
    assert np.mean(took[10:]) <= 0.06


def test_the_stalest_goes_first() -> None:
    world = World(*(pose(100 + 110 * number, 200) for number in range(5)), step_s=0.0)
    crowd = world.crowd(budget_s=0.02)
    order = [person.id for _, people in watch(crowd, world, 300) for person in people][50:]
    # The search's two crops (the whole image, a part of it) find somebody again now and then, twice each at most.
    for number in range(len(order) - 9):
        assert len(set(order[number : number + 9])) == 5, "everyone once in five turns and the search's four"


def test_work_that_takes_longer_than_the_budget_is_done_all_the_same() -> None:
    world = World(pose(300, 200), look_s=0.5, step_s=0.9)
    ids = {person.id for _, people in watch(world.crowd(budget_s=0.03), world, 60) for person in people}
    assert ids == {1}


def test_an_image_of_another_size_starts_anew() -> None:
    world = World(pose(200, 200))
    crowd = world.crowd()
    list(watch(crowd, world, 3))
    wider = np.pad(world.picture(), ((0, 0), (0, 100), (0, 0)), constant_values=100)
    ids = [[person.id for person in crowd.update(NANOSECONDS + number, wider)] for number in range(2)]
    assert ids == [[], [2]]


@pytest.mark.slow
def test_three_people_exercise_under_three_ids() -> None:
    path = SAMPLES / "video_local_only" / "exercise_three_people.avi"
    if not path.is_file():
        pytest.skip("needs ../shared/data/samples/video_local_only")
    video = cv2.VideoCapture(str(path))
    try:
        with PoseEstimator() as estimator:
            crowd = Crowd(estimator, max_people=8, budget_s=None)
            found = [crowd.update(number * NANOSECONDS // 10, video.read()[1]) for number in range(60)]
    except PosewireError as error:
        pytest.skip(str(error))
    finally:
        video.release()
    assert np.mean([len(people) for people in found]) >= 2.7
    assert {person.id for people in found for person in people} == {1, 2, 3}
