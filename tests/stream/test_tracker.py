"""Life cycles of tracks, by hand-made points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from poses import STANDING, person
from scipy.optimize import linear_sum_assignment

from stream.track_table import TrackTable
from stream.tracker import Look, Tracker, TrackerSettings, follow
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


@dataclass
class Known:
    """A track as `Plain` knows it."""

    id: int
    sensor_id: int
    t: int
    joints: np.ndarray
    seen: np.ndarray
    velocity: np.ndarray
    scale: float


class Plain:
    """A tracker of one source that compares one track with one body, and always solves the whole assignment."""

    def __init__(self, settings: TrackerSettings) -> None:
        self.settings = settings
        self.tracks: list[Known] = []
        self.born = 0

    def update(self, t: int, joints: np.ndarray, confidence: np.ndarray, sensor_ids: np.ndarray, space: Space):
        limit = self.settings.max_lost_s * NANOSECONDS
        ended = [track.id for track in self.tracks if t - track.t > limit]
        self.tracks = [track for track in self.tracks if t - track.t <= limit]
        bodies = list(zip(joints, confidence > 0, sensor_ids.tolist(), strict=True))
        costs = np.full((len(self.tracks), len(bodies)), 1e6)
        for n, track in enumerate(self.tracks):
            for m, body in enumerate(bodies):
                costs[n, m] = self.cost(track, t, *body)
        ids = [0] * len(bodies)
        for n, m in zip(*linear_sum_assignment(costs), strict=True):
            if costs[n, m] < 1e6:
                ids[m] = self.tracks[n].id
                self.move(self.tracks[n], t, *bodies[m])
        for m, (pose, seen, sensor_id) in enumerate(bodies):
            if not ids[m]:
                self.born += 1
                ids[m] = self.born
                size = np.linalg.norm(np.ptp(pose[seen], axis=0)) if seen.sum() > 1 else 0
                scale = 1 if space is Space.CAMERA3D else (size or 1) / 1.7
                self.tracks.append(Known(self.born, sensor_id, t, pose, seen, np.zeros(3), scale))
        return ids, ended

    def cost(self, track: Known, t: int, pose: np.ndarray, seen: np.ndarray, sensor_id: int) -> float:
        lost_s = (t - track.t) / NANOSECONDS
        both = track.seen & seen
        if not both.any():
            return 1e6
        apart = pose[both] - track.joints[both] - track.velocity * min(lost_s, 0.5)
        distance = np.linalg.norm(apart, axis=1).mean() / track.scale
        told = NO_TRACK not in (sensor_id, track.sensor_id)
        same, other = told and sensor_id == track.sensor_id, told and sensor_id != track.sensor_id
        bonus = self.settings.id_bonus_m
        gate = min(self.settings.gate_m + self.settings.speed_m_s * lost_s, max(self.settings.gate_m, 1.0))
        near = distance + bonus * other <= gate * (2 if same else 1)
        return distance + bonus * other - bonus * same if near else 1e6

    @staticmethod
    def move(track: Known, t: int, pose: np.ndarray, seen: np.ndarray, sensor_id: int) -> None:
        both = track.seen & seen
        velocity = (pose[both] - track.joints[both]).mean(axis=0) / ((t - track.t) / NANOSECONDS)
        track.velocity = 0.5 * track.velocity + 0.5 * velocity
        track.t, track.joints, track.seen, track.sensor_id = t, pose, seen, sensor_id


@pytest.mark.parametrize("seed", range(12))
def test_sources_followed_together_are_followed_as_each_alone(seed: int) -> None:
    random = np.random.default_rng(seed)
    settings = TrackerSettings(max_lost_s=0.5)
    table = TrackTable()
    sources = 5
    together = [Tracker(settings, table=table) for _ in range(sources)]
    alone, plain = [Tracker(settings) for _ in range(sources)], [Plain(settings) for _ in range(sources)]
    spaces = [Space.IMAGE2D if source == 3 else Space.CAMERA3D for source in range(sources)]
    t = [0] * sources
    places = [random.normal(scale=0.7, size=(people, 3)) for people in range(sources)]
    speeds = [random.normal(scale=0.8, size=place.shape) for place in places]
    for _ in range(60):
        shown = random.permutation(sources)[: random.integers(1, sources + 1)].tolist()
        looks, bodies, expected = [], [], []
        for source in shown:
            step = int(random.choice([33_333_333, 100_000_000, 700_000_000], p=[0.8, 0.17, 0.03]))
            t[source] += step
            places[source] = 0.98 * places[source] + speeds[source] * (step / NANOSECONDS)
            order = random.permutation(len(places[source]))
            order = order[random.random(len(order)) < 0.9]
            joints = (STANDING + places[source][order][:, None]).astype(np.float32)
            joints += random.normal(scale=0.02, size=joints.shape).astype(np.float32)
            if spaces[source] is Space.IMAGE2D:
                joints *= np.array([300, -300, 0], np.float32)
            confidence = (random.random(joints.shape[:2]) > 0.1).astype(np.float32)
            sensor_ids = np.where(random.random(len(order)) < 0.1, NO_TRACK, random.permutation(order) + 70)
            frame = (t[source], joints, confidence, sensor_ids, spaces[source])
            looks.append(Look(together[source], t[source], spaces[source], len(order)))
            bodies.append((joints, confidence > 0, sensor_ids))
            ids, ended = alone[source].update(*frame)
            assert plain[source].update(*frame) == (ids.tolist(), ended)
            expected.append((ids.tolist(), ended))
        found, ends = follow(looks, *(np.concatenate(parts) for parts in zip(*bodies, strict=True)))
        counts = np.cumsum([look.bodies for look in looks])[:-1]
        assert [(ids.tolist(), ended) for ids, ended in zip(np.split(found, counts), ends, strict=True)] == expected
    assert [tracker.open_tracks for tracker in together] == [tracker.open_tracks for tracker in alone]
    assert all(
        np.array_equal(tracker.table.velocity[tracker.slots], table.velocity[other.slots])
        for tracker, other in zip(alone, together, strict=True)
    )


def test_slots_of_tracks_that_are_over_are_used_again() -> None:
    tracker = Tracker(TrackerSettings(max_lost_s=0.01))
    for i in range(50):
        update(tracker, i * FRAME, person(-1.0), person(1.0))
    assert tracker.born == 100
    tracker.forget()
    assert tracker.open_tracks == []
    assert update(tracker, 50 * FRAME, person(-1.0)) == ([101], [])
    assert len(tracker.table.ids) == 4
