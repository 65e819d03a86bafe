"""Rectangles."""

import pytest

from stream.vision.boxes import Box


def test_sides_area_and_middle() -> None:
    box = Box(10, 20, 40, 100)
    assert (box.width, box.height, box.area, box.centre) == (30, 80, 2400, (25, 60))


def test_an_end_before_its_start_is_an_empty_box() -> None:
    box = Box(40, 100, 10, 20)
    assert (box.width, box.height, box.area) == (0, 0, 0)
    assert box.iou(box) == 0
    assert box.covered_by(Box(0, 0, 200, 200)) == 0


@pytest.mark.parametrize(
    ("other", "iou", "covered"),
    [
        (Box(0, 0, 10, 10), 1.0, 1.0),
        (Box(5, 0, 15, 10), 50 / 150, 0.5),
        (Box(-10, -10, 30, 30), 100 / 1600, 1.0),
        (Box(10, 0, 20, 10), 0.0, 0.0),
        (Box(50, 50, 60, 60), 0.0, 0.0),
    ],
)
def test_overlap(other: Box, iou: float, covered: float) -> None:
    box = Box(0, 0, 10, 10)
    assert box.iou(other) == pytest.approx(iou)
    assert other.iou(box) == pytest.approx(iou)
    assert box.covered_by(other) == pytest.approx(covered)


def test_it_grows_by_its_larger_side_on_all_sides() -> None:
    assert Box(100, 100, 120, 200).grown(0.5) == Box(50, 50, 170, 250)


def test_moved_and_scaled() -> None:
    assert Box(1, 2, 3, 4).moved(10, 20) == Box(11, 22, 13, 24)
    assert Box(1, 2, 3, 4).scaled(2) == Box(2, 4, 6, 8)


def test_clipped_to_the_image() -> None:
    assert Box(-5, 10, 700, 500).clipped(640, 480) == Box(0, 10, 640, 480)
    assert Box(-50, -50, -10, -10).clipped(640, 480).area == 0


def test_it_holds_its_edge() -> None:
    box = Box(0, 0, 10, 10)
    assert box.holds(10, 0)
    assert not box.holds(10.1, 0)
