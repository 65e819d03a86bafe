"""An Azure Kinect, or a recording of one (MKV): people's joints in metres.

Joints are those of the pose network on the colour image, lifted through the depth image (see `stream.vision.lift`), or
those of Microsoft's body tracker (see `stream.sources.k4abt`). Nothing of this ran with a sensor that is plugged in:
recordings are read by the sensor's own libraries, and the way to a device is tested with a library of our own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from stream.config_sources import AzureKinectSource
from stream.errors import SourceError
from stream.sources.base import RecordedSource, Source, SourceTimeout
from stream.sources.configured import Looped
from stream.sources.k4a import Device, Playback
from stream.sources.k4a_bodies import Bodies, bodies_of
from stream.sources.k4a_capture import Capture
from stream.sources.k4a_library import Libraries
from stream.sources.sensor_clock import SensorClock
from stream.types import SkeletonFrame
from stream.vision.people import MakePeople, crowd, fingerprint

_US = 1000
"""Nanoseconds in a microsecond."""


class _Captures:
    """Turns captures into frames.

    Args:
        name: the source's name.
        bodies: who finds the bodies.
        resolution: width and height of the image that they are found on.

    Attributes:
        seq: frames so far.
        skipped: captures so far that had no depth or no colour image.
        stages, fingerprint, resolution: as of `Source`; the fingerprint is that of the depth image, whose noise is
            never the same twice.
    """

    def __init__(self, name: str, bodies: Bodies, resolution: tuple[int, int]) -> None:
        self._name, self._bodies, self.resolution = name, bodies, resolution
        self.seq = self.skipped = 0
        self.stages: dict[str, float] = {}
        self.fingerprint: int | None = None

    def frame(self, capture: Capture, time_of: Callable[[int], tuple[int, float]]) -> SkeletonFrame | None:
        """Return the frame of a capture, which is released; None if it is of no use.

        Args:
            capture: what came.
            time_of: tells the capture time from the sensor's, both in ns, and how many seconds the capture waited.
        """
        start = time.perf_counter()
        try:
            depth = capture.depth()
            if depth is not None:
                t, waited = time_of(depth[1] * _US)
                found = self._bodies.find(capture, depth[0], t)
                if found is not None:
                    self.stages = {"capture": waited, "pose": time.perf_counter() - start}
                    self.fingerprint = fingerprint(depth[0])
                    self.seq += 1
                    return SkeletonFrame(self._name, self.seq - 1, t, self._bodies.layout, *found)
        finally:
            capture.release()
        self.skipped += 1
        return None


class _Sensor(Source):
    """What a device and a recording have in common."""

    _captures: _Captures | None = None

    @property
    def skipped(self) -> int:
        """Captures since it was opened (a recording: since its start) without depth or without a colour image."""
        return self._captures.skipped if self._captures else 0

    @property
    def stages(self) -> Mapping[str, float]:
        return self._captures.stages if self._captures else {}

    @property
    def fingerprint(self) -> int | None:
        return self._captures.fingerprint if self._captures else None

    @property
    def resolution(self) -> tuple[int, int] | None:
        return self._captures.resolution if self._captures else None


class AzureKinectRecording(_Sensor, RecordedSource):
    """An MKV recording; times count from its first capture.

    Args:
        entry: its settings, with a path.
        people: makes what finds people, where joints come from the colour image.
    """

    live = False

    def __init__(self, entry: AzureKinectSource, people: MakePeople) -> None:
        self.name = entry.name
        self._path = Path(entry.path or "")
        self._entry, self._people = entry, people
        self._bodies: Bodies | None = None
        self._share = 0.0

    @property
    def progress(self) -> float:
        """Share of the recording that was read, 0..1."""
        return self._share

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield the frames; a capture without depth or colour is left out, and counted."""
        libraries = Libraries(self._entry.library)
        playback = Playback(libraries, self._path)
        ended = False
        try:
            if self._bodies is None:  # kept from round to round: a pose network takes a while to load
                self._bodies = bodies_of(self._entry, libraries, playback, str(self._path), self._people)
            self._bodies.reset()
            captures = self._captures = _Captures(self.name, self._bodies, _resolution(playback))
            start: int | None = None

            def time_of(sensor_ns: int) -> tuple[int, float]:
                nonlocal start
                start = sensor_ns if start is None else start
                return sensor_ns - start, 0.0

            while (capture := playback.next()) is not None:
                frame = captures.frame(capture, time_of)
                if frame is not None:
                    self._share = min(frame.t / _US / max(playback.length_us, 1), 1.0)
                    yield frame
            if captures.seq == 0:
                raise SourceError(self._path, "holds no capture with depth and colour; expected at least one")
            ended = True
        finally:
            playback.close()
            if not ended:
                self._release()

    def close(self) -> None:
        super().close()
        self._release()

    def _release(self) -> None:
        bodies, self._bodies = self._bodies, None
        if bodies is not None:
            bodies.close()


class AzureKinect(_Sensor):
    """A sensor that is plugged in: each frame is of the newest capture; its clock is mapped to the time of day.

    Args:
        entry: its settings, without a path.
        people: makes what finds people, where joints come from the colour image.
    """

    live = True

    def __init__(self, entry: AzureKinectSource, people: MakePeople) -> None:
        self.name = entry.name
        self._entry, self._people = entry, people
        self._device: Device | None = None
        self._bodies: Bodies | None = None
        self._clock = SensorClock()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Captures that newer ones had followed, or that had no depth or no colour image, since it was made."""
        return self._dropped

    def open(self) -> None:
        self.close()
        libraries = Libraries(self._entry.library)
        self._device = Device(libraries, self._entry.device)
        try:
            where = f"Azure Kinect {self._entry.device}"
            self._bodies = bodies_of(self._entry, libraries, self._device, where, self._people)
            # Those that came while the network was loaded; the clock is to begin with one that has just come.
            stale, older = self._device.newest(0.0)
            if stale is not None:
                stale.release()
                self._dropped += older + 1
        except Exception:
            self.close()
            raise
        self._captures = _Captures(self.name, self._bodies, _resolution(self._device))
        self._clock = SensorClock()

    def read(self, timeout: float) -> SkeletonFrame:
        if self._device is None or self._captures is None:
            raise RuntimeError(f"source {self.name!r} is not open")
        deadline = time.monotonic() + timeout
        while True:
            capture, older = self._device.newest(max(deadline - time.monotonic(), 0.0))
            self._dropped += older
            if capture is None:
                raise SourceTimeout
            frame = self._captures.frame(capture, self._time_of)
            if frame is not None:
                return frame
            self._dropped += 1
            if time.monotonic() >= deadline:
                raise SourceTimeout

    def close(self) -> None:
        device, self._device = self._device, None
        bodies, self._bodies = self._bodies, None
        for part in (bodies, device):
            if part is not None:
                part.close()

    def _time_of(self, sensor_ns: int) -> tuple[int, float]:
        return self._clock.time(sensor_ns), self._clock.waited


def azure_kinect_source(entry: AzureKinectSource, people: MakePeople | None = None) -> Source:
    """Make the source of a `[[sources]]` block; it is not open yet.

    Args:
        entry: the block.
        people: makes what finds people; by default the pose network of the block, for as many people as it says.

    Raises:
        SourceError: its recording is not there.
    """
    people = people or partial(crowd, entry.pose, entry.max_people, live=entry.path is None)
    if entry.path is None:
        return AzureKinect(entry, people)
    if not Path(entry.path).is_file():
        raise SourceError(entry.path, "no such file; expected an MKV recording of an Azure Kinect")
    recording = AzureKinectRecording(entry, people)
    return Looped(recording) if entry.loop else recording


def _resolution(sensor: Playback | Device) -> tuple[int, int]:
    camera = sensor.calibration.color if sensor.has_color else sensor.calibration.depth
    return int(camera.width), int(camera.height)
