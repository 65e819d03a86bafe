"""The joints of Microsoft's closed body tracker (Azure Kinect Body Tracking SDK 1.1), where the user has it.

This has never run with the tracker itself nor with a sensor: it was written by the SDK's headers (`k4abt.h`,
`k4abttypes.h`) and is tested with a library of our own that has the same functions. That is why the tracker is tried
at the start, before anything is believed of it.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_float, c_int, c_int32, c_uint32
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.layouts.sensors import AZURE_KINECT_JOINTS
from stream.sources.k4a_capture import Capture, calibration_of
from stream.sources.k4a_library import (
    DEPTH16,
    FAILED,
    IR16,
    SUCCEEDED,
    DeviceCalibration,
    Handle,
    Libraries,
    find,
    load,
)
from stream.types import Float32Array, Int64Array

CONFIDENCE = np.array([0.0, 0.3, 0.9, 1.0], np.float32)
"""Of `k4abt_joint_confidence_level_t`: none (out of range), low (hidden: guessed by the tracker), medium, high. Medium
is the best that the tracker gives (high is kept for later versions), so that it counts as almost certain."""
MAX_BODIES = 64
_NAMES = ("libk4abt.so.1.1", "libk4abt.so.1", "libk4abt.so", "k4abt.dll")
_TIMEOUT_MS = 1000
_START_TIMEOUT_MS = 30_000
"""The tracker loads its network when the first capture comes."""


class NotInstalled(SourceError):
    """There is no body tracker on this computer."""


class _Configuration(Structure):
    """`k4abt_tracker_configuration_t` of SDK 1.1: mounted upright, the default processor, its own network."""

    _fields_ = (("orientation", c_int), ("processing", c_int), ("gpu", c_int32), ("model", c_char_p))


class _Joint(Structure):
    """`k4abt_joint_t`"""

    _fields_ = (("position", c_float * 3), ("orientation", c_float * 4), ("confidence", c_int))


class _Skeleton(Structure):
    """`k4abt_skeleton_t`"""

    _fields_ = (("joints", _Joint * len(AZURE_KINECT_JOINTS)),)


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "k4abt_tracker_create": (c_int, (POINTER(DeviceCalibration), _Configuration, POINTER(Handle))),
    "k4abt_tracker_destroy": (None, (Handle,)),
    "k4abt_tracker_shutdown": (None, (Handle,)),
    "k4abt_tracker_enqueue_capture": (c_int, (Handle, Handle, c_int32)),
    "k4abt_tracker_pop_result": (c_int, (Handle, POINTER(Handle), c_int32)),
    "k4abt_frame_get_num_bodies": (c_uint32, (Handle,)),
    "k4abt_frame_get_body_skeleton": (c_int, (Handle, c_uint32, POINTER(_Skeleton))),
    "k4abt_frame_get_body_id": (c_uint32, (Handle, c_uint32)),
    "k4abt_frame_release": (None, (Handle,)),
}


class BodyTracker:
    """Finds bodies in captures; `close` it.

    Args:
        libraries: of the captures that it will be given.
        calibration: of the sensor.
        folder: where libk4abt lies; "" looks where the system keeps its libraries.
        start_timeout_ms: how long the first answer may take.

    Raises:
        NotInstalled: it is not there.
        SourceError: it cannot be loaded, does not start, or does not answer a trial capture.
    """

    layout = "azure_kinect"

    def __init__(
        self,
        libraries: Libraries,
        calibration: DeviceCalibration,
        folder: str = "",
        *,
        start_timeout_ms: int = _START_TIMEOUT_MS,
    ) -> None:
        # Captures must be opened by the library that made them: k4abt is to find these functions before its own.
        load(libraries.path, {}, shared=True)
        self._k4a = libraries.k4a
        self._k4abt = _tracker_library(folder)
        lenses = calibration_of("k4abt", calibration)
        self._turn, self._move = lenses.rotation, lenses.translation
        self._handle = Handle()
        settings = _Configuration(0, 0, 0, None)
        if self._k4abt.k4abt_tracker_create(byref(calibration), settings, byref(self._handle)) != SUCCEEDED:
            raise SourceError(
                "k4abt", "the body tracker does not start; expected its network files and a GPU that it knows"
            )
        try:
            self._try(lenses.depth.width, lenses.depth.height, start_timeout_ms)
        except SourceError:
            self.close()
            raise

    def find(
        self,
        capture: Capture,
        depth: NDArray[np.uint16],  # noqa: ARG002  # it takes the depth out of the capture itself
        t: int,  # noqa: ARG002
    ) -> tuple[Float32Array, Float32Array, Int64Array]:
        """Return the bodies of a capture.

        Returns:
            joints (M, 32, 3) in metres in the colour camera's `Space.CAMERA3D` axes, confidence (M, 32) and the
            tracker's ids (M,).

        Raises:
            SourceError: the tracker failed.
        """
        return self._track(capture.handle, _TIMEOUT_MS)

    def reset(self) -> None:
        """Another recording begins; the tracker sees by itself that these are other people."""

    def close(self) -> None:
        """End the tracker; any number of times."""
        handle, self._handle = self._handle, Handle()
        if handle:
            self._k4abt.k4abt_tracker_shutdown(handle)
            self._k4abt.k4abt_tracker_destroy(handle)

    def _try(self, width: int, height: int, timeout_ms: int) -> None:
        """Have it look at an empty capture, which must hold nobody."""
        capture = Handle()
        if self._k4a.k4a_capture_create(byref(capture)) != SUCCEEDED:
            raise SourceError("k4abt", "no capture can be made to try it with; expected free memory")
        try:
            for layout, put in (
                (DEPTH16, self._k4a.k4a_capture_set_depth_image),
                (IR16, self._k4a.k4a_capture_set_ir_image),
            ):
                image = Handle()
                if self._k4a.k4a_image_create(layout, width, height, 2 * width, byref(image)) != SUCCEEDED:
                    raise SourceError("k4abt", "no image can be made to try it with; expected free memory")
                size = self._k4a.k4a_image_get_size(image)
                ctypes.memset(self._k4a.k4a_image_get_buffer(image), 0, size)
                put(capture, image)
                self._k4a.k4a_image_release(image)
            joints, _, _ = self._track(capture, timeout_ms)
        finally:
            self._k4a.k4a_capture_release(capture)
        if len(joints):
            raise SourceError(
                "k4abt", f"sees {len(joints)} bodies where there are none; expected the SDK's version 1.1"
            )

    def _track(self, capture: Handle, timeout_ms: int) -> tuple[Float32Array, Float32Array, Int64Array]:
        answer = self._k4abt.k4abt_tracker_enqueue_capture(self._handle, capture, timeout_ms)
        if answer != SUCCEEDED:
            raise SourceError("k4abt", f"the body tracker {_why(answer)} a capture; expected it to take one")
        frame = Handle()
        answer = self._k4abt.k4abt_tracker_pop_result(self._handle, byref(frame), timeout_ms)
        if answer != SUCCEEDED:
            raise SourceError("k4abt", f"the body tracker {_why(answer)} an answer; expected one for each capture")
        try:
            return self._read(frame)
        finally:
            self._k4abt.k4abt_frame_release(frame)

    def _read(self, frame: Handle) -> tuple[Float32Array, Float32Array, Int64Array]:
        count = self._k4abt.k4abt_frame_get_num_bodies(frame)
        if count > MAX_BODIES:
            raise SourceError("k4abt", f"the body tracker sees {count} bodies; expected at most {MAX_BODIES}")
        names = len(AZURE_KINECT_JOINTS)
        joints, confidence = np.zeros((count, names, 3), np.float32), np.zeros((count, names), np.float32)
        ids = np.zeros(count, np.int64)
        skeleton = _Skeleton()
        for body in range(count):
            if self._k4abt.k4abt_frame_get_body_skeleton(frame, body, byref(skeleton)) != SUCCEEDED:
                raise SourceError("k4abt", f"the body tracker gives no joints of body {body}; expected {names}")
            made = np.array([tuple(joint.position) for joint in skeleton.joints], np.float64) / 1000
            levels = np.array([joint.confidence for joint in skeleton.joints])
            known = (levels >= 0) & (levels < len(CONFIDENCE)) & np.isfinite(made).all(1)
            # From the depth camera's axes to the colour camera's; theirs have x right and y down, ours the reverse.
            placed = (np.where(known[:, None], made, 0.0) - self._move) @ self._turn
            joints[body] = placed * np.array([-1.0, -1.0, 1.0])
            confidence[body] = np.where(known, CONFIDENCE[np.where(known, levels, 0)], 0.0)
            ids[body] = self._k4abt.k4abt_frame_get_body_id(frame, body)
        return joints, confidence, ids


def _why(answer: int) -> str:
    return "failed at" if answer == FAILED else "took too long over"


def _tracker_library(folder: str) -> ctypes.CDLL:
    if folder:
        found = find(Path(folder), "k4abt")
        if found is None:
            raise NotInstalled(folder, "holds no libk4abt; expected the Azure Kinect Body Tracking SDK 1.1")
        return load(found, _FUNCTIONS)
    for name in _NAMES:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return load(name, _FUNCTIONS)
    raise NotInstalled("k4abt", 'not installed; expected the Azure Kinect Body Tracking SDK 1.1, or joints = "color"')
