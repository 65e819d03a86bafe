from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.types import Float32Array
from stream.vision.placement import FARTHEST, NEAREST, focal_of, place, project
from stream.vision.pose import Pose

FOCAL, CENTRE = 1050.0, (962.0, 538.0)
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ANKLE, NOSE = 11, 12, 27, 0


def body(seed: int) -> NDArray[np.float64]:
    """33 landmarks in metres about the hips, MediaPipe's axes: within a standing person's reach."""
    return np.random.default_rng(seed).uniform((-0.5, -0.8, -0.4), (0.5, 0.9, 0.4), (33, 3))


def seen(world: NDArray[np.float64], hips: tuple[float, float, float], visibility: Float32Array | None = None) -> Pose:
    """What a pinhole sees of a body whose hips are there, in MediaPipe's axes."""
    points = world + np.array(hips)
    pixels = np.array(CENTRE) + FOCAL * points[:, :2] / points[:, 2:]
    image = np.column_stack((pixels, world[:, 2] * FOCAL / hips[2])).astype(np.float32)
    weights = np.ones(33, np.float32) if visibility is None else visibility
    return Pose(image, weights, world.astype(np.float32), float(weights.mean()))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("hips", [(0.0, 0.0, 2.0), (1.2, -0.3, 3.5), (-2.0, 0.5, 7.0), (0.1, 0.2, 1.0)])
def test_exact_landmarks_are_placed_where_they_are(seed: int, hips: tuple[float, float, float]) -> None:
    world = body(seed)
    joints = place(seen(world, hips), FOCAL, CENTRE)
    assert joints.shape == (33, 3)
    assert joints.dtype == np.float32
    np.testing.assert_allclose(joints, (world + np.array(hips)) * (-1, -1, 1), atol=1e-3)


def test_projected_joints_are_the_landmarks_even_where_the_metres_are_wrong() -> None:
    pose = seen(body(1), (0.4, 0.1, 3.0))
    wrong = Pose(pose.image, pose.visibility, pose.world + np.float32(0.1) * pose.world[::-1], pose.score)
    np.testing.assert_allclose(project(place(wrong, FOCAL, CENTRE), FOCAL, CENTRE), pose.image[:, :2], atol=1e-3)


def test_noise_of_the_landmarks_moves_the_depth_little() -> None:
    rng = np.random.default_rng(7)
    depths = []
    for seed in range(50):
        pose = seen(body(seed), (0.5, 0.0, 3.0))
        image = pose.image + rng.normal(0, 3, (33, 3)).astype(np.float32)
        world = pose.world + rng.normal(0, 0.02, (33, 3)).astype(np.float32)
        joints = place(Pose(image, pose.visibility, world, pose.score), FOCAL, CENTRE)
        depths.append(float((joints[:, 2] - pose.world[:, 2]).mean()))
    assert np.abs(np.array(depths) - 3.0).max() < 0.15
    assert abs(np.mean(depths) - 3.0) < 0.03


def test_landmarks_that_are_not_seen_do_not_count() -> None:
    visibility = np.ones(33, np.float32)
    visibility[25:] = 0.0
    world = body(3)
    pose = seen(world, (0.0, 0.2, 4.0), visibility)
    pose.image[25:, :2] = 5000.0
    joints = place(pose, FOCAL, CENTRE)
    np.testing.assert_allclose(joints[:25], (world + np.array((0.0, 0.2, 4.0)))[:25] * (-1, -1, 1), atol=5e-3)


def test_axes_are_the_cameras() -> None:
    world = np.zeros((33, 3))
    world[LEFT_SHOULDER], world[RIGHT_SHOULDER] = (0.2, -0.5, 0.0), (-0.2, -0.5, 0.0)  # facing: the right is image left
    world[NOSE], world[LEFT_ANKLE] = (0.0, -0.7, -0.2), (0.1, 0.8, 0.1)
    joints = place(seen(world, (0.0, 0.0, 3.0)), FOCAL, CENTRE)
    assert joints[RIGHT_SHOULDER, 0] == pytest.approx(0.2, abs=1e-3)
    assert joints[LEFT_SHOULDER, 0] == pytest.approx(-0.2, abs=1e-3)
    assert joints[NOSE, 1] > joints[LEFT_ANKLE, 1]
    assert joints[NOSE, 2] < joints[LEFT_ANKLE, 2]


def test_depth_stays_in_front_of_the_camera() -> None:
    pose = seen(body(2), (0.0, 0.0, 3.0))
    one_pixel = Pose(np.tile(pose.image[:1], (33, 1)), pose.visibility, pose.world, pose.score)
    turned = Pose(pose.image, pose.visibility, pose.world * np.float32(-1), pose.score)
    for odd in (one_pixel, turned):
        depth = place(odd, FOCAL, CENTRE)[:, 2] - odd.world[:, 2]
        assert np.isfinite(depth).all()
        assert (depth >= NEAREST - 1e-4).all()
        assert (depth <= FARTHEST + 1e-4).all()
    assert (place(turned, FOCAL, CENTRE)[:, 2] > 0).all()


def test_nobody_visible_is_placed_as_if_all_were() -> None:
    pose = seen(body(4), (0.3, 0.0, 2.5), np.zeros(33, np.float32))
    np.testing.assert_allclose(place(pose, FOCAL, CENTRE)[:, 2], pose.world[:, 2] + 2.5, atol=1e-3)


def test_focal_length_of_an_angle_of_view() -> None:
    assert focal_of(1920, 90.0) == pytest.approx(960.0)
    assert focal_of(640, 60.0) == pytest.approx(554.26, abs=0.01)
