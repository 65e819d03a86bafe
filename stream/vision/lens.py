"""The lens of a calibrated camera: where a point in space falls on the image, and where a pixel looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NEWTON_STEPS = 12
_CONVERGED = 1e-12
_DIFFERENCE = 1e-6


@dataclass(frozen=True, slots=True)
class Lens:
    """A pinhole camera with the rational Brown-Conrady distortion (that of OpenCV's 8 coefficients).

    x right, y down, z away from the camera; the centre of the first pixel is (0, 0).
    Sources: Brown, "Decentering distortion of lenses", 1966; OpenCV, "Camera Calibration and 3D Reconstruction";
    Azure Kinect Sensor SDK, `k4a_calibration_intrinsic_parameters_t`.

    Attributes:
        width, height: of the image, in pixels.
        focal: (2,) focal lengths in pixels.
        centre: (2,) principal point in pixels.
        radial: k1 to k6; k4 to k6 stand in the denominator.
        tangential: p1, p2.
        max_radius: how far from the axis (as x/z) the model holds; points beyond it are on no pixel.
    """

    width: int
    height: int
    focal: tuple[float, float]
    centre: tuple[float, float]
    radial: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    tangential: tuple[float, float] = (0.0, 0.0)
    max_radius: float = float("inf")

    def project(self, points: Floats) -> Floats:
        """Return the pixels of points.

        Args:
            points: (..., 3) in the lens's own axes, any unit.

        Returns:
            (..., 2) pixels, also outside of the image; NaN for points behind the camera or beyond `max_radius`.
        """
        z = points[..., 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            plane = np.where(z[..., None] > 0, points[..., :2] / z[..., None], np.nan)
        beyond = (plane**2).sum(-1) > self.max_radius**2
        plane = np.where(beyond[..., None], np.nan, plane)
        pixels: Floats = self._distorted(plane) * np.asarray(self.focal) + np.asarray(self.centre)
        return pixels

    def rays(self, pixels: Floats) -> Floats:
        """Return in which direction pixels look, by Newton's method.

        Args:
            pixels: (..., 2).

        Returns:
            (..., 2) x/z and y/z; NaN for pixels that no point within `max_radius` falls on.
        """
        goal = (np.asarray(pixels, np.float64) - np.asarray(self.centre)) / np.asarray(self.focal)
        plane = goal.copy()
        step_x, step_y = np.array([_DIFFERENCE, 0.0]), np.array([0.0, _DIFFERENCE])
        with np.errstate(all="ignore"):
            for _ in range(_NEWTON_STEPS):
                here = self._distorted(plane)
                miss = here - goal
                if np.nanmax(np.abs(miss), initial=0.0) < _CONVERGED:
                    break
                by_x = (self._distorted(plane + step_x) - here) / _DIFFERENCE
                by_y = (self._distorted(plane + step_y) - here) / _DIFFERENCE
                det = by_x[..., 0] * by_y[..., 1] - by_y[..., 0] * by_x[..., 1]
                dx = (miss[..., 0] * by_y[..., 1] - by_y[..., 0] * miss[..., 1]) / det
                dy = (by_x[..., 0] * miss[..., 1] - miss[..., 0] * by_x[..., 1]) / det
                plane = plane - np.stack((dx, dy), -1)
            lost = (np.abs(self._distorted(plane) - goal).max(-1) > _DIFFERENCE) | (
                (plane**2).sum(-1) > self.max_radius**2
            )
        return np.where(lost[..., None], np.nan, plane)

    def _distorted(self, plane: Floats) -> Floats:
        k1, k2, k3, k4, k5, k6 = self.radial
        p1, p2 = self.tangential
        x, y = plane[..., 0], plane[..., 1]
        square = x * x + y * y
        scale = (1 + square * (k1 + square * (k2 + square * k3))) / (1 + square * (k4 + square * (k5 + square * k6)))
        return np.stack(
            (
                x * scale + 2 * p1 * x * y + p2 * (square + 2 * x * x),
                y * scale + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
            ),
            -1,
        )
