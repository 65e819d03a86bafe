"""Joints on a colour image, placed in space by a depth image of a drawn scene whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
from synthetic_mkv import Scene

from stream.vision.lens import Lens
from stream.vision.lift import AROUND, GUESSED, UNMEASURED, Calibration, lift

TILT = 0.1
CALIBRATION = Calibration(
    Lens(
        1280,
        720,
        (612.6, 612.4),
        (639.8, 366.6),
        (0.33, -2.49, 1.45, 0.209, -2.30, 1.375),
        (-0.00016, -0.00013),
    ),
    Lens(640, 576, (503.7, 503.8), (327.8, 330.3), (0.548, -0.021, -0.0027, 0.89, 0.086, -0.0139), (2e-5, -7e-5), 1.74),
    np.array([[1, 0, 0], [0, np.cos(TILT), -np.sin(TILT)], [0, np.sin(TILT), np.cos(TILT)]]),
    np.array([0.032, 0.002, -0.004]),
)
"""Like an Azure Kinect's: its lenses, 32 mm apart, the depth camera looking 6 degrees further down."""
RADIUS = 0.05
BODY = np.array(
    [
        *([0, -0.6, 0], [-0.2, -0.45, 0], [0.2, -0.45, 0], [-0.35, -0.2, 0.05], [0.35, -0.2, -0.1], [-0.45, 0, 0.1]),
        *([0.45, 0, -0.2], [-0.12, 0, 0], [0.12, 0, 0], [-0.15, 0.4, 0], [0.15, 0.4, 0.05], [0, -0.2, 0.02]),
    ]
)
"""(V, 3) metres from the hips; x right in the image, y down, z away."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(CALIBRATION)


def placed(distance: float) -> np.ndarray:
    return BODY + np.array([0.05, 0.0, distance])


def balls(joints: np.ndarray) -> np.ndarray:
    return np.concatenate((joints, np.full((len(joints), 1), RADIUS)), 1)


def raised(depth: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lifted joints in the colour camera's own axes, and their factors."""
    pixels = CALIBRATION.color.project(joints).astype(np.float32)
    result = lift(pixels, BODY.astype(np.float32), np.ones(len(joints), np.float32), depth, CALIBRATION)
    assert result.joints.dtype == np.float32
    assert result.factor.dtype == np.float32
    return result.joints * np.array([-1, -1, 1]), result.factor


@pytest.mark.parametrize("distance", [1.2, 2.0, 3.0])
def test_joints_lie_on_the_surface_to_a_millimetre_without_noise(scene: Scene, distance: float) -> None:
    joints = placed(distance)
    truth = scene.seen(CALIBRATION.color.project(joints), balls(joints))
    lifted, factor = raised(scene.depth(balls(joints)), joints)
    assert factor.tolist() == [1.0] * len(BODY)
    error = np.linalg.norm(lifted - truth, axis=1)
    # The patch of a ball of 5 cm is curved: at 3 m it reaches a quarter of the way to its edge.
    assert error.max() < (0.002 if distance < 2.5 else 0.006)


def test_joints_stay_within_two_centimetres_under_noise(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    for distance in (1.5, 2.2, 3.2):
        joints = placed(distance)
        truth = scene.seen(CALIBRATION.color.project(joints), balls(joints))
        lifted, _ = raised(scene.depth(balls(joints), rng), joints)
        assert np.linalg.norm(lifted - truth, axis=1).max() < 0.02


def test_what_stands_before_an_arm_is_not_taken_for_it(scene: Scene) -> None:
    joints = placed(2.2)
    arm = 5
    thing = np.array([[*(joints[arm] * 0.6), 0.12]])
    lifted, factor = raised(scene.depth(np.concatenate((balls(joints), thing))), joints)
    assert factor[arm] == np.float32(GUESSED)
    assert np.linalg.norm(lifted[arm] - joints[arm]) < 0.1  # by the rest of the body, not by the thing 0.9 m before it
    assert (np.delete(factor, arm) == 1.0).all()


def test_the_wall_beside_an_arm_is_not_taken_for_it(scene: Scene) -> None:
    joints = placed(2.2)
    arm = 6
    without = np.delete(balls(joints), arm, 0)
    lifted, factor = raised(scene.depth(without), joints)
    assert factor[arm] == np.float32(GUESSED)
    assert lifted[arm, 2] < 2.3
    # An arm that is a little off its pixel is found beside it.
    moved = balls(joints)
    moved[arm, 0] += 0.055
    lifted, factor = raised(scene.depth(moved), joints)
    assert factor[arm] == np.float32(AROUND)
    assert abs(lifted[arm, 2] - joints[arm, 2]) < 0.06


def test_a_hole_in_the_depth_lowers_the_confidence(scene: Scene) -> None:
    joints = placed(2.2)
    depth = scene.depth(balls(joints))
    knee = 9
    point = joints[knee] @ CALIBRATION.rotation.T + CALIBRATION.translation
    u, v = np.rint(CALIBRATION.depth.project(point)).astype(int)
    small, large = depth.copy(), depth.copy()
    small[v - 2 : v + 3, u - 2 : u + 3] = 0
    large[v - 20 : v + 21, u - 20 : u + 21] = 0
    lifted, factor = raised(small, joints)
    assert factor[knee] == np.float32(AROUND)
    assert np.linalg.norm(lifted[knee] - joints[knee]) < RADIUS + 0.02
    lifted, factor = raised(large, joints)
    assert factor[knee] == np.float32(GUESSED)
    assert np.linalg.norm(lifted[knee] - joints[knee]) < 0.1


def test_without_any_depth_the_size_tells_the_distance() -> None:
    joints = placed(2.5)
    lifted, factor = raised(np.zeros((576, 640), np.uint16), joints)
    assert factor.tolist() == [np.float32(UNMEASURED)] * len(BODY)
    assert np.abs(lifted - joints).max() < 0.01


def test_axes_are_those_of_the_frames(scene: Scene) -> None:
    joints = placed(2.0)
    pixels = CALIBRATION.color.project(joints).astype(np.float32)
    result = lift(pixels, BODY.astype(np.float32), np.ones(12, np.float32), scene.depth(balls(joints)), CALIBRATION)
    assert result.joints[0, 1] > result.joints[9, 1]  # the head above a knee
    assert result.joints[1, 0] > result.joints[2, 0]  # what is left in the image is +x
    assert (result.joints[:, 2] > 1.5).all()


def test_a_depth_image_in_the_colour_cameras_view() -> None:
    lens = Lens(1920, 1080, (1081.4, 1081.4), (959.5, 539.5))
    depth = np.full((1080, 1920), np.inf, np.float32)  # what libfreenect2 has for missing depth
    depth[:, 400:1500] = 2000.0
    joints = placed(2.0)
    pixels = lens.project(joints).astype(np.float32)
    result = lift(pixels, BODY.astype(np.float32), np.ones(12, np.float32), depth, Calibration.registered(lens))
    assert result.factor.tolist() == [1.0] * 12
    assert result.joints[:, 2] == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("pixel", [(-500.0, 100.0), (5000.0, 100.0), (640.0, 1e6)])
def test_joints_outside_of_the_image_are_no_trouble(scene: Scene, pixel: tuple[float, float]) -> None:
    joints = placed(2.0)
    pixels = CALIBRATION.color.project(joints).astype(np.float32)
    pixels[0] = pixel
    result = lift(pixels, BODY.astype(np.float32), np.ones(12, np.float32), scene.depth(balls(joints)), CALIBRATION)
    assert np.isfinite(result.joints).all()
    assert result.factor[0] <= np.float32(AROUND)


def test_a_depth_image_of_another_size_is_refused() -> None:
    joints = np.zeros((12, 2), np.float32)
    with pytest.raises(ValueError, match=r"expected \(576, 640\)"):
        lift(joints, BODY.astype(np.float32), np.ones(12, np.float32), np.zeros((288, 320)), CALIBRATION)


def test_the_lens_is_that_of_opencv() -> None:
    cv2 = pytest.importorskip("cv2", exc_type=ImportError)
    for lens in (CALIBRATION.color, CALIBRATION.depth):
        points = np.random.default_rng(1).uniform((-0.6, -0.5, 1.0), (0.6, 0.5, 1.0), (200, 3))
        matrix = np.array([[lens.focal[0], 0, lens.centre[0]], [0, lens.focal[1], lens.centre[1]], [0, 0, 1]])
        k1, k2, k3, k4, k5, k6 = lens.radial
        coefficients = np.array([k1, k2, *lens.tangential, k3, k4, k5, k6])
        theirs = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, coefficients)[0][:, 0]
        pixels = lens.project(points)
        assert np.abs(pixels - theirs).max() < 1e-6
        assert np.abs(lens.rays(pixels) - points[:, :2]).max() < 1e-9


def test_what_is_behind_a_lens_or_beyond_it_has_no_pixel() -> None:
    lens = CALIBRATION.depth
    assert np.isnan(lens.project(np.array([[0.0, 0.0, -1.0], [3.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))).all()
    assert np.isnan(lens.rays(np.array([[1e5, 0.0]]))).all()


def test_nothing_of_this_needs_a_camera_library() -> None:
    for name in ("lift", "lens"):
        text = (Path(__file__).parents[3] / "stream" / "vision" / f"{name}.py").read_text()
        assert "cv2" not in text
        assert "pyk4a" not in text
