"""A turn of many frames of many sources gives what its frames give one after the other."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from poses import STANDING, frame, person

from stream.bodies import Bodies
from stream.errors import PosewireError
from stream.layouts import KINECT_V1_JOINTS, layout
from stream.tracker import TrackerSettings
from stream.tracks import Step, TrackEnd, TrackHole, Tracks
from stream.types import NANOSECONDS, EndReason, SkeletonFrame, Space, Tracked, Window
from stream.window import WindowSettings

FRAME = NANOSECONDS // 30


def make() -> Tracks:
    tracks = Tracks(TrackerSettings(max_lost_s=0.8), WindowSettings(stride=4, gap_s=0.5), 0.4)
    tracks.handover_m = 1.0
    return tracks


def told(steps: list[Step]) -> list[tuple[object, ...]]:
    """Steps that can be compared."""
    values = ([getattr(step, field.name) for field in fields(step)] for step in steps)
    return [
        (type(step), *(value.tolist() if isinstance(value, np.ndarray) else value for value in row))
        for step, row in zip(steps, values, strict=True)
    ]


class Camera:
    """Gives frames with all that can go wrong."""

    def __init__(self, number: int, random: np.random.Generator) -> None:
        self.number, self.random = number, random
        self.flat = number == 2
        self.layout = "kinect_v1" if number == 1 else "kinect_v2"
        self.pose = STANDING[: len(KINECT_V1_JOINTS) if number == 1 else 25]
        self.places = random.normal(size=(number, 3))
        self.t = number * 1_000_000

    def frame(self) -> SkeletonFrame:
        step = self.random.choice([1 / 30, 0.6, 2.0, -0.1, -20.0], p=[0.92, 0.03, 0.02, 0.02, 0.01])
        t = self.t + round(step * NANOSECONDS)
        self.t = self.t if step == -0.1 else t
        self.places += self.random.normal(scale=0.05, size=self.places.shape)
        shown = self.random.permutation(len(self.places))
        shown = shown[self.random.random(len(shown)) < 0.93]
        joints = self.pose + self.places[shown][:, None]
        confidence = self.random.random(joints.shape[:2]) * (self.random.random(joints.shape[:2]) > 0.1)
        confidence[self.random.random(len(shown)) < 0.03] = 0  # a body of which nothing is seen
        if self.flat:
            joints = joints * (300, -300, 0)
        space = Space.IMAGE2D if self.flat else Space.CAMERA3D
        arrays = joints.astype(np.float32), confidence.astype(np.float32), shown + 70
        return SkeletonFrame(f"cam{self.number}", 0, t, self.layout, *arrays, space)


@pytest.mark.parametrize("seed", range(6))
def test_a_turn_gives_what_its_frames_give_one_after_the_other(seed: int) -> None:
    random = np.random.default_rng(seed)
    cameras = [Camera(number, random) for number in range(6)]
    together, alone = make(), make()
    kinds = set()
    for _ in range(50):
        turn = [cameras[number].frame() for number in random.integers(len(cameras), size=random.integers(1, 40))]
        steps = together.push(turn)
        assert told(steps) == told([step for one in turn for step in alone.push([one])])
        assert together.ended == alone.ended
        assert together.counts == alone.counts
        kinds |= {type(step) for step in steps}
        if random.random() < 0.1:
            together.end_source("cam4")
            alone.end_source("cam4")
    assert kinds == {Tracked, Window, TrackHole, TrackEnd}
    assert {"late_frames", "clock_resets", "gaps"} <= set(together.counts)


def test_a_clock_that_is_set_back_in_the_middle_of_a_turn_ends_the_tracks_of_its_source_alone() -> None:
    tracks = make()
    late = 100 * NANOSECONDS
    turn = [
        frame(late, person(0.0), person(2.0), source="a"),
        frame(0, person(0.0), source="b"),
        frame(late + FRAME, person(0.0), person(2.0), source="a"),
        frame(0, person(0.0), source="a"),
        frame(FRAME, person(0.0), source="b"),
        frame(FRAME, person(0.0), source="a"),
        frame(0, person(0.0), source="a"),
    ]
    steps = tracks.push(turn)
    ids = [(step.source, step.track_ids.tolist()) for step in steps if isinstance(step, Tracked)]
    assert ids == [("a", [1, 2]), ("b", [1]), ("a", [1, 2]), ("a", [3]), ("b", [1]), ("a", [3])]
    assert [step for step in steps if isinstance(step, TrackEnd)] == [TrackEnd("a", None, EndReason.GAP)]
    assert tracks.ended == [1, 2]
    assert tracks.counts == {"frames": 7, "clock_resets": 1, "late_frames": 1}


def test_a_source_that_comes_back_goes_on_with_its_ids() -> None:
    tracks = make()
    tracks.push([frame(0, person(0.0), source="a"), frame(0, person(0.0), source="b")])
    tracks.end_source("a")
    steps = tracks.push([frame(FRAME, person(0.0), source="a"), frame(FRAME, person(0.0), source="b")])
    assert [step.track_ids.tolist() for step in steps if isinstance(step, Tracked)] == [[2], [1]]


def test_frames_of_several_layouts_are_stacked_in_their_order() -> None:
    random = np.random.default_rng(3)
    cameras = [Camera(number, random) for number in range(4)]
    frames = [cameras[number].frame() for number in (1, 3, 1, 0, 2, 3)]
    bodies = Bodies.of(frames)
    for number, one in enumerate(frames):
        joints, confidence = layout(one.layout).to_canonical(one.joints, one.confidence)
        seen = (confidence > 0).any(axis=1)
        part = bodies.part([number])
        assert np.array_equal(bodies.joints[part], joints[seen])
        assert np.array_equal(bodies.confidence[part], confidence[seen])
        assert np.array_equal(bodies.seen[part], confidence[seen] > 0)
        assert np.array_equal(bodies.sensor_ids[part], one.track_ids[seen])
    assert np.array_equal(
        bodies.sensor_ids[bodies.part([1, 4])], np.concatenate([bodies.sensor_ids[bodies.part([n])] for n in (1, 4)])
    )


def test_frames_without_the_joints_of_their_layout_are_refused() -> None:
    wrong = SkeletonFrame("a", 0, 0, "kinect_v2", STANDING[None, :20], np.ones((1, 20), np.float32), np.zeros(1, int))
    with pytest.raises(PosewireError, match="expected"):
        make().push([wrong])
    assert make().push([]) == []
