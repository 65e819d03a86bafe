"""Images of a video file through OpenCV, and what image feeds have in common."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.sources.base import EndOfSource
from stream.types import NANOSECONDS
from stream.vision import library

if TYPE_CHECKING:
    import cv2

UInt8Array = NDArray[np.uint8]

DEFAULT_FPS = 30.0
MIN_FPS, MAX_FPS = 0.001, 1000.0
MAX_STEP = 3600 * NANOSECONDS
"""A file's time that lies further ahead than this is not believed."""
COMPLETE = 0.9
"""A file with a smaller share of the images that it claims is said to be cut short."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Image:
    """One image.

    Attributes:
        t: capture time in ns.
        pixels: (H, W, 3) uint8, blue green red.
        waited: seconds between its arrival and its being taken.
    """

    t: int
    pixels: UInt8Array
    waited: float = 0.0


class ImageFeed(Protocol):
    """What images come from; its life is that of a `Source`."""

    where: str
    """The file or device, for errors; without credentials."""

    @property
    def dropped(self) -> int:
        """Images that nobody took in time, since the feed was made."""

    def open(self) -> None:
        """Get ready to read; raises SourceError."""

    def read(self, timeout: float) -> Image:
        """Return the next image of a file, the newest of a camera; raises SourceTimeout, EndOfSource, SourceError."""

    def close(self) -> None:
        """Release everything; never raises."""


def opencv() -> ModuleType:
    """Return OpenCV's module, made silent: FFmpeg's and OpenCV's own messages quote URLs with their passwords.

    Raises:
        PosewireError: it is not installed, or cannot be loaded.
    """
    # Read when FFmpeg first opens something, not at the import.
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    os.environ.pop("OPENCV_FFMPEG_DEBUG", None)
    os.environ.pop("OPENCV_VIDEOIO_DEBUG", None)
    # Seconds: of a webcam, whose read takes no other timeout.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "3")
    module = library("cv2", "rgb")
    module.setLogLevel(0)  # where it was imported before
    return module


class FileImages:
    """The images of a video file, one after the other, with the container's times from the first image on.

    Where those do not increase, the claimed rate gives the time of the next image.

    Args:
        path: the file.
    """

    dropped = 0

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        self._capture: cv2.VideoCapture | None = None
        self._first: UInt8Array | None = None
        self._t = self._interval = self._count = 0

    def open(self) -> None:
        """Open the file and decode its first image.

        Raises:
            SourceError: it is missing or no video.
            PosewireError: OpenCV is not installed.
        """
        self.close()
        if not self.path.is_file():
            raise SourceError(self.path, "no such file; expected a video file")
        cv2 = opencv()
        # Absolute, as FFmpeg takes what stands before a colon for a protocol.
        self._capture = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
        self._first = self._decoded()
        if self._first is None:
            self.close()
            raise SourceError(self.path, "holds no image that OpenCV can read; expected a video file")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._interval = round(NANOSECONDS / (fps if MIN_FPS < fps < MAX_FPS else DEFAULT_FPS))
        self._t, self._count = -self._interval, 0

    @property
    def claimed_s(self) -> float:
        """Seconds that the open file claims to last; 0.0 where it does not say."""
        if self._capture is None:
            raise RuntimeError(f"{self.where} is not open")
        images = self._capture.get(opencv().CAP_PROP_FRAME_COUNT)
        return max(images, 0.0) * self._interval / NANOSECONDS

    def read(self, timeout: float) -> Image:  # noqa: ARG002  # a file never lets one wait
        """Return the next image.

        Raises:
            EndOfSource: there are no more, or what follows cannot be decoded.
        """
        if self._capture is None:
            raise RuntimeError(f"{self.where} is not open")
        pixels, self._first = self._first, None
        if pixels is None:
            pixels = self._decoded()
        if pixels is None:
            claimed = int(self._capture.get(opencv().CAP_PROP_FRAME_COUNT))
            if self._count < COMPLETE * claimed:
                _log.warning("%s: ends after %d of the %d images that it claims", self.where, self._count, claimed)
            raise EndOfSource
        position = self._capture.get(opencv().CAP_PROP_POS_MSEC) * 1e6
        believable = self._t < position < max(self._t, 0) + MAX_STEP
        self._t = round(position) if believable else self._t + self._interval
        self._count += 1
        return Image(self._t, pixels)

    def close(self) -> None:
        """Close the file."""
        capture, self._capture, self._first = self._capture, None, None
        if capture is not None:
            capture.release()

    def _decoded(self) -> UInt8Array | None:
        return decoded(self._capture) if self._capture is not None else None


def decoded(capture: cv2.VideoCapture) -> UInt8Array | None:
    """Return the next image of an opened capture, (H, W, 3) uint8, or None where there is none."""
    ok, pixels = capture.read()
    return np.asarray(pixels, np.uint8) if ok else None
