"""Joints that were found on a colour image, placed in space by the depth image taken beside it.

The colour pixel of a joint looks along a ray. The ray is walked from near to far through the depth camera's image; the
first place where the depth there agrees with the distance walked is the surface that the colour camera sees. What was
measured must then agree with the body: a joint far before the rest is that of a thing which hides it, one far behind
is the wall beside a thin arm. Such joints, and those without depth, stand where the pose network thinks they are
relative to the body, with lowered confidence.

What is measured is the surface: a shoulder lies about 8 cm, a wrist about 3 cm behind it. Nothing is added for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.types import Float32Array
from stream.vision.lens import Floats, Lens

AROUND = 0.6
"""Confidence factor of a joint whose depth was taken from beside it, where it fits the body."""
GUESSED = 0.3
"""Of a joint without usable depth, placed by the pose network relative to the measured body."""
UNMEASURED = 0.2
"""Of all joints of a body of which the depth camera sees nothing: its distance is told by its size in the image."""

NEAREST_M, FARTHEST_M = 0.25, 10.0
_STEPS = 96
"""Places to look at on a ray, even in 1/z, so that they are at most about a pixel apart in the depth image."""
_SLACK = 0.75
"""How far a depth may lie from such a place, in steps, to be its surface (half a step, and some noise)."""
_PATCH = 2
"""Pixels on each side of a joint whose median and slope its depth is."""
_WIDE_PATCH = 4
"""Pixels on each side that are looked at where that depth does not fit the body."""
_FLAT_M = 0.05
"""Depths of a patch further than this from its median are of something else."""
_MIN_PIXELS = 6
_MIN_JOINTS = 4
_MIN_JUMP_M = 0.2
_JUMP_SHARE = 0.5
"""A joint may stand off from where the pose network has it by this share of its distance from the hips (its guess
of depth is that rough), but by `_MIN_JUMP_M` at least."""
_RIDGE = np.diag([1e-3, 1.0, 1.0])
"""Keeps the slope of a patch that is a single line from being anything at all."""
_MM = 1e-3


@dataclass(frozen=True, slots=True)
class Calibration:
    """A colour and a depth camera that are fixed to each other.

    Attributes:
        color, depth: their lenses.
        rotation: (3, 3) and translation: (3,) in metres, from the colour to the depth camera's axes.
    """

    color: Lens
    depth: Lens
    rotation: Floats
    translation: Floats

    @classmethod
    def registered(cls, lens: Lens) -> Calibration:
        """Of a depth image that was already drawn into the colour camera's view, pixel by pixel."""
        return cls(lens, lens, np.eye(3), np.zeros(3))


@dataclass(frozen=True, slots=True)
class Lifted:
    """Joints in space.

    Attributes:
        joints: (V, 3) float32, metres in the colour camera's `Space.CAMERA3D` axes.
        factor: (V,) float32 in 0..1, how much of the joint's confidence is left.
    """

    joints: Float32Array
    factor: Float32Array


class _Rays:
    """The rays of joints, and what the depth image holds along them."""

    def __init__(self, directions: Floats, depth: NDArray[np.generic], calibration: Calibration) -> None:
        self.directions = directions
        self._lens = calibration.depth
        self._turned = directions @ calibration.rotation.T
        self._shift = calibration.translation
        self._depth = depth
        self._height, self._width = depth.shape

    def pixels(self, z: Floats) -> Floats:
        """Depth pixels (V, ..., 2) of the places at colour depths z (V, ...) on each ray."""
        turned = self._turned.reshape(-1, *(1,) * (z.ndim - 1), 3)
        return self._lens.project(turned * z[..., None] + self._shift)

    def patch(self, pixels: Floats, reach: int) -> tuple[Floats, Floats]:
        """Return the colour depths on the ray that a patch's pixels stand for.

        Args:
            pixels: (V, ..., 2) depth pixels; NaN and those outside of the image have no depth.
            reach: pixels on each side.

        Returns:
            (V, ..., P) metres, NaN where nothing was measured; (V, ..., P, 2) how far from the place asked for the
            pixels' centres lie.
        """
        side = np.arange(-reach, reach + 1)
        dx, dy = np.tile(side, len(side)), np.repeat(side, len(side))
        with np.errstate(invalid="ignore"):
            nearest = np.rint(pixels)
            # What is not on the image is looked up in its corner, and then thrown away.
            x, y = nearest[..., 0, None] + dx, nearest[..., 1, None] + dy
            inside = (x >= 0) & (x < self._width) & (y >= 0) & (y < self._height)
        column, row = np.where(inside, x, 0).astype(np.int64), np.where(inside, y, 0).astype(np.int64)
        found = self._depth[row, column].astype(np.float64) * _MM
        usable = inside & np.isfinite(found) & (found > 0)
        turned = self._turned[:, 2].reshape(-1, *(1,) * (found.ndim - 1))
        values = (np.where(usable, found, np.nan) - self._shift[2]) / turned
        return values, np.stack((x, y), -1) - pixels[..., None, :]


def lift(
    pixels: Float32Array,
    world: Float32Array,
    visibility: Float32Array,
    depth: NDArray[np.generic],
    calibration: Calibration,
) -> Lifted:
    """Place the joints of one person in space.

    Args:
        pixels: (V, 2) on the colour image, of finite numbers.
        world: (V, 3) the pose network's idea of the body in metres: x right, y down, z away, origin between the hips.
        visibility: (V,) in 0..1, what each joint counts when the body's distance is told.
        depth: (H, W) millimetres along the depth camera's axis; 0 or not finite where nothing was measured.
        calibration: of both cameras.

    Raises:
        ValueError: the depth image has not the size that the calibration is for.
    """
    if depth.shape != (calibration.depth.height, calibration.depth.width):
        raise ValueError(
            f"depth image of shape {depth.shape}; expected ({calibration.depth.height}, {calibration.depth.width})"
        )
    plane = calibration.color.rays(np.asarray(pixels, np.float64))
    seen = np.isfinite(plane).all(1)
    plane = np.where(seen[:, None], plane, 0.0)
    rays = _Rays(np.concatenate((plane, np.ones((len(plane), 1))), 1), depth, calibration)
    relative = np.asarray(world, np.float64)
    weights = np.clip(np.asarray(visibility, np.float64), 1e-3, 1.0) * seen

    z = _refined(rays, _surface(rays))
    measured = np.isfinite(z) & seen
    if measured.sum() < _MIN_JOINTS:
        z = np.clip(_distance_by_size(plane, relative, weights) + relative[:, 2], NEAREST_M, FARTHEST_M)
        return _lifted(rays.directions, z, np.where(seen, UNMEASURED, 0.0))
    root = _weighted_median((z - relative[:, 2])[measured], weights[measured])
    expected = np.clip(root + relative[:, 2], NEAREST_M, FARTHEST_M)
    allowed = np.maximum(_MIN_JUMP_M, _JUMP_SHARE * np.linalg.norm(relative, axis=1))
    factor = np.ones(len(z))
    odd = ~measured | ~(np.abs(z - expected) <= allowed)
    if odd.any():
        beside = _beside(rays, expected, allowed)
        found = np.isfinite(beside)
        z = np.where(odd, np.where(found, beside, expected), z)
        factor = np.where(odd, np.where(found, AROUND, GUESSED), factor)
    return _lifted(rays.directions, z, np.where(seen, factor, 0.0))


def _lifted(directions: Floats, z: Floats, factor: Floats) -> Lifted:
    # A camera's x is right and its y is down; Kinect's axes, which ours are, have both the other way round.
    joints = directions * z[:, None] * np.array([-1.0, -1.0, 1.0])
    return Lifted(joints.astype(np.float32), factor.astype(np.float32))


def _surface(rays: _Rays) -> Floats:
    """(V,) colour depth of the first surface on each ray to within a pixel; NaN where there is none."""
    inverse = np.linspace(1 / NEAREST_M, 1 / FARTHEST_M, _STEPS)
    places = np.broadcast_to(1 / inverse, (len(rays.directions), _STEPS))
    there = rays.patch(rays.pixels(places), 0)[0][..., 0]
    step = inverse[0] - inverse[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        agrees = np.abs(1 / there - inverse) <= _SLACK * step
    first = agrees.argmax(1)
    rows = np.arange(len(first))
    return np.where(agrees[rows, first], there[rows, first], np.nan)


def _refined(rays: _Rays, z: Floats) -> Floats:
    """(V,) the depth on the ray by the plane through its patch: to a fraction of a pixel, noise averaged."""
    for _ in range(2):  # the place moves by a fraction of a pixel in the first round, by nothing in the second
        values, offsets = rays.patch(rays.pixels(z), _PATCH)
        middle = _median(values)
        close = np.abs(values - middle[:, None]) <= _FLAT_M
        terms = np.concatenate((np.ones((*values.shape, 1)), offsets), -1)
        terms = np.where(close[..., None], terms, 0.0)
        normal = np.einsum("vpi,vpj->vij", terms, terms) + _RIDGE
        right = np.einsum("vpi,vp->vi", terms, np.where(close, values - middle[:, None], 0.0))
        fitted = middle + np.linalg.solve(normal, right[..., None])[:, 0, 0]
        z = np.where(close.sum(1) >= _MIN_PIXELS, fitted, np.nan)
    return z


def _beside(rays: _Rays, expected: Floats, allowed: Floats) -> Floats:
    """(V,) median depth of what lies about a joint and may be of its body; NaN where there is too little."""
    values, _ = rays.patch(rays.pixels(expected), _WIDE_PATCH)
    fits = np.abs(values - expected[:, None]) <= allowed[:, None]
    return np.where(fits.sum(1) >= _MIN_PIXELS, _median(np.where(fits, values, np.nan)), np.nan)


def _median(values: Floats) -> Floats:
    """Median of what is not NaN along the last axis (NumPy's own warns of rows without any, and is slow)."""
    ordered = np.sort(values, -1)  # NaN last
    count = np.isfinite(values).sum(-1)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[..., None], -1)[..., 0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1)[..., None], -1)[..., 0]
    return np.where(count > 0, (low + high) / 2, np.nan)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _distance_by_size(plane: Floats, world: Floats, weights: Floats) -> float:
    """Depth of the point between the hips at which the body, seen along its rays, is as large as it should be.

    Least squares of world + t = z * ray, which is linear in the translation t.
    """
    rows = np.zeros((2, len(plane), 3))
    rows[0, :, 0] = rows[1, :, 1] = 1.0
    rows[0, :, 2], rows[1, :, 2] = -plane[:, 0], -plane[:, 1]
    right = np.stack((plane[:, 0] * world[:, 2] - world[:, 0], plane[:, 1] * world[:, 2] - world[:, 1]))
    solved = np.linalg.lstsq((rows * weights[:, None]).reshape(-1, 3), (right * weights).reshape(-1), rcond=None)[0]
    return float(np.clip(solved[2], NEAREST_M, FARTHEST_M))
