"""posewire's own recordings: exact, append-only, readable when cut short anywhere, and every damage noticed."""

import logging
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skeleton_files

from stream.errors import PosewireError, SourceError
from stream.sources.files import open_source
from stream.sources.recording import RecordingSource, RecordingWriter
from stream.types import NO_TRACK, SkeletonFrame, Space


def read(path: Path) -> tuple[list[SkeletonFrame], bool]:
    source = RecordingSource(path, "replay")
    with source:
        return list(source), source.truncated


def same(a: SkeletonFrame, b: SkeletonFrame) -> bool:
    plain = ("source", "seq", "t", "layout", "space")
    arrays = ("joints", "confidence", "track_ids")
    return all(getattr(a, name) == getattr(b, name) for name in plain) and all(
        getattr(a, name).dtype == getattr(b, name).dtype
        and getattr(a, name).shape == getattr(b, name).shape
        and getattr(a, name).tobytes() == getattr(b, name).tobytes()
        for name in arrays
    )


def odd_frames() -> list[SkeletonFrame]:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(1, 25, 3)).astype(np.float32), rng.normal(size=(2, 17, 3)).astype(np.float32)
    two[0, 0] = np.nan, np.inf, -0.0
    sure = rng.uniform(size=(2, 17)).astype(np.float32)
    none = np.zeros((0, 25, 3), np.float32)
    return [
        SkeletonFrame("cam-1", 0, 0, "kinect_v2", one, np.ones((1, 25), np.float32), np.array([2**62])),
        SkeletonFrame("cam-2", 7, -5, "coco", two, sure, np.array([NO_TRACK, 3]), Space.IMAGE2D),
        SkeletonFrame("cam-1", 2**40, 2**62, "kinect_v2", none, none[..., 0], np.zeros(0, np.int64)),
    ]


def test_replay_is_identical_bit_by_bit(tmp_path: Path) -> None:
    frames = odd_frames()
    with RecordingWriter(tmp_path / "a.pwr") as writer:
        for frame in frames:
            writer.write(frame)
    back, truncated = read(tmp_path / "a.pwr")
    assert not truncated
    assert len(back) == len(frames)
    assert all(same(a, b) for a, b in zip(frames, back, strict=True))


def test_replay_of_other_sources_is_identical(tmp_path: Path) -> None:
    for number, (name, content) in enumerate(skeleton_files.everything(tmp_path).items()):
        path = tmp_path / name
        path.write_bytes(content)
        with open_source(path) as source, RecordingWriter(tmp_path / f"{number}.pwr") as writer:
            frames = list(source)
            for frame in frames:
                writer.write(frame)
        back, _ = read(tmp_path / f"{number}.pwr")
        assert all(same(a, b) for a, b in zip(frames, back, strict=True))


def test_cut_short_at_every_byte(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = skeleton_files.recording(tmp_path / "whole.pwr", frames=2, bodies=1)
    record = (len(whole) - 16) // 2
    path = tmp_path / "cut.pwr"
    for size in range(1, len(whole) + 1):
        path.write_bytes(whole[:size])
        frames, truncated = read(path)
        assert len(frames) == max(size - 16, 0) // record
        assert truncated == (size < 16 or (size - 16) % record != 0)
    assert all("cut short" in message for message in caplog.messages)
    assert caplog.records[0].levelno == logging.WARNING


def test_zero_padding_after_a_power_cut(tmp_path: Path) -> None:
    whole = skeleton_files.recording(tmp_path / "a.pwr")
    (tmp_path / "b.pwr").write_bytes(whole + bytes(4096))
    frames, truncated = read(tmp_path / "b.pwr")
    assert len(frames) == 3
    assert truncated


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    whole = skeleton_files.recording(tmp_path / "whole.pwr", frames=2, bodies=1)
    path = tmp_path / "bad.pwr"
    good, _ = read(tmp_path / "whole.pwr")
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            frames, truncated = read(path)
        except SourceError as error:
            assert "at byte" in str(error)  # noqa: PT017
            assert "expected" in str(error)  # noqa: PT017
        else:  # a length that now reaches past the end looks like a cut
            assert truncated
            assert all(same(a, b) for a, b in zip(good, frames, strict=False))


def test_layout_follows_the_documented_bytes(tmp_path: Path) -> None:
    """A reader written from the documentation alone."""
    skeleton_files.recording(tmp_path / "a.pwr", frames=1, bodies=1)
    data = (tmp_path / "a.pwr").read_bytes()
    magic, version, flags, crc = struct.unpack_from("<8sHHI", data)
    assert (magic, version, flags, crc) == (b"\x89PWR\r\n\x1a\n", 1, 0, zlib.crc32(data[:12]))
    length, crc = struct.unpack_from("<II", data, 16)
    payload = data[24 : 24 + length]
    assert zlib.crc32(payload) == crc
    kind, space, m, v, source, layout, seq, t = struct.unpack_from("<BBHHHHqq", payload)
    assert (kind, space, m, v, seq, t) == (1, 0, 1, 25, 0, 0)
    names = payload[26 : 26 + source + layout]
    assert names == b"made" + b"kinect_v2"
    assert len(payload) == 26 + len(names) + 8 + 25 * 4 * 4


def test_unknown_kinds_are_skipped(tmp_path: Path) -> None:
    whole = skeleton_files.recording(tmp_path / "a.pwr")
    note = b"\x09a note from a later version"
    (tmp_path / "b.pwr").write_bytes(whole + struct.pack("<II", len(note), zlib.crc32(note)) + note)
    frames, truncated = read(tmp_path / "b.pwr")
    assert len(frames) == 3
    assert not truncated


def test_a_source_stays_in_its_space(tmp_path: Path) -> None:
    first, second, third = odd_frames()
    with RecordingWriter(tmp_path / "a.pwr") as writer:
        for frame in (first, second, replace(third, space=Space.IMAGE2D)):
            writer.write(frame)
    with RecordingSource(tmp_path / "a.pwr", "replay") as source:
        assert [source.read(1.0).source, source.read(1.0).source] == ["cam-1", "cam-2"]
        with pytest.raises(SourceError, match="cam-1 is in image2d now; expected camera3d as before"):
            source.read(1.0)


def test_an_existing_file_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "a.pwr"
    before = skeleton_files.recording(path)
    with pytest.raises(PosewireError, match="exists already"):
        RecordingWriter(path)
    assert path.read_bytes() == before
    RecordingWriter(path, overwrite=True).close()
    assert path.stat().st_size == 16


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes in files")
def test_overwriting_leads_nowhere_else(tmp_path: Path) -> None:
    path, outside = tmp_path / "a.pwr", tmp_path / "outside"
    outside.write_text("mine")
    path.symlink_to(outside)
    RecordingWriter(path, overwrite=True).close()
    assert outside.read_text() == "mine"
    assert not path.is_symlink()
    assert path.stat().st_size == 16
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PosewireError, match="is no regular file; expected the name of a recording"):
        RecordingWriter(path, overwrite=True)
    assert path.is_fifo()


def test_what_was_flushed_survives_a_writer_that_never_closed(tmp_path: Path) -> None:
    frames = skeleton_files.people(1, 65)
    writer = RecordingWriter(tmp_path / "a.pwr")
    for frame in frames:
        writer.write(frame)
    seen, _ = read(tmp_path / "a.pwr")
    assert 60 <= len(seen) <= 65
    writer.close()
    writer.close()
    assert len(read(tmp_path / "a.pwr")[0]) == 65


def test_unfit_frames_are_refused(tmp_path: Path) -> None:
    made = skeleton_files.people(1, 1)[0]
    with RecordingWriter(tmp_path / "a.pwr") as writer:
        bad = SkeletonFrame("a", 0, 0, "kinect_v2", made.joints[:, :24], made.confidence, made.track_ids)
        with pytest.raises(PosewireError, match="expected"):
            writer.write(bad)
        for bodies, joints in ((65, 25), (60, 2000)):
            huge = np.zeros((bodies, joints, 3), np.float32)
            with pytest.raises(PosewireError, match="at most"):
                writer.write(SkeletonFrame("a", 0, 0, "kinect_v2", huge, huge[..., 0], np.zeros(bodies, np.int64)))
    with pytest.raises(PosewireError, match="cannot be made"):
        RecordingWriter(tmp_path / "no" / "folder.pwr")
