"""Frames of a video for a report: sampled, small, and bounded in size whatever the video's length."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stream.errors import SourceError
from stream.sources.base import EndOfSource
from stream.sources.images import FileImages, UInt8Array, opencv
from stream.types import NANOSECONDS, UNIX_TIME
from stream.vision.placement import focal_of

INTERVAL = NANOSECONDS // 8
"""Shortest time between two kept images in ns; it doubles when they get too many bytes."""
WIDTH = 480
"""Widest image in pixels."""
MAX_BYTES = 15_000_000
"""Most bytes of all images: 20 MB of page."""
QUALITY = 70
"""Of JPEG, 0..100."""
SLACK_S, SLACK = 1.0, 0.05
"""By how much a recording may outlast its video, in seconds and as a share: what containers claim is not exact."""
MUCH_LONGER = 2.0
"""How many times as long as its recording a video may be: recordings are stopped early."""


@dataclass(slots=True)
class KeptImages:
    """Images of a video, at most one in each interval.

    Attributes:
        width, height: of the video itself, pixels; 0 before its first image.
        times: ns of each kept image.
        images: each as JPEG.
        interval: ns between two kept images, at least.
        limit: most bytes of all images.
    """

    width: int = 0
    height: int = 0
    times: list[int] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    interval: int = INTERVAL
    limit: int = MAX_BYTES

    def add(self, t: int, jpeg: bytes) -> None:
        """Keep an image; too many bytes thin out what is kept."""
        self.times.append(t)
        self.images.append(jpeg)
        while sum(map(len, self.images)) > self.limit and len(self.images) > 1:
            self.interval *= 2
            slots = [t // self.interval for t in self.times]
            first = [i for i, slot in enumerate(slots) if i == 0 or slot != slots[i - 1]]
            self.times = [self.times[i] for i in first]
            self.images = [self.images[i] for i in first]

    def wants(self, t: int) -> bool:
        """Whether an image of this time is the first in its interval."""
        return not self.times or t // self.interval > self.times[-1] // self.interval


class ReportVideo:
    """The video that a recording was made of, to be drawn behind its joints.

    Args:
        path: the file.
        fov_deg: horizontal angle of view by which people in the recording were placed; of no matter to recordings in
            image coordinates.

    Raises:
        SourceError: it cannot be read.
        PosewireError: OpenCV is not installed.
    """

    def __init__(self, path: Path, fov_deg: float) -> None:
        self._path, self._fov_deg = path, fov_deg
        feed = FileImages(path)
        feed.open()
        self._lasts_s = feed.claimed_s
        feed.close()

    def mismatch(self, t0: int, t1: int) -> str:
        """Return what speaks against this being the video of a recording, as one line; "" where nothing does.

        A recording holds no image, so its length is all that can be compared.

        Args:
            t0, t1: as in `payload`.
        """
        end_s = (t1 - (t0 if t0 > UNIX_TIME * NANOSECONDS else 0)) / NANOSECONDS
        slack_s = max(SLACK_S, SLACK * end_s)
        if not self._lasts_s or end_s - slack_s <= self._lasts_s <= MUCH_LONGER * end_s + slack_s:
            return ""
        return (
            f"{self._path}: lasts {self._lasts_s:.1f} s, and the recording ends at {end_s:.1f} s; "
            "expected the video that the recording was made of"
        )

    def payload(self, t0: int, t1: int) -> dict[str, object]:
        """Return what the page needs of the video; `video.js` is the other half of this function.

        Args:
            t0, t1: first and last time of the recording, ns. Where they count from 1970 (a live recording), the video
                is taken to begin with the recording; else both count from the video's start.

        Raises:
            SourceError: it cannot be read any more.
        """
        begin = t0 if t0 > UNIX_TIME * NANOSECONDS else 0
        kept = self._sample(t0 - begin, t1 - begin)
        return {
            "file": self._path.name,
            "width": kept.width,
            "height": kept.height,
            "focal": focal_of(kept.width, self._fov_deg),
            "times": [round((t + begin - t0) / 1e6) for t in kept.times],
            "images": [base64.b64encode(jpeg).decode("ascii") for jpeg in kept.images],
        }

    def _sample(self, t0: int, t1: int) -> KeptImages:
        kept, feed = KeptImages(), FileImages(self._path)
        feed.open()
        try:
            while True:
                image = feed.read(timeout=0.0)
                if image.t > t1:
                    return kept
                if image.t >= t0 - INTERVAL and kept.wants(image.t):
                    kept.height, kept.width = image.pixels.shape[:2]
                    kept.add(image.t, self._jpeg(image.pixels))
        except EndOfSource:
            return kept
        finally:
            feed.close()

    def _jpeg(self, pixels: UInt8Array) -> bytes:
        cv2 = opencv()
        height, width = pixels.shape[:2]
        if width > WIDTH:
            size = WIDTH, max(round(height * WIDTH / width), 1)
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise SourceError(self._path, "an image of it cannot be coded; expected a video in colour or grey")
        return np.asarray(data, np.uint8).tobytes()
