"""What an Azure Kinect gives: the images of one moment, and the calibration of its cameras."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.sources.k4a_library import (
    BGRA,
    COLOR_CAMERA,
    DEPTH_CAMERA,
    MJPG,
    NV12,
    YUY2,
    CameraCalibration,
    DeviceCalibration,
    Handle,
)
from stream.vision import library as imported
from stream.vision.lens import Lens
from stream.vision.lift import Calibration

_PARAMETERS = 14
_MAX_SIDE = 1 << 14
_Pixel = TypeVar("_Pixel", np.uint8, np.uint16)


class Capture:
    """The images of one moment; `release` it.

    Args:
        k4a: the loaded library.
        handle: the capture, which is owned from now on.
    """

    def __init__(self, k4a: ctypes.CDLL, handle: Handle) -> None:
        self._k4a, self.handle = k4a, handle

    def color(self) -> tuple[NDArray[np.uint8], int] | None:
        """Return the colour image (H, W, 3) as BGR and its device time in microseconds; None without a whole one."""
        return self._image(self._k4a.k4a_capture_get_color_image(self.handle), self._bgr)

    def depth(self) -> tuple[NDArray[np.uint16], int] | None:
        """Return the depth image (H, W) in millimetres and its device time in microseconds; None without one."""
        return self._image(self._k4a.k4a_capture_get_depth_image(self.handle), self._depth)

    def release(self) -> None:
        """Give the images back; the capture is of no use then."""
        handle, self.handle = self.handle, Handle()
        if handle:
            self._k4a.k4a_capture_release(handle)

    def _image(
        self, image: int | None, decode: Callable[[int, NDArray[np.uint8]], NDArray[_Pixel] | None]
    ) -> tuple[NDArray[_Pixel], int] | None:
        if not image:
            return None
        try:
            size = self._k4a.k4a_image_get_size(image)
            data = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self._k4a.k4a_image_get_buffer(image)))
            decoded = decode(image, data)
            return None if decoded is None else (decoded, int(self._k4a.k4a_image_get_device_timestamp_usec(image)))
        finally:
            self._k4a.k4a_image_release(image)

    def _rows(self, image: int, data: NDArray[np.uint8], bytes_a_pixel: int, rows: int) -> NDArray[np.uint8] | None:
        width = self._k4a.k4a_image_get_width_pixels(image)
        stride = self._k4a.k4a_image_get_stride_bytes(image) or width * bytes_a_pixel
        whole = 0 < width <= _MAX_SIDE and 0 < rows <= 2 * _MAX_SIDE and stride >= width * bytes_a_pixel
        if not whole or data.size < stride * rows:
            return None
        return data[: stride * rows].reshape(rows, stride)[:, : width * bytes_a_pixel]

    def _depth(self, image: int, data: NDArray[np.uint8]) -> NDArray[np.uint16] | None:
        rows = self._rows(image, data, 2, self._k4a.k4a_image_get_height_pixels(image))
        return None if rows is None else np.ascontiguousarray(rows).view("<u2").copy()

    def _bgr(self, image: int, data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        cv2 = imported("cv2", "azure")
        layout, height = self._k4a.k4a_image_get_format(image), self._k4a.k4a_image_get_height_pixels(image)
        if layout == MJPG:
            decoded: NDArray[np.uint8] | None = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
            return decoded
        if layout not in (NV12, YUY2, BGRA):
            return None
        size, lines = {NV12: (1, height + height // 2), YUY2: (2, height), BGRA: (4, height)}[layout]
        rows = self._rows(image, data, size, lines)
        if rows is None:
            return None
        if layout == NV12:
            code, shape = cv2.COLOR_YUV2BGR_NV12, rows.shape
        else:
            code = cv2.COLOR_YUV2BGR_YUY2 if layout == YUY2 else cv2.COLOR_BGRA2BGR
            shape = (*(height, rows.shape[1] // size), size)
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(rows).reshape(shape), code), np.uint8)


def calibration_of(where: str, made: DeviceCalibration) -> Calibration:
    """Return the calibration in our terms.

    Raises:
        SourceError: a camera has none, or one of a lens model that is not known.
    """
    to_depth = made.extrinsics[COLOR_CAMERA][DEPTH_CAMERA]
    return Calibration(
        _lens(where, "colour", made.color),
        _lens(where, "depth", made.depth),
        np.array(to_depth.rotation, np.float64).reshape(3, 3),
        np.array(to_depth.translation, np.float64) / 1000,
    )


def _lens(where: str, camera: str, made: CameraCalibration) -> Lens:
    values = [float(value) for value in made.parameters[:_PARAMETERS]]  # the rest is not set
    cx, cy, fx, fy, k1, k2, k3, k4, k5, k6, codx, cody, p2, p1 = values
    whole = made.count >= _PARAMETERS and made.width > 0 and made.height > 0 and fx > 0 and fy > 0
    if not whole or codx or cody or not np.isfinite(values).all():
        raise SourceError(where, f"no calibration of the {camera} camera; expected a Brown-Conrady lens")
    radius = made.metric_radius if made.metric_radius > 0 else float("inf")
    return Lens(made.width, made.height, (fx, fy), (cx, cy), (k1, k2, k3, k4, k5, k6), (p1, p2), radius)
