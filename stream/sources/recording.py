"""posewire's own recordings, `.pwr`: skeleton frames of any number of sources, exactly as they were.

The format, version 1. All numbers are little endian; nothing is aligned or padded.

    header (16 bytes)
        8 bytes  89 50 57 52 0D 0A 1A 0A  ("\\x89PWR\\r\\n\\x1a\\n": shows damage by text-mode transfer)
        uint16   version: 1
        uint16   flags: 0
        uint32   CRC-32 (zlib) of the 12 bytes before
    records, one after the other until the end of the file
        uint32   length of the payload in bytes, 1 to 1,048,576
        uint32   CRC-32 of the payload
        payload  uint8 kind; readers skip kinds that they do not know. Kind 1 is a frame:
            uint8    space: 0 camera3d, 1 image2d
            uint16   M, number of bodies, at most 64
            uint16   V, number of joints
            uint16   S, length of the source's name
            uint16   L, length of the layout's name
            int64    seq
            int64    t, capture time in ns
            S bytes  source name, UTF-8
            L bytes  layout name, UTF-8
            int64    x M          track ids
            float32  x M x V x 3  joints
            float32  x M x V      confidence

All frames of a source are in the same space. A record is appended whole and never changed, so a recording that was cut
short at any byte reads up to its last whole record. Eight zero bytes where a record should start are file system
padding after a power cut and end it likewise.
"""

from __future__ import annotations

import logging
import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from models.whole_file import open_new
from stream.errors import PosewireError, SourceError
from stream.layouts import layout
from stream.sources.base import RecordedSource
from stream.sources.text_lines import opened, quoted
from stream.structs import MAX_BODIES
from stream.topics import check_name
from stream.types import SkeletonFrame, Space

MAGIC = b"\x89PWR\r\n\x1a\n"
VERSION = 1
MAX_PAYLOAD = 1 << 20
FLUSH_EVERY = 30
"""Records: a crash of the process loses at most a second of one 30 fps source."""

_HEADER = struct.Struct("<8sHH")
_CRC = struct.Struct("<I")
_RECORD = struct.Struct("<II")
_FRAME = struct.Struct("<BBHHHHqq")
_BEFORE = struct.Struct("<BBHHHH")
_SEQ = struct.Struct("<q")
_TIME = struct.Struct("<q")
"""The three parts of `_FRAME`."""
_FRAME_KIND = 1
_INT64, _FLOAT32 = np.dtype("<i8"), np.dtype("<f4")
_SPACES = (Space.CAMERA3D, Space.IMAGE2D)

_log = logging.getLogger(__name__)


class RecordingWriter:
    """Appends frames to a new recording, of mode 0600; a context manager.

    Args:
        path: the file to make.
        overwrite: replace a file that exists; a link is replaced, not followed.

    Raises:
        PosewireError: the file exists, is something else than a file, or cannot be made.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self.records = 0
        try:
            if overwrite:
                _make_way(path)
            self._stream: BinaryIO = open_new(path, 0o600)
        except FileExistsError:
            raise PosewireError(f"{path}: exists already; expected a new file, or leave to overwrite it") from None
        except OSError as error:
            raise PosewireError(f"{path}: cannot be made ({error.strerror})") from None
        self._put(_head())
        self._flush()

    def write(self, frame: SkeletonFrame) -> None:
        """Append one frame; handed to the operating system every `FLUSH_EVERY` frames and at the end.

        Raises:
            PosewireError: the disk is full, or the frame's arrays do not fit together or are too large.
        """
        packed = pack_frame(frame)
        if packed.size > MAX_PAYLOAD:
            raise PosewireError(f"{self.path}: a frame of {packed.size} bytes; expected at most {MAX_PAYLOAD}")
        self._put(b"".join(packed.record(frame.seq)))
        self.records += 1
        if self.records % FLUSH_EVERY == 0:
            self._flush()

    def close(self) -> None:
        """Write everything through to the disk and close; any number of times.

        Raises:
            PosewireError: the disk is full.
        """
        if not self._stream.closed:
            try:
                self._flush()
                os.fsync(self._stream.fileno())
                self._stream.close()
            except (OSError, PosewireError) as error:
                self._stream.raw.close()  # type: ignore[attr-defined]  # the buffer cannot be written: let it go
                if isinstance(error, PosewireError):
                    raise
                raise PosewireError(f"{self.path}: cannot be written ({error.strerror})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except OSError as error:
            raise PosewireError(f"{self.path}: cannot be written ({error.strerror})") from None

    def _flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise PosewireError(f"{self.path}: cannot be written ({error.strerror})") from None


class PackedFrame:
    """A frame as recordings hold it, but for its number: what is in several of them is packed once. See `pack_frame`.

    Attributes:
        t: its capture time in ns.
        size: bytes of its record's payload.
    """

    __slots__ = ("_after", "_before", "size", "t")

    def __init__(self, t: int, before: bytes, after: bytes) -> None:
        self.t, self._before, self._after = t, before, after
        self.size = len(before) + _SEQ.size + len(after)

    def record(self, seq: int) -> tuple[bytes, bytes]:
        """Its record, in two parts, as that of the frame of this number."""
        start = self._before + _SEQ.pack(seq)
        return _RECORD.pack(self.size, zlib.crc32(self._after, zlib.crc32(start))) + start, self._after


def pack_recording(frames: Iterable[PackedFrame], most: int) -> bytes:
    """A recording of frames, numbered from 0, as the bytes of its file; frames that go beyond `most` are left out."""
    parts = [_head()]
    size = len(parts[0])
    for seq, frame in enumerate(frames):
        size += _RECORD.size + frame.size
        if size > most:
            break
        parts += frame.record(seq)
    return b"".join(parts)


def _make_way(path: Path) -> None:
    """Remove a file or a link; not a pipe or a device, which a removal would do harm to.

    Raises:
        PosewireError: it is something else.
        OSError: it cannot be removed.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise PosewireError(f"{path}: is no regular file; expected the name of a recording")
    path.unlink()


def _head() -> bytes:
    head = _HEADER.pack(MAGIC, VERSION, 0)
    return head + _CRC.pack(zlib.crc32(head))


def pack_frame(frame: SkeletonFrame) -> PackedFrame:
    """Pack a frame; its number is asked for when it is put into a recording.

    Raises:
        PosewireError: its arrays do not fit together, or are too large.
    """
    m, v = frame.confidence.shape
    if frame.joints.shape != (m, v, 3) or frame.track_ids.shape != (m,):
        raise PosewireError(
            f"frame {frame.seq} of {frame.source}: joints {frame.joints.shape}, confidence {(m, v)} and track ids "
            f"{frame.track_ids.shape} do not fit together; expected (M, V, 3), (M, V) and (M,)"
        )
    source, name = frame.source.encode(), frame.layout.encode()
    if m > MAX_BODIES or max(v, len(source), len(name)) > 0xFFFF:
        raise PosewireError(
            f"frame {frame.seq} of {frame.source[:40]}: expected at most {MAX_BODIES} bodies, and at most 65535 joints "
            "and bytes a name"
        )
    before = _BEFORE.pack(_FRAME_KIND, _SPACES.index(frame.space), m, v, len(source), len(name))
    after = (
        _TIME.pack(frame.t),
        source,
        name,
        frame.track_ids.astype(_INT64, copy=False).tobytes(),
        frame.joints.astype(_FLOAT32, copy=False).tobytes(),
        frame.confidence.astype(_FLOAT32, copy=False).tobytes(),
    )
    return PackedFrame(frame.t, before, b"".join(after))


class RecordingSource(RecordedSource):
    """Frames of a recording in the order they were written, bit by bit as they were, with their own sources' names.

    Args:
        path: the file.
        name: what the caller calls this source; its frames keep the names that they were recorded under.

    Attributes:
        truncated: True once reading met an incomplete last record, which is left out.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.truncated = False
        self._names: dict[tuple[int, bytes], tuple[str, str, int]] = {}

    def frames(self) -> Iterator[SkeletonFrame]:
        """Yield the frames; warns in the log where the recording was cut short."""
        self.truncated = False
        self._names.clear()
        spaces: dict[str, Space] = {}
        with opened(self.path) as stream:
            self.stream = stream
            offset = len(self._header(stream))
            while not self.truncated and (payload := self._record(stream, offset)) is not None:
                if payload[0] == _FRAME_KIND:
                    frame = self._unpack(payload, offset)
                    if frame.space is not (space := spaces.setdefault(frame.source, frame.space)):
                        raise self._fault(offset, f"{frame.source} is in {frame.space} now; expected {space} as before")
                    yield frame
                offset += _RECORD.size + len(payload)
        if self.truncated:
            _log.warning("%s: cut short at byte %d: the last record is incomplete and left out", self.path, offset)

    def _fault(self, offset: int, message: str) -> SourceError:
        return SourceError(self.path, message, offset=offset)

    def _header(self, stream: BinaryIO) -> bytes:
        whole = _HEADER.pack(MAGIC, VERSION, 0)
        head = stream.read(_HEADER.size + _CRC.size)
        if not head:
            raise self._fault(0, "empty file; expected a posewire recording")
        if len(head) < _HEADER.size + _CRC.size and (whole + _CRC.pack(zlib.crc32(whole))).startswith(head):
            self.truncated = True
            return head
        if not head.startswith(MAGIC) or len(head) < _HEADER.size + _CRC.size:
            raise self._fault(0, f"{quoted(head[:8])}; expected the mark of a posewire recording, {quoted(MAGIC)}")
        if _CRC.unpack_from(head, _HEADER.size)[0] != zlib.crc32(head[: _HEADER.size]):
            raise self._fault(_HEADER.size, "wrong CRC-32 of the header; expected the header as it was written")
        version = _HEADER.unpack_from(head)[1]
        if version != VERSION:
            raise self._fault(8, f"version {version}; expected version {VERSION}, the only one known")
        return head

    def _record(self, stream: BinaryIO, offset: int) -> bytes | None:
        head = stream.read(_RECORD.size)
        if not head:
            return None
        self.truncated = len(head) < _RECORD.size or not any(head)
        if self.truncated:
            return None
        length, crc = _RECORD.unpack(head)
        if not 0 < length <= MAX_PAYLOAD:
            raise self._fault(offset, f"record of {length} bytes; expected 1 to {MAX_PAYLOAD}")
        payload = stream.read(length)
        if len(payload) < length:
            self.truncated = True
            return None
        if zlib.crc32(payload) != crc:
            raise self._fault(offset, "wrong CRC-32; expected the record as it was written")
        return payload

    def _unpack(self, payload: bytes, offset: int) -> SkeletonFrame:
        if len(payload) < _FRAME.size:
            raise self._fault(offset, f"frame of {len(payload)} bytes; expected at least {_FRAME.size}")
        _, space, m, v, source_size, layout_size, seq, t = _FRAME.unpack_from(payload)
        expected = _FRAME.size + source_size + layout_size + 8 * m + 16 * m * v
        if len(payload) != expected or space >= len(_SPACES):
            raise self._fault(
                offset, f"frame of {len(payload)} bytes in space {space}; expected {expected} bytes in 0 or 1"
            )
        if m > MAX_BODIES:
            raise self._fault(offset, f"frame of {m} bodies; expected at most {MAX_BODIES}")
        start = _FRAME.size + source_size + layout_size
        key = source_size, payload[_FRAME.size : start]
        if (names := self._names.get(key)) is None:
            names = self._names[key] = self._check(*key, offset)
        source, name, joint_count = names
        if v != joint_count:
            raise self._fault(offset, f"{v} joints; expected {joint_count} in layout {name[:40]}")
        size = m * v
        ids = np.frombuffer(payload, "<i8", m, start).astype(np.int64)
        numbers = np.frombuffer(payload, "<f4", 4 * size, start + 8 * m).astype(np.float32)
        joints, confidence = numbers[: 3 * size].reshape(m, v, 3), numbers[3 * size :].reshape(m, v)
        return SkeletonFrame(source, seq, t, name, joints, confidence, ids, _SPACES[space])

    def _check(self, size: int, names: bytes, offset: int) -> tuple[str, str, int]:
        """The names of a frame's source and layout, the first of so many bytes, and how many joints the layout has."""
        try:
            source = check_name(names[:size].decode(), "source")
            name = names[size:].decode()
            return source, name, len(layout(name).joints)
        except (UnicodeDecodeError, PosewireError) as error:
            reason = f"{error}"[:200].replace("\n", " ")
            raise self._fault(offset, f"{reason}; expected a valid name and a known layout") from None
