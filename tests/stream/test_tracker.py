"""Life cycles of tracks, by hand-made points."""

from __future__ import annotations

import numpy as np
import pytest
from poses import person

from stream.tracker import Tracker, TrackerSettings
from stream.types import NANOSECONDS, NO_TRACK, Space

FRAME = NANOSECONDS // 30


def update(tracker: Tracker, t: int, *people: np.ndarray, ids: tuple[int, ...] | None = None, space=Space.CAMERA3D):
    joints = np.stack(people) if people else np.zeros((0, 25, 3), np.float32)
    sensor = np.array(ids if ids is not None else [NO_TRACK] * len(people), np.int64)
    track_ids, ended = tracker.update(t, joints, np.ones(joints.shape[:2], np.float32), sensor, space)
    return track_ids.tolist(), ended


def test_two_people_keep_their_ids_whatever_the_order_of_bodies() -> None:
    tracker = Tracker()
    left, right = person(-1.0), person(1.0)
    assert update(tracker, 0, left, right) == ([1, 2], [])
    assert update(tracker, FRAME, right, left) == ([2, 1], [])


def test_people_who_pass_each_other_keep_their_ids_by_velocity() -> None:
    tracker = Tracker()
    for i in range(60):
        x = -1.5 + 0.05 * i
        ids, _ = update(tracker, i * FRAME, person(x, z=3.0), person(-x, z=3.4))
        assert ids == [1, 2]


def test_a_swap_of_the_sensors_ids_is_repaired() -> None:
    tracker = Tracker()
    assert update(tracker, 0, person(-1.0), person(1.0), ids=(71, 72))[0] == [1, 2]
    assert update(tracker, FRAME, person(-1.0), person(1.0), ids=(72, 71))[0] == [1, 2]


def test_the_sensors_ids_decide_when_two_people_touch() -> None:
    tracker = Tracker()
    assert update(tracker, 0, person(0.0), person(0.1), ids=(71, 72))[0] == [1, 2]
    # Geometry alone would now swap them.
    assert update(tracker, FRAME, person(0.1), person(0.0), ids=(71, 72))[0] == [1, 2]


def test_a_new_body_id_in_the_same_place_is_the_same_person() -> None:
    tracker = Tracker()
    update(tracker, 0, person(0.0), ids=(71,))
    update(tracker, FRAME)
    assert update(tracker, 10 * FRAME, person(0.1), ids=(99,)) == ([1], [])


def test_a_lost_track_ends_by_data_time_and_its_id_is_not_used_again() -> None:
    tracker = Tracker(TrackerSettings(max_lost_s=1.0))
    update(tracker, 0, person(0.0))
    assert update(tracker, NANOSECONDS) == ([], [])
    assert update(tracker, NANOSECONDS + FRAME) == ([], [1])
    assert update(tracker, NANOSECONDS + 2 * FRAME, person(0.0)) == ([2], [])


def test_a_body_far_away_is_somebody_else() -> None:
    tracker = Tracker()
    update(tracker, 0, person(0.0))
    assert update(tracker, FRAME, person(2.0))[0] == [2]
    assert tracker.open_tracks == [1, 2]


def test_however_long_someone_was_gone_a_body_across_the_room_is_somebody_else() -> None:
    tracker = Tracker()
    for i in range(30):
        update(tracker, i * FRAME, person(-2.0), ids=(1,))
    assert update(tracker, 29 * FRAME + round(1.3 * NANOSECONDS), person(2.0), ids=(2,))[0] == [2]


@pytest.mark.parametrize(
    ("x", "sensor_id", "expected"), [(0.9, NO_TRACK, 1), (1.1, NO_TRACK, 2), (0.9, 99, 2), (1.9, 71, 1), (2.1, 71, 2)]
)
def test_the_gate_has_an_end_and_goes_by_the_sensors_id(x: float, sensor_id: int, expected: int) -> None:
    tracker = Tracker()
    update(tracker, 0, person(0.0), ids=(71,))
    assert update(tracker, round(1.3 * NANOSECONDS), person(x), ids=(sensor_id,))[0] == [expected]


def test_of_two_bodies_the_one_with_another_known_id_is_the_less_likely() -> None:
    tracker = Tracker()
    update(tracker, 0, person(0.0), ids=(71,))
    assert update(tracker, FRAME, person(0.05), person(0.15), ids=(99, NO_TRACK))[0] == [2, 1]


def test_a_body_without_seen_joints_does_not_match_anyone() -> None:
    tracker = Tracker()
    update(tracker, 0, person(0.0))
    joints = person(0.0)[None]
    ids, _ = tracker.update(FRAME, joints, np.zeros((1, 25), np.float32), np.array([NO_TRACK]), Space.CAMERA3D)
    assert ids.tolist() == [2]


@pytest.mark.parametrize("scale", [1.0, 100.0, 400.0])
def test_image_coordinates_are_gated_by_body_height(scale: float) -> None:
    tracker = Tracker()
    flat = person(0.0) * np.array([scale, scale, 0.0], np.float32)
    step = np.array([0.1 * scale, 0, 0], np.float32)
    assert update(tracker, 0, flat, space=Space.IMAGE2D)[0] == [1]
    assert update(tracker, FRAME, flat + step, space=Space.IMAGE2D)[0] == [1]
    assert update(tracker, 2 * FRAME, flat + 30 * step, space=Space.IMAGE2D)[0] == [2]


def test_many_people_one_frame_after_another() -> None:
    tracker = Tracker()
    rng = np.random.default_rng(0)
    places = [(float(x), float(z)) for x in range(-3, 3) for z in (2, 4)]
    update(tracker, 0, *(person(x, z) for x, z in places))
    for i in range(1, 40):
        order = rng.permutation(len(places))
        ids, ended = update(tracker, i * FRAME, *(person(*places[n]) + np.float32(0.01) for n in order))
        assert ids == [int(n) + 1 for n in order]
        assert ended == []
