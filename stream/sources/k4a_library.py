"""Azure Kinect's libk4a and libk4arecord, through ctypes: their structures, their functions and where they lie.

The libraries are those that come with the package pyk4a-bundle, or others of the same interface (Azure Kinect Sensor
SDK 1.4; Orbbec's K4A wrapper) in a folder of the user's. pyk4a's own Python module is not used: it is linked to its
own copy of the libraries, it leaks a capture with each one that a device gives, and it drops a reference to None at
each end of a recording and each image that is missing (pyk4a 1.5), which ends a process that runs for months.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, Structure, c_bool, c_char_p, c_float, c_int, c_int32, c_size_t, c_uint32, c_uint64
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stream.errors import SourceError

Handle = ctypes.c_void_p
SUCCEEDED, FAILED, LATER = range(3)
"""`k4a_wait_result_t`, `k4a_stream_result_t`: the third is a timeout, or the end of a recording."""
MJPG, NV12, YUY2, BGRA, DEPTH16, IR16 = range(6)
"""`k4a_image_format_t`"""
COLOR_720P, NFOV_UNBINNED, FPS_30 = 1, 2, 2
"""1280 x 720 pixels; 640 x 576 of depth from 0.5 to 3.9 m (and less surely to 5.5 m), the mode with the least noise."""
DEPTH_CAMERA, COLOR_CAMERA = 0, 1


class Extrinsics(Structure):
    """`k4a_calibration_extrinsics_t`; the translation is in millimetres."""

    _fields_ = (("rotation", c_float * 9), ("translation", c_float * 3))


class CameraCalibration(Structure):
    """`k4a_calibration_camera_t`; the parameters are cx, cy, fx, fy, k1 to k6, codx, cody, p2, p1 (and one unused)."""

    _fields_ = (
        ("extrinsics", Extrinsics),
        ("model", c_int),
        ("count", c_uint32),
        ("parameters", c_float * 15),
        ("width", c_int),
        ("height", c_int),
        ("metric_radius", c_float),
    )


class DeviceCalibration(Structure):
    """`k4a_calibration_t`"""

    _fields_ = (
        ("depth", CameraCalibration),
        ("color", CameraCalibration),
        ("extrinsics", (Extrinsics * 4) * 4),
        ("depth_mode", c_int),
        ("color_resolution", c_int),
    )


class DeviceConfiguration(Structure):
    """`k4a_device_configuration_t`"""

    _fields_ = (
        ("color_format", c_int),
        ("color_resolution", c_int),
        ("depth_mode", c_int),
        ("fps", c_int),
        ("synchronized_only", c_bool),
        ("depth_delay_us", c_int32),
        ("sync_mode", c_int),
        ("subordinate_delay_us", c_uint32),
        ("no_indicator", c_bool),
    )


class RecordConfiguration(Structure):
    """`k4a_record_configuration_t`"""

    _fields_ = (
        ("color_format", c_int),
        ("color_resolution", c_int),
        ("depth_mode", c_int),
        ("fps", c_int),
        ("has_color", c_bool),
        ("has_depth", c_bool),
        ("has_ir", c_bool),
        ("has_imu", c_bool),
        ("depth_delay_us", c_int32),
        ("sync_mode", c_int),
        ("subordinate_delay_us", c_uint32),
        ("start_us", c_uint32),
    )


_K4A: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "k4a_device_get_installed_count": (c_uint32, ()),
    "k4a_device_open": (c_int, (c_uint32, POINTER(Handle))),
    "k4a_device_get_serialnum": (c_int, (Handle, c_char_p, POINTER(c_size_t))),
    "k4a_device_close": (None, (Handle,)),
    "k4a_device_start_cameras": (c_int, (Handle, POINTER(DeviceConfiguration))),
    "k4a_device_stop_cameras": (None, (Handle,)),
    "k4a_device_get_calibration": (c_int, (Handle, c_int, c_int, POINTER(DeviceCalibration))),
    "k4a_device_get_capture": (c_int, (Handle, POINTER(Handle), c_int32)),
    "k4a_capture_create": (c_int, (POINTER(Handle),)),
    "k4a_capture_release": (None, (Handle,)),
    "k4a_capture_get_color_image": (Handle, (Handle,)),
    "k4a_capture_get_depth_image": (Handle, (Handle,)),
    "k4a_capture_get_ir_image": (Handle, (Handle,)),
    "k4a_capture_set_depth_image": (None, (Handle, Handle)),
    "k4a_capture_set_ir_image": (None, (Handle, Handle)),
    "k4a_image_create": (c_int, (c_int, c_int, c_int, c_int, POINTER(Handle))),
    "k4a_image_get_buffer": (Handle, (Handle,)),
    "k4a_image_get_size": (c_size_t, (Handle,)),
    "k4a_image_get_format": (c_int, (Handle,)),
    "k4a_image_get_width_pixels": (c_int, (Handle,)),
    "k4a_image_get_height_pixels": (c_int, (Handle,)),
    "k4a_image_get_stride_bytes": (c_int, (Handle,)),
    "k4a_image_get_device_timestamp_usec": (c_uint64, (Handle,)),
    "k4a_image_release": (None, (Handle,)),
}
_RECORD: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "k4a_playback_open": (c_int, (c_char_p, POINTER(Handle))),
    "k4a_playback_close": (None, (Handle,)),
    "k4a_playback_get_calibration": (c_int, (Handle, POINTER(DeviceCalibration))),
    "k4a_playback_get_record_configuration": (c_int, (Handle, POINTER(RecordConfiguration))),
    "k4a_playback_get_recording_length_usec": (c_uint64, (Handle,)),
    "k4a_playback_get_next_capture": (c_int, (Handle, POINTER(Handle))),
}


def load(path: Path | str, functions: dict[str, tuple[Any, tuple[Any, ...]]], *, shared: bool = False) -> ctypes.CDLL:
    """Load a library and declare its functions.

    Args:
        path: of the library; a bare name is looked for where the system keeps its libraries.
        functions: result and arguments of each.
        shared: whether libraries that are loaded later find its functions before those of their own.

    Raises:
        SourceError: it cannot be loaded, or lacks a function.
    """
    try:
        loaded = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL if shared else ctypes.DEFAULT_MODE)
        for name, (result, arguments) in functions.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise SourceError(path, f"cannot be loaded ({error}); expected one of Azure Kinect's SDK") from None
    return loaded


def find(folder: Path, name: str) -> Path | None:
    """Return the file in a folder that holds the library of this name, on Linux or Windows; None if none does."""
    for pattern in (f"lib{name}.so", f"lib{name}.so.*", f"lib{name}-*.so*", f"{name}.dll"):
        found = sorted(folder.glob(pattern))
        if found:
            return found[-1]
    return None


class Libraries:
    """libk4a and libk4arecord.

    Args:
        folder: where they lie; "" takes those of pyk4a-bundle.

    Attributes:
        k4a: the loaded library.
        path: its file.

    Raises:
        SourceError: they are not there, or cannot be loaded.
    """

    def __init__(self, folder: str = "") -> None:
        # Its messages go to the standard output, which is not ours to fill; whoever debugs a sensor may set it to 1.
        os.environ.setdefault("K4A_ENABLE_LOG_TO_STDOUT", "0")
        self._folder = Path(folder) if folder else _bundled()
        found = find(self._folder, "k4a")
        if found is None:
            raise SourceError(self._folder, "holds no libk4a; expected the folder of Azure Kinect's libraries")
        self.path = found
        self.k4a = load(found, _K4A)

    def record(self) -> ctypes.CDLL:
        """Load libk4arecord.

        Raises:
            SourceError: it is not there, or cannot be loaded.
        """
        found = find(self._folder, "k4arecord")
        if found is None:
            raise SourceError(self._folder, "holds no libk4arecord; expected it beside libk4a to read recordings")
        return load(found, _RECORD)


def _bundled() -> Path:
    module = find_spec("k4a_module")  # found, not imported
    if module is None or module.origin is None:
        raise SourceError(
            "pyk4a-bundle",
            "not installed; expected: pip install --constraint constraints.txt '.[azure]', or `library` with the "
            "folder of Azure Kinect's libraries",
        )
    site = Path(module.origin).parent
    return site / "pyk4a" if sys.platform == "win32" else site / "pyk4a_bundle.libs"
