"""The one interface of everything that yields skeleton frames."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from stream.errors import SourceError
from stream.types import NANOSECONDS, SkeletonFrame


class SourceTimeout(Exception):
    """No new frame came within the time given to `Source.read`; the source is still open."""


class EndOfSource(Exception):
    """A finite source has delivered its last frame."""


class SourceHung(SourceError):
    """A driver does not return: nothing in this process can open the source again, only a new process can."""


class Source(ABC):
    """Something that yields skeleton frames in the order of capture.

    Life: `open`, any number of `read`, `close` (any number of times). A closed source may be opened again and then
    starts anew. Not thread safe.

    Attributes:
        name: unique in a run; the `source` of its frames.
        live: True where frames that nobody takes are lost (a camera), False where they wait (a file).
    """

    name: str
    live: bool

    @property
    def dropped(self) -> int:
        """Images that a live source did not look at because newer ones had come, since it was made."""
        return 0

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds that each stage of the newest frame took, such as `{"pose": 0.031}`."""
        return {}

    @property
    def fingerprint(self) -> int | None:
        """A number that differs where the newest frame's image does; None for sources without images."""
        return None

    @property
    def resolution(self) -> tuple[int, int] | None:
        """Width and height of the newest frame's image in pixels; None for sources without images."""
        return None

    @abstractmethod
    def open(self) -> None:
        """Get ready to read.

        Raises:
            SourceError: it cannot be opened.
        """

    @abstractmethod
    def read(self, timeout: float) -> SkeletonFrame:
        """Return the next frame, waiting at most `timeout` seconds.

        Raises:
            SourceTimeout: no frame came in time.
            EndOfSource: there are no more frames.
            SourceError: the source is broken; close it. Frames read before stay valid.
        """

    @abstractmethod
    def close(self) -> None:
        """Release everything; never raises for a source that is closed or broken."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[SkeletonFrame]:
        """Yield the frames of an open finite source until its end (may raise `SourceError` on the way)."""
        while True:
            try:
                yield self.read(timeout=60.0)
            except EndOfSource:
                return


class RecordedSource(Source):
    """A finite source that is written as a generator of frames.

    Subclasses set `name` and implement `frames`, which opens its file when first advanced and closes it in a
    `finally` or `with`.

    """

    live = False
    stream: BinaryIO | None = None
    """The open file, where the subclass has set it: `progress` asks it for its position."""
    _iterator: Iterator[SkeletonFrame] | None = None

    @abstractmethod
    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield the frames from the start, raising `SourceError` where the file is broken."""

    def open(self) -> None:
        self.close()
        self._iterator = self.frames()

    @property
    def progress(self) -> float:
        """Share of the file that was read, 0..1; 0 while it is not open."""
        if self.stream is None or self.stream.closed:
            return 0.0
        return self.stream.tell() / max(os.fstat(self.stream.fileno()).st_size, 1)

    def read(self, timeout: float) -> SkeletonFrame:  # noqa: ARG002  # a file never lets one wait
        if self._iterator is None:
            raise RuntimeError(f"source {self.name!r} is not open")
        try:
            return next(self._iterator)
        except StopIteration:
            raise EndOfSource from None

    def close(self) -> None:
        iterator, self._iterator = self._iterator, None
        if iterator is not None:
            iterator.close()  # type: ignore[attr-defined]  # frames() is a generator: this runs its finally blocks


class FixedRateFile(RecordedSource):
    """A recorded file without times: its frames are evenly spaced.

    Args:
        path: the file.
        name: the source's name.
        fps: frames a second.
    """

    def __init__(self, path: Path, name: str, fps: float = 30.0) -> None:
        self.path, self.name, self.fps = path, name, fps

    def time(self, seq: int) -> int:
        """Capture time in ns of the frame of this number."""
        return round(seq * NANOSECONDS / self.fps)
