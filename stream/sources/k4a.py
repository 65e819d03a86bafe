"""Where an Azure Kinect's captures come from: a sensor that is plugged in, or a recording of one."""

from __future__ import annotations

import os
from ctypes import byref, c_size_t, create_string_buffer
from pathlib import Path

from stream.errors import SourceError
from stream.sources.k4a_capture import Capture
from stream.sources.k4a_library import (
    COLOR_720P,
    FPS_30,
    LATER,
    MJPG,
    NFOV_UNBINNED,
    SUCCEEDED,
    DeviceCalibration,
    DeviceConfiguration,
    Handle,
    Libraries,
    RecordConfiguration,
)

LEAST_BYTES = 4096
"""A recording's header alone, with its calibration, is longer."""
MOST_QUEUED = 64
"""The SDK keeps half a second of captures for who reads late."""
_SERIAL_BYTES = 64


class Playback:
    """A recording; `close` it.

    Args:
        libraries: that read it.
        path: the MKV file.

    Attributes:
        calibration: as the SDK has it.
        length_us: of the recording.
        has_color: whether it has colour images.

    Raises:
        SourceError: it is no recording of an Azure Kinect, is broken, or has no depth or calibration.
    """

    def __init__(self, libraries: Libraries, path: Path) -> None:
        self._k4a, self._record, self._path = libraries.k4a, libraries.record(), path
        self._handle = Handle()
        # The library ends the process over some files of a few bytes.
        if (
            not path.is_file()
            or path.stat().st_size < LEAST_BYTES
            or self._record.k4a_playback_open(os.fsencode(path), byref(self._handle)) != SUCCEEDED
        ):
            raise SourceError(
                path, "no recording of an Azure Kinect, or cut short; expected an MKV file of k4arecorder"
            )
        try:
            self.calibration, configuration = DeviceCalibration(), RecordConfiguration()
            if self._record.k4a_playback_get_record_configuration(self._handle, byref(configuration)) != SUCCEEDED:
                raise SourceError(path, "does not say how it was recorded; expected an MKV file of k4arecorder")
            if not configuration.has_depth:
                raise SourceError(path, "holds no depth images; expected a recording with depth")
            if self._record.k4a_playback_get_calibration(self._handle, byref(self.calibration)) != SUCCEEDED:
                raise SourceError(path, "holds no calibration that can be read; expected that of its sensor")
            self.has_color = bool(configuration.has_color)
            self.length_us = int(self._record.k4a_playback_get_recording_length_usec(self._handle))
        except SourceError:
            self.close()
            raise

    def next(self) -> Capture | None:
        """Return the next capture; None at the end.

        Raises:
            SourceError: the recording is broken here.
        """
        handle = Handle()
        result = self._record.k4a_playback_get_next_capture(self._handle, byref(handle))
        if result == LATER:
            return None
        if result != SUCCEEDED:
            raise SourceError(self._path, "the recording is broken or cut short; expected a capture")
        return Capture(self._k4a, handle)

    def close(self) -> None:
        """Close the file; any number of times."""
        handle, self._handle = self._handle, Handle()
        if handle:
            self._record.k4a_playback_close(handle)


class Device:
    """A sensor whose cameras run; `close` it.

    Args:
        libraries: that talk to it.
        number: which of the sensors that are plugged in.

    Attributes:
        calibration: as the SDK has it.
        has_color: it has a colour camera.

    Raises:
        SourceError: there is no such sensor, another program has it, or it does not start.
    """

    has_color = True

    def __init__(self, libraries: Libraries, number: int) -> None:
        self._k4a, self._where = libraries.k4a, f"Azure Kinect {number}"
        count = self._k4a.k4a_device_get_installed_count()
        if number >= count:
            raise SourceError(self._where, f"not found; {count} sensors are plugged in, expected more than {number}")
        self._handle = Handle()
        if self._k4a.k4a_device_open(number, byref(self._handle)) != SUCCEEDED:
            raise SourceError(
                self._where, "cannot be opened; expected that no other program has it, and the right to use it (udev)"
            )
        try:
            self.calibration = DeviceCalibration()
            if (
                self._k4a.k4a_device_get_calibration(self._handle, NFOV_UNBINNED, COLOR_720P, byref(self.calibration))
                != SUCCEEDED
            ):
                raise SourceError(self._where, "gives no calibration; expected that of its cameras")
            wanted = DeviceConfiguration(MJPG, COLOR_720P, NFOV_UNBINNED, FPS_30, True)
            if self._k4a.k4a_device_start_cameras(self._handle, byref(wanted)) != SUCCEEDED:
                raise SourceError(self._where, "does not start; expected USB 3, its power supply and the depth engine")
        except SourceError:
            self.close()
            raise

    def newest(self, timeout_s: float) -> tuple[Capture | None, int]:
        """Return the newest capture, and how many older ones waited before it.

        The SDK hands out the oldest one, so that who takes one at a time and once was late stays late: the queue is
        emptied.

        Args:
            timeout_s: how long to wait for a capture where none is there; None is returned then.

        Raises:
            SourceError: the sensor is gone.
        """
        newest, older = self._next(timeout_s), 0
        while newest is not None and older < MOST_QUEUED:
            try:
                newer = self._next(0.0)
            except SourceError:
                break  # what came before is as good as ever, and the next call fails as well
            if newer is None:
                break
            newest.release()
            newest, older = newer, older + 1
        return newest, older

    def _next(self, timeout_s: float) -> Capture | None:
        handle = Handle()
        result = self._k4a.k4a_device_get_capture(self._handle, byref(handle), max(int(timeout_s * 1000), 0))
        if result == LATER:
            return None
        if result != SUCCEEDED:
            raise SourceError(self._where, "gives no more images; expected it to stay plugged in")
        return Capture(self._k4a, handle)

    def close(self) -> None:
        """Stop the cameras and let the sensor go; any number of times."""
        handle, self._handle = self._handle, Handle()
        if handle:
            self._k4a.k4a_device_stop_cameras(handle)
            self._k4a.k4a_device_close(handle)


def serial_numbers(libraries: Libraries) -> list[str | None]:
    """The serial numbers of the sensors that are plugged in; None for one that cannot be opened.

    Args:
        libraries: that talk to them.
    """
    k4a = libraries.k4a
    found: list[str | None] = []
    for number in range(k4a.k4a_device_get_installed_count()):
        handle = Handle()
        if k4a.k4a_device_open(number, byref(handle)) != SUCCEEDED:
            found.append(None)
            continue
        text, size = create_string_buffer(_SERIAL_BYTES), c_size_t(_SERIAL_BYTES)
        told = k4a.k4a_device_get_serialnum(handle, text, byref(size)) == SUCCEEDED
        found.append(text.value.decode("ascii", "replace") if told else "")
        k4a.k4a_device_close(handle)
    return found
