"""The folder of false alarms: what is filed can be read, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from poses import frame, person

from stream.regression_clips import ClipError, RegressionClip, read, save
from stream.sources.recording import pack_frame, pack_recording
from stream.types import NANOSECONDS

CLIP = RegressionClip(
    event="01K6Z0T3V8M4S8Q4M2N1C5R7XA", kind="action", source="cam", name="fall", prompt="a person falls", t_start=1.0,
    t_end=2.5, peak=0.9, model="0" * 64, note="tied their shoes", filed="2026-11-22T10:00:00+00:00",
)  # fmt: skip
RECORDING = pack_recording([pack_frame(frame(n * NANOSECONDS // 30, person())) for n in range(30)], 1 << 20)


def test_what_is_filed_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "regressions"
    path = save(folder, CLIP, RECORDING)
    assert path.name == "fall-01K6Z0T3V8M4S8Q4M2N1C5R7XA.pwr"
    assert path.read_bytes() == RECORDING
    (found,), unused = read(folder)
    assert (found.clip, unused) == (CLIP, [])
    with found.open() as source:
        assert len(list(source)) == 30
    assert sorted(one.suffix for one in folder.iterdir()) == [".json", ".pwr"]
    assert json.loads(path.with_suffix(".json").read_text())["note"] == "tied their shoes"


def test_an_event_is_filed_once_unless_forced(tmp_path: Path) -> None:
    save(tmp_path, CLIP, RECORDING)
    other = msgspec.structs.replace(CLIP, note="again")
    with pytest.raises(ClipError, match="is filed already"):
        save(tmp_path, other, RECORDING)
    save(tmp_path, other, RECORDING, force=True)
    assert read(tmp_path)[0][0].clip.note == "again"


@pytest.mark.parametrize(
    ("changes", "recording", "message"),
    [
        ({"event": "../x"}, RECORDING, "expected 1 to 64 of the characters"),
        ({"name": "a/b"}, RECORDING, "expected 1 to 64 of the characters"),
        ({}, RECORDING[:-40] + b"x" * 40, "its joints are damaged"),
        ({}, b"", "its joints are damaged"),
        ({}, pack_recording([pack_frame(frame(0)), pack_frame(frame(1))], 1 << 20), "nobody is in its joints"),
    ],
)
def test_what_cannot_be_used_is_not_filed(tmp_path: Path, changes: dict, recording: bytes, message: str) -> None:
    with pytest.raises(ClipError, match=message):
        save(tmp_path, msgspec.structs.replace(CLIP, **changes), recording)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ClipError, match=r"file: cannot be written \(File exists\)"):
        save(tmp_path / "file", CLIP, RECORDING)


def test_notes_that_cannot_be_used_are_told_of(tmp_path: Path) -> None:
    save(tmp_path, CLIP, RECORDING)
    good = (tmp_path / f"{CLIP.stem}.json").read_bytes()
    (tmp_path / "lonely.json").write_bytes(good)
    (tmp_path / "broken.json").write_bytes(good[:50])
    (tmp_path / "other.json").write_text('{"format": "something else"}')
    (tmp_path / "half.pwr").write_bytes(RECORDING)  # without a note it is not there yet
    found, unused = read(tmp_path)
    assert len(found) == 1
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in unused] == ["broken.json", "lonely.pwr", "other.json"]


def test_no_folder_is_no_clips(tmp_path: Path) -> None:
    assert read(None) == read(tmp_path / "none") == ([], [])
