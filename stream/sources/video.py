"""Joints that are estimated from RGB images: of a webcam, a network camera or a video file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream import config_sources
from stream.secrets import read_password, shown_url, with_credentials
from stream.sources.base import EndOfSource, RecordedSource, Source
from stream.sources.configured import Looped
from stream.sources.images import FileImages, Image, ImageFeed, opencv
from stream.sources.live_images import LiveImages
from stream.types import Float32Array, SkeletonFrame, Space
from stream.vision.people import JOINTS, LAYOUT, MakePeople, People, crowd, fingerprint, found
from stream.vision.placement import focal_of, place

if TYPE_CHECKING:
    from stream.vision.pose import Pose


class Observer:
    """Turns images into frames of layout `mediapipe`: 33 joints, confidence as MediaPipe's visibility.

    Args:
        name: the source's name.
        make_people: gives a new `People` for each life of the source, and releases it.
        fov_deg: the camera's horizontal angle of view, to place people in metres before it; None for image coordinates
            in pixels.

    Attributes:
        stages, fingerprint, resolution: as of `Source`.
    """

    def __init__(self, name: str, make_people: MakePeople, fov_deg: float | None) -> None:
        self._name, self._make_people, self._fov_deg = name, make_people, fov_deg
        self._stack = ExitStack()
        self._people: People | None = None
        self.stages: dict[str, float] = {}
        self.fingerprint: int | None = None
        self.resolution: tuple[int, int] | None = None

    def begin(self) -> None:
        """Load the networks, if they are not, and forget who was there; raises what `make_people` raises."""
        if self._people is None:
            self._people = self._stack.enter_context(self._make_people())
        self._people.reset()

    def close(self) -> None:
        """Release the networks."""
        self._people = None
        self._stack.close()

    def frame(self, seq: int, image: Image) -> SkeletonFrame:
        """Return the frame of an image; without people M is 0."""
        if self._people is None:
            raise RuntimeError(f"source {self._name!r} is not open")
        start = time.perf_counter()
        people = self._people.update(image.t, image.pixels)
        height, width = image.pixels.shape[:2]
        bodies = found(people, partial(self._placed, width, height))
        self.stages = {"capture": image.waited, "pose": time.perf_counter() - start}
        self.fingerprint = fingerprint(image.pixels)
        self.resolution = width, height
        space = Space.IMAGE2D if self._fov_deg is None else Space.CAMERA3D
        return SkeletonFrame(self._name, seq, image.t, LAYOUT, *bodies, space)

    def _placed(self, width: int, height: int, pose: Pose) -> tuple[Float32Array, float]:
        if self._fov_deg is not None:
            return place(pose, focal_of(width, self._fov_deg), (width / 2, height / 2)), 1.0
        joints = np.zeros((JOINTS, 3), np.float32)
        joints[:, :2] = pose.image[:, :2]
        return joints, 1.0


class _Observed(Source):
    """What live and recorded video have in common."""

    def __init__(self, name: str, feed: ImageFeed, observer: Observer) -> None:
        self.name, self._feed, self._observer = name, feed, observer

    @property
    def dropped(self) -> int:
        return self._feed.dropped

    @property
    def stages(self) -> Mapping[str, float]:
        return self._observer.stages

    @property
    def fingerprint(self) -> int | None:
        return self._observer.fingerprint

    @property
    def resolution(self) -> tuple[int, int] | None:
        return self._observer.resolution


class LiveVideo(_Observed):
    """A camera: each frame is of the newest image, and has the time when that arrived.

    Args:
        name: the source's name.
        feed: its images.
        observer: makes frames of them.
    """

    live = True
    _seq = 0
    _open = False

    def open(self) -> None:
        """Connect to the camera, then load the networks.

        Raises:
            SourceError: the camera cannot be opened.
            PosewireError: the networks or their libraries are missing.
        """
        self.close()
        try:
            self._feed.open()  # first: a camera that is not there is tried again and again
            self._observer.begin()
        except BaseException:
            self.close()
            raise
        self._seq, self._open = 0, True

    def read(self, timeout: float) -> SkeletonFrame:
        if not self._open:
            raise RuntimeError(f"source {self.name!r} is not open")
        frame = self._observer.frame(self._seq, self._feed.read(timeout))
        self._seq += 1
        return frame

    def close(self) -> None:
        self._open = False
        self._feed.close()
        self._observer.close()


class VideoFile(_Observed, RecordedSource):
    """A video file: every image in turn, with the time of its place in the file.

    Args:
        name: the source's name.
        feed: its images.
        observer: makes frames of them.
    """

    live = False

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield a frame for each image; those before the place where the file breaks off count."""
        ended = False
        try:
            self._feed.open()
            self._observer.begin()
            for seq in range(2**63):
                try:
                    image = self._feed.read(timeout=0.0)
                except EndOfSource:
                    ended = True
                    return
                yield self._observer.frame(seq, image)
        finally:
            self._feed.close()
            if not ended:  # else the networks are kept for the next round: they take a while to load
                self._observer.close()

    def close(self) -> None:
        super().close()
        self._observer.close()


def video_source(entry: config_sources.VideoSource) -> Source:
    """Make the source of a `kind = "video"` block; it is not open yet.

    Raises:
        SourceError: its password cannot be read.
        PosewireError: OpenCV is not installed.
    """
    opencv()
    live = entry.path is None
    make_people = partial(crowd, entry.pose, entry.max_people, live=live)
    observer = Observer(entry.name, make_people, entry.fov_deg if entry.joints == "3d" else None)
    if entry.path is not None:
        film = VideoFile(entry.name, FileImages(Path(entry.path)), observer)
        return Looped(film) if entry.loop else film
    if entry.url is None:
        number = entry.camera or 0
        return LiveVideo(entry.name, LiveImages(f"camera {number}", lambda: number), observer)
    # A password that is not there is said at once; it is read again at each opening, as it may change.
    _address(entry, entry.url)
    feed = LiveImages(shown_url(entry.url), partial(_address, entry, entry.url))
    return LiveVideo(entry.name, feed, observer)


def _address(entry: config_sources.VideoSource, url: str) -> str:
    password = ""
    if entry.password_env or entry.password_file:
        password = read_password(shown_url(url), env=entry.password_env, file=entry.password_file)
    return with_credentials(url, entry.user, password)
