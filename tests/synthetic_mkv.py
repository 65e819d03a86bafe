"""Records an Azure Kinect MKV file of a figure that we drew, through libk4arecord itself, without a sensor."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterable
from ctypes import byref, c_bool, c_char_p, c_int, c_size_t, c_uint64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.sources.k4a_library import (
    BGRA,
    COLOR_720P,
    DEPTH16,
    FPS_30,
    IR16,
    MJPG,
    NFOV_UNBINNED,
    NV12,
    YUY2,
    DeviceConfiguration,
    Handle,
    Libraries,
    find,
)
from stream.vision.lens import Floats, Lens
from stream.vision.lift import Calibration

FRAME_US = 33_333
DEPTH_OFF = 0
_IMAGE = (c_int, c_int, c_int, c_int, ctypes.c_void_p, c_size_t, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True)
class Shot:
    """The images of one moment; None leaves one out."""

    color: NDArray[np.uint8] | None
    depth: NDArray[np.uint16] | None


def encoded(bgr: NDArray[np.uint8], layout: int) -> tuple[bytes, int]:
    """An image as the sensor gives it, and the bytes of a row."""
    import cv2

    height, width = bgr.shape[:2]
    if layout == MJPG:
        return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, 95))[1].tobytes(), 0
    if layout == BGRA:
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA).tobytes(), width * 4
    yuv = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    if layout == NV12:
        luma, rest = yuv[:height], yuv[height:].reshape(2, -1)
        return luma.tobytes() + np.stack((rest[0], rest[1]), -1).tobytes(), width
    if layout != YUY2:
        raise ValueError(f"colour format {layout}")
    chroma = yuv[height:].reshape(2, height // 2, width // 2)
    chroma = np.repeat(chroma, 2, axis=1)
    packed = np.empty((height, width, 2), np.uint8)
    packed[..., 0] = yuv[:height]
    packed[:, 0::2, 1], packed[:, 1::2, 1] = chroma[0], chroma[1]
    return packed.tobytes(), width * 2


def record(
    path: Path, shots: Iterable[Shot], calibration: Path | None, *, layout: int = MJPG, depth_mode: int = NFOV_UNBINNED
) -> None:
    """Write a recording of a sensor with this calibration (None: without one); the first capture is at 1 s."""
    libraries = Libraries()
    k4a = libraries.k4a
    found = find(libraries.path.parent, "k4arecord")
    lib = ctypes.CDLL(str(found))
    k4a.k4a_image_create_from_buffer.argtypes = (*_IMAGE, ctypes.POINTER(Handle))
    k4a.k4a_image_set_device_timestamp_usec.argtypes = (Handle, c_uint64)
    k4a.k4a_image_set_device_timestamp_usec.restype = None
    k4a.k4a_capture_set_color_image.argtypes = (Handle, Handle)
    k4a.k4a_capture_set_color_image.restype = None
    lib.k4a_record_create.argtypes = (c_char_p, Handle, DeviceConfiguration, ctypes.POINTER(Handle))
    lib.k4a_record_add_attachment.argtypes = (Handle, c_char_p, c_char_p, c_size_t)
    lib.k4a_record_write_capture.argtypes = (Handle, Handle)
    for name in ("k4a_record_write_header", "k4a_record_flush"):
        getattr(lib, name).argtypes = (Handle,)
    lib.k4a_record_close.argtypes, lib.k4a_record_close.restype = (Handle,), None

    def done(result: int) -> None:
        if result != 0:
            raise RuntimeError(f"libk4arecord answers {result}")

    recording = Handle()
    settings = DeviceConfiguration(layout, COLOR_720P, depth_mode, FPS_30, c_bool(depth_mode != DEPTH_OFF))
    done(lib.k4a_record_create(bytes(path), None, settings, byref(recording)))
    if calibration is not None:
        text = json.dumps(json.loads(calibration.read_text("utf-8-sig"))).encode()
        done(lib.k4a_record_add_attachment(recording, b"calibration.json", text, len(text)))
    done(lib.k4a_record_write_header(recording))
    for number, shot in enumerate(shots):
        capture, kept = Handle(), []
        done(k4a.k4a_capture_create(byref(capture)))

        def add(put: Any, data: bytes, kind: int, shape: tuple[int, int], stride: int, at: int) -> None:
            held, image = ctypes.create_string_buffer(data, len(data)), Handle()
            kept.append(held)  # noqa: B023  # used before the next round only
            size = (shape[1], shape[0], stride)
            done(
                k4a.k4a_image_create_from_buffer(
                    kind, *size, ctypes.addressof(held), len(data), None, None, byref(image)
                )
            )
            k4a.k4a_image_set_device_timestamp_usec(image, at)
            put(capture, image)  # noqa: B023
            k4a.k4a_image_release(image)

        at = 1_000_000 + number * FRAME_US
        if shot.color is not None:
            data, stride = encoded(shot.color, layout)
            add(k4a.k4a_capture_set_color_image, data, layout, shot.color.shape[:2], stride, at)
        if shot.depth is not None:
            raw = shot.depth.astype("<u2").tobytes()
            add(k4a.k4a_capture_set_depth_image, raw, DEPTH16, shot.depth.shape, 2 * shot.depth.shape[1], at)
            add(k4a.k4a_capture_set_ir_image, raw, IR16, shot.depth.shape, 2 * shot.depth.shape[1], at)
        done(lib.k4a_record_write_capture(recording, capture))
        k4a.k4a_capture_release(capture)
    done(lib.k4a_record_flush(recording))
    lib.k4a_record_close(recording)


class Scene:
    """Balls before a wall, as a depth camera sees them and as rays meet them.

    Args:
        calibration: of both cameras; positions are in metres in the colour camera's axes (x right, y down, z away).
        wall: distance of the wall in metres.
    """

    def __init__(self, calibration: Calibration, wall: float = 3.6) -> None:
        self._calibration, self._wall = calibration, wall
        lens = calibration.depth
        grid = np.stack(np.meshgrid(np.arange(lens.width), np.arange(lens.height)), -1).astype(np.float64)
        self._rays = np.concatenate((lens.rays(grid), np.ones((*grid.shape[:2], 1))), -1)

    def depth(self, balls: Floats, rng: np.random.Generator | None = None) -> NDArray[np.uint16]:
        """Return the depth image in millimetres.

        Args:
            balls: (B, 4) centres and radii.
            rng: adds 2 mm of noise, and takes the depth away at edges, as the sensor does.
        """
        turn, move = self._calibration.rotation, self._calibration.translation
        # The wall is upright for the colour camera: its points p have p.z = wall there.
        towards = self._rays @ turn[:, 2]
        z = (self._wall + move @ turn[:, 2]) / towards
        centres = balls[:, :3] @ turn.T + move
        for centre, radius in zip(centres, balls[:, 3], strict=True):
            rows, columns = self._window(centre, radius, self._calibration.depth)
            part = self._rays[rows, columns]
            hit = meets(part, centre, radius)
            z[rows, columns] = np.fmin(z[rows, columns], hit)
        z = np.nan_to_num(z, nan=0.0)
        if rng is not None:
            edge = np.zeros(z.shape, bool)
            for axis in (0, 1):
                jump = np.abs(np.diff(z, axis=axis)) > 0.1
                edge |= np.pad(jump, ((0, 1), (0, 0)) if axis == 0 else ((0, 0), (0, 1)))
            z = np.where(edge, 0.0, z + rng.normal(0.0, 0.002, z.shape) * (z > 0))
        return np.rint(z * 1000).astype(np.uint16)

    def seen(self, pixels: Floats, balls: Floats) -> Floats:
        """Return the points (V, 3) of the scene that these colour pixels show."""
        rays = np.concatenate((self._calibration.color.rays(pixels), np.ones((len(pixels), 1))), 1)
        z = np.full(len(rays), self._wall)
        for ball in balls:
            z = np.fmin(z, meets(rays, ball[:3], ball[3]))
        return rays * z[:, None]

    @staticmethod
    def _window(centre: Floats, radius: float, lens: Lens) -> tuple[slice, slice]:
        corners = centre + radius * 1.2 * np.array([[x, y, -1.0] for x in (-1, 1) for y in (-1, 1)])
        pixels = lens.project(corners)
        low, high = np.floor(pixels.min(0)).astype(int) - 2, np.ceil(pixels.max(0)).astype(int) + 3
        return slice(max(low[1], 0), max(high[1], 0)), slice(max(low[0], 0), max(high[0], 0))


def meets(rays: Floats, centre: Floats, radius: float) -> Floats:
    """Return how far along rays (..., 3) with z = 1 a ball is met; NaN where it is not."""
    a = (rays**2).sum(-1)
    b = rays @ centre
    inside = b * b - a * (centre @ centre - radius**2)
    with np.errstate(invalid="ignore"):
        return np.where(inside > 0, (b - np.sqrt(inside)) / a, np.nan)
