"""Hostile files: one clear error with file, place and expectation, quickly and in little memory; and a fuzzer."""

import struct
import tempfile
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skeleton_files
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import SourceError
from stream.layouts import layout
from stream.sources.files import open_source

NTU = skeleton_files.ntu(frames=2, bodies=1)
PKU = skeleton_files.pku()
V1 = skeleton_files.kinect_v1()
V2 = skeleton_files.kinect_v2()
BVH = skeleton_files.bvh()
BODY = b"72057594037931101 0 1 1 1 1 0 0.02 0.05 2\n"
NESTED = b"".join(b"JOINT j%d\n{\nOFFSET 0 1 0\n" % i for i in range(100_000))
GARBAGE = np.random.default_rng(0).bytes(100_000)
MAGIC = b"\x89PWR\r\n\x1a\n"
HEAD = MAGIC + struct.pack("<HH", 1, 0)
HEAD_2 = MAGIC + struct.pack("<HH", 2, 0)
PWR = HEAD + struct.pack("<I", zlib.crc32(HEAD))


def record(payload: bytes) -> bytes:
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


def frame(m: int, v: int, name: bytes, extra: bytes) -> bytes:
    return struct.pack("<BBHHHHqq", 1, 0, m, v, 1, len(name), 0, 0) + b"s" + name + extra


def line_of(text: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    lines = text.splitlines()
    lines[number - 1] = change(lines[number - 1])
    return b"\n".join(lines) + b"\n"


# name of the file: its content, the line or byte that must be named, and words of the message
HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "empty.skeleton": (b"", ":1:", "number of frames"),
    "empty.csv": (b"", ":1:", "25 joints"),
    "empty.txt": (b"", ":1:", "150 numbers"),
    "empty.bvh": (b"", ":1:", "HIERARCHY"),
    "empty.pwr": (b"", "at byte 0:", "empty file"),
    "blank.csv": (b"\n\n   \n", ":4:", "25 joints"),
    "blank_on_and_on.bvh": (b"\n" * 10**6, ":1001:", "over 1000 empty lines"),
    "garbage.skeleton": (GARBAGE, ":1:", ""),
    "garbage.csv": (GARBAGE, ":1:", ""),
    "garbage.txt": (GARBAGE, ":1:", ""),
    "garbage.bvh": (GARBAGE, ":1:", ""),
    "garbage.pwr": (GARBAGE, "at byte 0:", "mark of a posewire recording"),
    "nul.txt": (b"\0" * 150, ":1:", "NUL"),
    "utf16.csv": (V2.decode().encode("utf-16"), ":1:", "NUL"),
    "frames_1e9.skeleton": (b"1000000000\n1\n" + BODY, ":4:", "number of joints"),
    "frames_negative.skeleton": (b"-3\n" + NTU, ":1:", "from 1 to"),
    "frames_huge.skeleton": (b"9" * 60_000 + b"\n", ":1:", "whole number"),
    "frames_float.skeleton": (b"1e9\n", ":1:", "whole number"),
    "bodies_1e9.skeleton": (b"1\n1000000000\n" + BODY, ":2:", "from 0 to 6"),
    "bodies_negative.skeleton": (b"1\n-1\n", ":2:", "from 0 to 6"),
    "joints_1e9.skeleton": (b"1\n1\n" + BODY + b"1000000000\n", ":4:", "from 25 to 25"),
    "joints_20.skeleton": (b"1\n1\n" + BODY + b"20\n", ":4:", "from 25 to 25"),
    "cut.skeleton": (NTU[: len(NTU) // 2], "", "12 columns"),
    "id_huge.skeleton": (b"1\n1\n" + b"9" * 19 + BODY[17:] + b"25\n", ":3:", "id of a body"),
    "id_twice.skeleton": (b"1\n2\n" + b"".join(NTU.splitlines(keepends=True)[2:29]) * 2, ":56:", "body id twice"),
    "columns_11.skeleton": (line_of(NTU, 5, lambda line: line.rsplit(b" ", 1)[0]), ":5:", "12 columns"),
    "state_9.skeleton": (line_of(NTU, 5, lambda line: line[:-1] + b"9"), ":5:", "tracking state"),
    "word.skeleton": (line_of(NTU, 6, lambda line: b"zero" + line[4:]), ":6:", "'zero"),
    "more.skeleton": (NTU + b"1\n", ":58:", "end of the file"),
    "numbers_149.txt": (b" ".join([b"1"] * 149), ":1:", "150 numbers"),
    "joints_20.txt": (b" ".join([b"1"] * 120), ":1:", "150 numbers"),
    "word.txt": (line_of(PKU, 2, lambda line: b"abc" + line[3:]), ":2:", "no number"),
    "fields_100.csv": (b",".join([b"1"] * 100), ":1:", "101 numbers"),
    "time_nan.csv": (line_of(V2, 2, lambda line: b"nan" + line[11:]), ":2:", "100 ns"),
    "time_1e400.csv": (line_of(V2, 2, lambda line: b"1e400" + line[11:]), ":2:", "100 ns"),
    "time_negative.csv": (line_of(V2, 3, lambda line: b"-" + line), ":3:", "100 ns"),
    "time_huge.csv": (line_of(V2, 1, lambda line: b"9" * 18 + line[11:]), ":1:", "100 ns"),
    "state.csv": (line_of(V2, 2, lambda line: line.replace(b",2,", b",7,", 1)), ":2:", "tracking state"),
    "header.csv": (b"HipCenter;Spine;Nose\n" + V1, ":1:", "20 Kinect v1 joint names"),
    "header_only.csv": (V1.splitlines()[0], ":2:", "at least one frame"),
    "joints_19.csv": (line_of(V1, 2, lambda line: line.split(b";", 2)[2]), ":2:", "20 joints"),
    "coordinates.csv": (line_of(V1, 3, lambda line: line.replace(b" ", b"", 1)), ":3:", "'x y z'"),
    "commas.csv": (line_of(V1, 2, lambda line: line.replace(b".", b",")), ":2:", "no number"),
    "deep.bvh": (b"HIERARCHY\nROOT j\n{\nOFFSET 0 1 0\n" + NESTED, "", "over 512 joints"),
    "braces.bvh": (b"HIERARCHY\n" + b"{\n" * 100_000, ":2:", "no { here"),
    "open.bvh": (BVH.replace(b"MOTION", b"}\nMOTION"), "", "expected"),
    "unclosed.bvh": (BVH.replace(b"}\nMOTION", b"MOTION"), "", "expected"),
    "channels_1e9.bvh": (BVH.replace(b"CHANNELS 3", b"CHANNELS 1000000000", 1), "", "CHANNELS"),
    "channel_word.bvh": (BVH.replace(b"Zrotation", b"Wrotation", 1), ":5:", "CHANNELS"),
    "offset_nan.bvh": (BVH.replace(b"OFFSET 0 20 0", b"OFFSET 0 nan 0", 1), ":8:", "OFFSET"),
    "offset_1e400.bvh": (BVH.replace(b"OFFSET 0 20 0", b"OFFSET 0 1e400 0", 1), ":8:", "OFFSET"),
    "twice.bvh": (BVH.replace(b"RightLeg", b"LeftLeg"), "", "joint name"),
    "hand.bvh": (BVH.replace(b"UpLeg", b"Finger"), "", "HipLeft"),
    "flat.bvh": (b"\n".join(b"OFFSET 0 0 0" if b"OFFSET" in line else line for line in BVH.splitlines()), "", "tall"),
    "frames_1e9.bvh": (BVH.replace(b"Frames: 3", b"Frames: 1000000000"), "", "frame 4 of 1000000000"),
    "frames_negative.bvh": (BVH.replace(b"Frames: 3", b"Frames: -3"), "", "number of frames"),
    "time_0.bvh": (BVH.replace(b"0.02", b"0"), "", "0.0001 to 10"),
    "time_nan.bvh": (BVH.replace(b"0.02", b"nan"), "", "0.0001 to 10"),
    "short_row.bvh": (BVH.rstrip()[:-2] + b"\n", "", "one for each channel"),
    "version_2.pwr": (HEAD_2 + struct.pack("<I", zlib.crc32(HEAD_2)), "at byte 8:", "version 1"),
    "length_1e9.pwr": (PWR + struct.pack("<II", 10**9, 0) + GARBAGE, "at byte 16:", "1 to 1048576"),
    "crc.pwr": (PWR + struct.pack("<II", 4, 5) + b"abcd", "at byte 16:", "CRC-32"),
    "bodies_65535.pwr": (PWR + record(frame(65535, 65535, b"coco", b"")), "at byte 16:", "bytes"),
    "layout.pwr": (PWR + record(frame(0, 25, b"kinect_v9", b"")), "at byte 16:", "known layout"),
    "layout_utf8.pwr": (PWR + record(frame(0, 25, b"\xff\xfe", b"")), "at byte 16:", "known layout"),
    "joints_24.pwr": (PWR + record(frame(0, 24, b"kinect_v2", b"")), "at byte 16:", "25 in layout"),
    "bodies_65.pwr": (PWR + record(frame(65, 25, b"kinect_v2", bytes(65 * (8 + 16 * 25)))), "at byte 16:", "most 64"),
    "tiny.pwr": (PWR + record(b"\1"), "at byte 16:", "at least"),
}  # fmt: skip


def error_of(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught, open_source(path) as source:
        for _ in source:
            pass
    return caught.value


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file(tmp_path: Path, name: str) -> None:
    content, place, words = HOSTILE[name]
    path = tmp_path / name
    path.write_bytes(content)
    start = time.process_time()
    message = str(error_of(path))
    seconds = time.process_time() - start
    tracemalloc.start()
    error = error_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message.startswith(str(path))
    assert (place or ":") in message.removeprefix(str(path))[:12]
    assert (error.line is None) != (error.offset is None)
    assert "expected" in message
    assert words in message
    assert "\n" not in message
    assert len(message) - len(str(path)) < 300
    assert peak < 10_000_000
    assert seconds < 2  # of the processor; a hundredth of that as a rule


@pytest.mark.parametrize("suffix", [".skeleton", ".csv", ".txt", ".bvh"])
def test_one_line_of_200_megabytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"long{suffix}"
    with path.open("wb") as stream:
        stream.write(b"1 ;," * 250_000)
        stream.truncate(200_000_000)
    tracemalloc.start()
    start = time.process_time()
    message = str(error_of(path))
    seconds = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "line of over 65536 bytes; expected" in message
    assert peak < 10_000_000
    assert seconds < 2
    path.unlink()


def test_a_long_file_streams_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    row = PKU.splitlines(keepends=True)[0]
    with path.open("wb") as stream:
        for _ in range(2000):
            stream.write(row)
    tracemalloc.start()
    with open_source(path) as source:
        count = sum(1 for _ in source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2000
    assert peak < 1_000_000


MUTATION = st.tuples(
    st.sampled_from(["replace", "insert", "delete", "repeat", "cut"]),
    st.floats(0, 1, exclude_max=True),
    st.one_of(
        st.binary(min_size=1, max_size=8),
        st.sampled_from(
            [b"nan", b"inf", b"-1", b"1e400", b"1000000000", b"\n", b"\0", b" ", b";", b",", b"{", b"}", b"-0"]
        ),
    ),
    st.integers(1, 60),
)


def mutate(content: bytes, mutations: list[tuple[str, float, bytes, int]]) -> bytes:
    for kind, where, data, size in mutations:
        at = int(where * len(content))
        match kind:
            case "replace":
                content = content[:at] + data + content[at + len(data) :]
            case "insert":
                content = content[:at] + data + content[at:]
            case "delete":
                content = content[:at] + content[at + size :]
            case "repeat":
                content = content[:at] + content[at : at + size] * 3 + content[at + size :]
            case "cut":
                content = content[:at]
    return content


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return skeleton_files.everything(tmp_path_factory.mktemp("valid"))


@pytest.mark.parametrize("name", ["a.skeleton", "b.txt", "c.csv", "d.csv", "e.bvh", "f.pwr"])
@given(mutations=st.lists(MUTATION, min_size=1, max_size=4))
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
def test_only_source_errors_come_out(
    valid: dict[str, bytes], name: str, mutations: list[tuple[str, float, bytes, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(mutate(valid[name], mutations))
        try:
            with open_source(path) as source:
                for frame in source:
                    joints, confidence = layout(frame.layout).to_canonical(frame.joints, frame.confidence)
                    assert np.isfinite(joints).all()
                    assert ((confidence >= 0) & (confidence <= 1)).all()
                    assert len(frame.track_ids) == len(frame.joints)
        except SourceError as error:
            assert "expected" in str(error)  # noqa: PT017
            assert str(error).startswith(str(path))  # noqa: PT017
