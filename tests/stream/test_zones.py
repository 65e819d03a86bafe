"""Areas of the floor and of the picture, by hand-made people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from poses import person

from stream.layouts.canonical import HEAD
from stream.polygon import contains, distance_to_edge, polygon_fault
from stream.types import Space, Tracked
from stream.zones import By, Zone, ZoneMap

SQUARE = ((0.0, 2.0), (2.0, 2.0), (2.0, 4.0), (0.0, 4.0))
LEGS = list(range(12, 20))


def tracked(
    *people: np.ndarray, unseen: list[int] | None = None, source: str = "cam", space: Space = Space.CAMERA3D
) -> Tracked:
    joints = np.stack(people) if people else np.zeros((0, 25, 3), np.float32)
    confidence = np.ones(joints.shape[:2], np.float32)
    confidence[:, unseen or []] = 0
    return Tracked(source, 0, space, np.arange(1, len(joints) + 1), joints, confidence)


def floor(**changes: object) -> Zone:
    return Zone("bed", Space.CAMERA3D, **{"corners": SQUARE, **changes})  # type: ignore[arg-type]


def inside(zone: Zone, *frames: Tracked) -> set[int]:
    zones = ZoneMap([zone])
    for frame in frames:
        zones.see(frame)
    return set(zones.people("cam", "bed"))


@pytest.mark.parametrize(
    ("corners", "fault"),
    [
        ([(0, 0), (1, 0)], "2 corners; expected 3 to 100"),
        ([(0, 0), (1, 0), (float("nan"), 1)], "not finite"),
        ([(0, 0), (1, 0), (1, 1), (0, 0)], "corner 4 is repeated ([0, 0])"),
        ([(0, 0), (1, 1), (2, 2)], "no area"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "crosses or touches itself: the side from corner 1 ([0, 0])"),
        ([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], "crosses or touches itself"),
        ([(0, 0), (3, 0), (1, 0), (1, 1)], "crosses or touches itself"),
        ([(0, 0), (1, 0), (1, 1)], ""),
        ([(0, 0), (0, 1), (1, 1), (1, 0)], ""),
        ([(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)], ""),
        ([(0, 0), (2, 0), (4, 0), (4, 4)], ""),
    ],
)
def test_polygons_must_have_an_area_and_an_edge_that_does_not_meet_itself(
    corners: list[tuple[float, float]], fault: str
) -> None:
    said = polygon_fault(corners)
    assert fault in said if fault else said == ""


@given(
    st.lists(st.floats(0.2, 3.0), min_size=3, max_size=12),
    st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
    st.floats(0, 6.28),
)
def test_a_star_shaped_polygon_holds_what_lies_nearer_than_its_edge(
    radii: list[float], point: tuple[float, float], turn: float
) -> None:
    """Its area is told by an angle and a distance, which the even-odd rule knows nothing of."""
    angles = turn + 2 * np.pi * np.arange(len(radii)) / len(radii)
    corners = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    points = np.array([point])
    step = 2 * np.pi / len(radii)
    at = int((np.arctan2(point[1], point[0]) - turn) % (2 * np.pi) // step) % len(radii)
    a, b = corners[at], corners[(at + 1) % len(radii)]
    side = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    if distance_to_edge(corners, points)[0] > 1e-6:  # where rounding cannot move it across
        assert bool(contains(corners, points)[0]) == (side > 0)


def test_a_hole_in_a_u_is_outside() -> None:
    u = np.array([(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)], float)
    assert contains(u, np.array([(0.5, 2), (1.5, 2), (2.5, 2), (1.5, 0.5), (-1, 2)])).tolist() == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_distances_from_the_edge() -> None:
    square = np.array(SQUARE)
    assert distance_to_edge(square, np.array([(1, 3), (-1, 3), (3, 5), (1.75, 3)])) == pytest.approx(
        [1, 1, np.sqrt(2), 0.25]
    )


def test_who_stands_in_an_area_of_the_floor() -> None:
    assert inside(floor(), tracked(person(1, 3), person(-1, 3), person(1, 5))) == {1}


def test_a_camera_that_looks_down_sees_the_same_floor() -> None:
    pitch = np.deg2rad(30)
    turn = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    level = [person(1, z) - (0, 1.5, 0) for z in (1.5, 2.5, 3.9, 4.5)]
    # In the axes of a camera that looks down by 30 degrees: y' = u . p and z' = f . p.
    seen = [(one @ turn).astype(np.float32) for one in level]
    assert seen[1][HEAD, 2] > level[1][HEAD, 2] * np.cos(pitch)
    assert inside(floor(pitch_deg=30.0), tracked(*seen)) == inside(floor(), tracked(*level)) == {2, 3}
    assert inside(floor(), tracked(*seen)) != {2, 3}


def test_feet_hips_or_any_joint() -> None:
    leaning = person(-0.5, 3)
    leaning[HEAD] = (0.3, 0.2, 3)
    frame = tracked(leaning)
    assert inside(floor(by=By.FEET), frame) == inside(floor(by=By.HIPS), frame) == set()
    assert inside(floor(by=By.ANY), frame) == {1}
    assert inside(floor(by=By.ANY), tracked(leaning, unseen=[HEAD])) == set()
    one_step_in = person(-0.5, 3)
    one_step_in[[14, 15, 18, 19], 0] += 1
    assert inside(floor(by=By.FEET), tracked(one_step_in)) == {1}
    assert inside(floor(by=By.HIPS), tracked(one_step_in)) == set()


def test_unseen_feet_are_below_the_hips_and_of_less_whatever_is_seen_counts() -> None:
    assert inside(floor(), tracked(person(1, 3), person(-1, 3), unseen=LEGS)) == {1}
    assert inside(floor(), tracked(person(1, 3), person(-1, 3), unseen=[0, *LEGS])) == {1}
    only_a_hand = [joint for joint in range(25) if joint != 7]
    assert inside(floor(), tracked(person(1, 3), person(-1, 3), unseen=only_a_hand)) == {1}


def test_in_a_picture_unseen_feet_are_a_leg_below_the_hips_of_who_is_upright() -> None:
    upright = person()[:, :3] * (100, -100, 0) + (300, 400, 0)
    lying = upright.copy()
    lying[:, :2] = (upright[:, :2] - (300, 400))[:, ::-1] + (300, 400)
    frame = tracked(upright.astype(np.float32), lying.astype(np.float32), space=Space.IMAGE2D, unseen=[14, 15, 18, 19])

    def at(y: float) -> set[int]:
        corners = ((200.0, y - 20), (400.0, y - 20), (400.0, y + 20), (200.0, y + 20))
        return inside(Zone("bed", Space.IMAGE2D, corners), frame)

    assert at(400 + 1.32 * 52) == {1}
    assert at(400) == {2}


def test_someone_at_the_edge_does_not_flicker() -> None:
    walk = [tracked(person(x, 3)) for x in (0.05, -0.05, 0.05, -0.08)]
    assert inside(floor(), *walk) == {1}
    assert inside(floor(), *walk[1:2]) == set()
    assert inside(floor(), *walk, tracked(person(-0.12, 3))) == set()
    assert inside(floor(edge=0.5), *walk, tracked(person(-0.4, 3))) == {1}
    assert inside(floor(edge=0.0), *walk) == set()


def test_an_area_belongs_to_its_sources_and_several_of_one_name_are_one_zone() -> None:
    zones = ZoneMap(
        [
            floor(sources=frozenset({"a"})),
            floor(sources=frozenset({"b"}), corners=((-2, 2), (0, 2), (0, 4), (-2, 4))),
            Zone("bed", Space.IMAGE2D, SQUARE),
            floor(sources=frozenset({"a"}), corners=((-2, 5), (0, 5), (0, 7), (-2, 7))),
        ]
    )
    for source in ("a", "b", "c"):
        zones.see(tracked(person(1, 3), person(-1, 3), person(-1, 6), source=source))
    assert zones.people("a", "bed") == {1, 3}
    assert zones.people("b", "bed") == {2}
    assert zones.people("c", "bed") == set()
    assert [zones.covers(source, "bed") for source in "abcd"] == [True, True, False, False]
    assert zones.people("c") == {1, 2, 3}
    zones.forget("a")
    assert zones.people("a") == zones.people("a", "bed") == set()


def test_only_the_newest_frame_counts() -> None:
    assert inside(floor(), tracked(person(1, 3)), tracked()) == set()
