"""Reading text files of numbers line by line, in bounded memory, with errors that say where."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.layouts import MAX_COORDINATE
from stream.sources.base import RecordedSource
from stream.types import NO_TRACK, Float32Array, Int64Array, SkeletonFrame

MAX_LINE = 64 * 1024
"""Bytes: over ten times the longest line of any known format."""
MAX_BLANK = 1000
"""Empty lines in a row."""

TRACKING_CONFIDENCE: Float32Array = np.array([0.0, 0.5, 1.0], np.float32)
"""Confidence for Kinect's tracking states 0 not tracked, 1 inferred, 2 tracked."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading bytes.

    Raises:
        SourceError: there is none, it is something else (a folder, a pipe, a device), or may not be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise SourceError(path, "not a regular file; expected a recorded skeleton file")
        stream = path.open("rb")
    except FileNotFoundError:
        raise SourceError(path, "no such file; expected a recorded skeleton file") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SourceError(path, f"cannot be opened ({reason}); expected a readable file") from None
    with stream:
        yield stream


def quoted(data: bytes) -> str:
    """At most 24 bytes of a file as printable ASCII in quotes, for a message."""
    return ascii(data[:24].decode("latin-1")) + ("..." if len(data) > 24 else "")


class TextLines:
    """The lines of a text file, one at a time.

    Attributes:
        path: the file.
        number: number of the line that was read last, from 1; 0 before the first.
    """

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self.number = 0
        self._stream = stream
        self._blank = 0

    @classmethod
    @contextmanager
    def of(cls, path: Path, source: RecordedSource | None = None) -> Iterator[Self]:
        """Open the file's lines and close it afterwards.

        Args:
            path: the file.
            source: whose progress the file's position is.

        Raises:
            SourceError: see `opened`.
        """
        with opened(path) as stream:
            if source is not None:
                source.stream = stream
            yield cls(path, stream)

    def fault(self, message: str) -> SourceError:
        """The error to raise about the line that was read last."""
        return SourceError(self.path, message, line=max(self.number, 1))

    def read(self) -> bytes | None:
        """The next line without white space at its ends, or None at the end of the file.

        Raises:
            SourceError: the line is longer than `MAX_LINE` or not text, empty lines go on and on, or the disk fails.
        """
        try:
            line = self._stream.readline(MAX_LINE + 1)
        except OSError as error:
            raise self.fault(f"cannot be read ({error.strerror}); expected a readable file") from None
        if not line:
            return None
        self.number += 1
        if b"\0" in line:
            raise self.fault("NUL byte; expected a line of text")
        if len(line) > MAX_LINE:
            raise self.fault(f"line of over {MAX_LINE} bytes; expected lines of numbers")
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if self.number == 1 else line.strip()
        self._blank = 0 if text else self._blank + 1
        if self._blank > MAX_BLANK:
            raise self.fault(f"over {MAX_BLANK} empty lines; expected lines of numbers")
        return text

    def need(self, expected: str) -> bytes:
        """The next line that is not empty.

        Raises:
            SourceError: the file ends first; the message says what was `expected`.
        """
        while (line := self.read()) is not None:
            if line:
                return line
        self.number += 1
        raise self.fault(f"end of file; expected {expected}")

    def numbers(self, fields: Sequence[bytes], expected: str) -> list[float]:
        """The fields as numbers; words like nan and inf, and numbers out of range, are taken as such.

        Raises:
            SourceError: a field is no number; the message says what was `expected`.
        """
        try:
            return [float(field) for field in fields]
        except ValueError:
            bad = next(field for field in fields if not _is_number(field))
            raise self.fault(f"{quoted(bad)} is no number; expected {expected}") from None

    def integer(self, field: bytes, low: int, high: int, expected: str) -> int:
        """The field as a whole number between `low` and `high`, both included.

        Raises:
            SourceError: it is not; the message says what was `expected`.
        """
        value = int(field) if len(field) <= 20 and field.lstrip(b"+-").isdigit() and _is_number(field) else None
        if value is None or not low <= value <= high:
            raise self.fault(f"{quoted(field)}; expected {expected}, a whole number from {low} to {high}")
        return value

    def state(self, field: bytes) -> int:
        """The field as one of Kinect's tracking states, an index of `TRACKING_CONFIDENCE`.

        Raises:
            SourceError: it is none.
        """
        if field not in (b"0", b"1", b"2"):
            raise self.fault(f"tracking state {quoted(field)}; expected 0 (not tracked), 1 (inferred) or 2 (tracked)")
        return field[0] - ord(b"0")


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def body(joints: NDArray[np.float64], confidence: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Joints (..., V, 3) as float32 with every coordinate that is not finite or absurd set to 0, and its confidence."""
    good = (np.abs(joints) < MAX_COORDINATE).all(axis=-1)
    if good.all():
        return joints.astype(np.float32), confidence
    return np.where(good[..., None], joints, 0).astype(np.float32), np.where(good, confidence, np.float32(0))


def frame(
    source: str,
    seq: int,
    t: int,
    layout: str,
    joints: Float32Array,
    confidence: Float32Array,
    track_ids: Int64Array | None = None,
) -> SkeletonFrame:
    """A frame of a format without body ids, or with those given. Bodies without any seen joint are left out."""
    if track_ids is None:
        track_ids = np.full(len(joints), NO_TRACK, np.int64)
    present = confidence.any(axis=1)
    if not present.all():
        joints, confidence, track_ids = joints[present], confidence[present], track_ids[present]
    return SkeletonFrame(source, seq, t, layout, joints, confidence, track_ids)
