"""Where people stand in front of a plain camera: landmarks in metres about the hips, placed by their pixels.

A pinhole sees a joint at its place in the world w plus the hips' T at u = cx + f (w_x + T_x) / (w_z + T_z), and
likewise in y. Times the depth, that is linear in T, so T is a least-squares solution over all joints (the direct
linear transform of Hartley and Zisserman, "Multiple View Geometry", with rotation and camera known).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stream.types import Float32Array
from stream.vision.pose import Pose

NEAREST, FARTHEST = 0.3, 30.0
"""Metres from the camera within which hips are believed to be."""
CLOSEST_JOINT = 0.1
"""Metres from the camera's plane that every joint keeps."""


def focal_of(width: int, fov_deg: float) -> float:
    """Focal length in pixels.

    Args:
        width: of the image, in pixels.
        fov_deg: horizontal angle of view, in degrees, between 0 and 180.
    """
    return width / (2 * math.tan(math.radians(fov_deg) / 2))


def place(pose: Pose, focal: float, centre: tuple[float, float]) -> Float32Array:
    """Place a pose in metres in front of the camera.

    The depth of the hips is what fits the metres about the hips to the pixels best; each joint then lies on the ray
    through its own pixel, so that projecting the joints gives exactly the landmarks in the image.

    Args:
        pose: landmarks of one person.
        focal: focal length in pixels.
        centre: where the optical axis meets the image, (x, y) in pixels.

    Returns:
        (33, 3) float32 metres in the axes of `Space.CAMERA3D`.
    """
    rays = (pose.image[:, :2].astype(np.float64) - centre) / focal
    world = pose.world.astype(np.float64)
    depth = np.maximum(_root_depth(rays, world, pose.visibility.astype(np.float64)) + world[:, 2], CLOSEST_JOINT)
    return np.column_stack((-rays[:, 0] * depth, -rays[:, 1] * depth, depth)).astype(np.float32)


def _root_depth(rays: NDArray[np.float64], world: NDArray[np.float64], visibility: NDArray[np.float64]) -> float:
    """Metres along z from the camera to the origin of `world`.

    T_x - r_x T_z = r_x w_z - w_x for every joint, and in y: the best T_x and T_y make the weighted means of both sides
    equal, which leaves one unknown.
    """
    weight = np.maximum(visibility, 1e-6)
    weight = (weight / weight.sum())[:, None]
    target = rays * world[:, 2:] - world[:, :2]
    spread = rays - (weight * rays).sum(axis=0)
    power = float((weight * spread**2).sum())
    if power <= 0:  # all landmarks in one pixel
        return FARTHEST
    depth = -float((weight * spread * target).sum()) / power
    return min(max(depth, NEAREST), FARTHEST)


def project(joints: Float32Array, focal: float, centre: tuple[float, float]) -> Float32Array:
    """Where joints are seen.

    Args:
        joints: (..., 3) float32 metres in the axes of `Space.CAMERA3D`, in front of the camera.
        focal, centre: as in `place`.

    Returns:
        (..., 2) float32 pixels.
    """
    points = joints.astype(np.float64)
    return (np.asarray(centre) - focal * points[..., :2] / points[..., 2:]).astype(np.float32)
