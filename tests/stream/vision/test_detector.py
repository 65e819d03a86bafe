"""OpenCV's people detector and background subtraction on real and drawn images."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

try:
    import cv2
except ImportError as error:
    pytest.skip(f"OpenCV cannot be loaded: {error}", allow_module_level=True)

from stream.types import NANOSECONDS
from stream.vision.background import Background
from stream.vision.boxes import Box
from stream.vision.detector import WINDOW, Detector, apart

SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "samples"


def images(name: str, count: int) -> list[np.ndarray]:
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip(f"needs ../shared/data/samples/{name}")
    video = cv2.VideoCapture(str(path))
    try:
        return [video.read()[1] for _ in range(count)]
    finally:
        video.release()


@pytest.mark.parametrize("size", [(384, 288), (768, 576), (1920, 1080), (300, 900)])
def test_the_steps_of_a_search_cover_the_image_and_are_short(size: tuple[int, int]) -> None:
    steps = Detector().steps(*size)
    scales = sorted({step.scale for step in steps}, reverse=True)
    assert scales[0] <= 2
    assert size[1] * scales[-1] < WINDOW[1] * 1.2 or size[0] * scales[-1] < WINDOW[0] * 1.2, "the largest people"
    for scale in scales:
        parts = [step for step in steps if step.scale == scale]
        assert parts[0].left == 0
        assert parts[-1].right == int(size[0] * scale)
        assert all(part.right - part.left <= 640 + WINDOW[0] for part in parts)
        for one, other in pairwise(parts):
            assert one.right - other.left >= WINDOW[0] - 1, "nobody is cut in two"


def test_an_image_smaller_than_a_person_has_no_steps() -> None:
    assert Detector().steps(30, 40) == []


def test_pedestrians_are_found() -> None:
    (image,) = images("video/vtest.avi", 1)
    detector = Detector()
    boxes = [box for step in detector.steps(768, 576) for box in detector.find(image, step)]
    for middle in ((514, 192), (267, 263), (661, 281)):
        assert any(box.holds(*middle) and 40 < box.height < 160 for box in boxes), middle


def test_nobody_is_found_in_an_empty_image() -> None:
    image = np.full((288, 384, 3), 128, np.uint8)
    detector = Detector()
    assert [box for step in detector.steps(384, 288) for box in detector.find(image, step)] == []


def test_of_boxes_of_one_person_the_first_stays() -> None:
    boxes = [Box(0, 0, 10, 20), Box(1, 0, 11, 20), Box(40, 0, 50, 20)]
    assert apart(boxes) == [boxes[0], boxes[2]]


def scene(*boxes: Box) -> np.ndarray:
    """Grey noise that stays, with bright things in it."""
    image = np.random.default_rng(0).integers(90, 110, (288, 384, 3)).astype(np.uint8)
    for box in boxes:
        image[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = 220
    return image


def test_somebody_lying_is_proposed_for_as_long_as_they_lie() -> None:
    background, fallen = Background(), Box(100, 200, 220, 240)
    for second in range(5):
        assert background.moving(second * NANOSECONDS, scene(), []) == []
    for second in range(5, 20):
        (box,) = background.moving(second * NANOSECONDS, scene(fallen), [])
        assert box.iou(fallen) > 0.7


def test_what_stays_becomes_background() -> None:
    background, chair = Background(forgets_s=5), Box(100, 200, 220, 240)
    background.moving(0, scene(), [])
    seen = [background.moving(second * NANOSECONDS, scene(chair), []) for second in range(1, 60)]
    assert seen[0]
    assert not seen[-1]


def test_known_people_are_left_out() -> None:
    background, known, other = Background(), Box(50, 50, 90, 150), Box(250, 50, 290, 150)
    background.moving(0, scene(), [])
    (box,) = background.moving(NANOSECONDS, scene(known, other), [known.grown(0.15)])
    assert box.iou(other) > 0.7


def test_a_switched_light_is_no_crowd() -> None:
    background = Background()
    background.moving(0, scene(), [])
    assert background.moving(NANOSECONDS, np.minimum(scene() * 2, 255).astype(np.uint8), []) == []
    assert background.moving(2 * NANOSECONDS, np.minimum(scene() * 2, 255).astype(np.uint8), []) == []
