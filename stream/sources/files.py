"""Finding recorded skeleton files and telling their formats."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from stream.errors import SourceError
from stream.sources.base import RecordedSource
from stream.sources.bvh import Bvh
from stream.sources.kinect_v1_csv import KinectV1Csv
from stream.sources.kinect_v2_csv import KinectV2Csv
from stream.sources.ntu import NtuSkeleton
from stream.sources.pku import PkuText
from stream.sources.recording import RecordingSource
from stream.sources.text_lines import opened

SUFFIXES = (".skeleton", ".csv", ".txt", ".bvh", ".pwr")
"""Suffixes of the recorded skeleton files that posewire reads."""

_PAPERWORK = re.compile(r"(licen[cs]e|readme|notice|copying|changelog|authors|requirements)", re.IGNORECASE)
_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_DEFAULT_FPS = 30.0
MAX_FPS = 1000
_SNIFF = 256


def expand(paths: Iterable[str | Path]) -> list[Path]:
    """Files from files, folders and globs (`**` too), in the order given and sorted within each, none twice.

    A folder or glob gives the files with a known suffix below it, but for licences and the like; a file that is named
    itself is always taken.

    Raises:
        SourceError: nothing is there, or nothing in it is a skeleton file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found |= dict.fromkeys(_expand(Path(path)))
    return list(found)


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(_below(path))
        if not files:
            raise SourceError(path, f"no skeleton file in this folder; expected {' '.join(SUFFIXES)}")
        return files
    if path.exists() or not glob.has_magic(str(path)):
        if not path.exists():
            raise SourceError(path, "no such file or folder; expected a skeleton file, a folder or a glob of them")
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    files = sorted(
        {file for match in matches for file in (_below(match) if match.is_dir() else [match]) if _fits(file)}
    )
    if not files:
        raise SourceError(path, f"matches no skeleton file; expected {' '.join(SUFFIXES)}")
    return files


def _below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (file for name in names if _fits(file := Path(place, name)))


def _fits(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not _PAPERWORK.match(file.name) and file.is_file()


def source_names(paths: Iterable[Path]) -> list[str]:
    """A name for each file from its stem, unique, of letters, digits, `_`, `.` and `-` only: names go into topics."""
    taken: set[str] = set()
    names = []
    for path in paths:
        stem = name = _NAME.sub("_", path.stem)[:64] or "source"
        number = 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def open_source(path: str | Path, name: str | None = None, fps: float | None = None) -> RecordedSource:
    """The source that reads this file, told by its suffix and first bytes; not opened yet.

    Args:
        path: a recorded skeleton file.
        name: the source's name; from the file's stem where not given.
        fps: frames a second, for formats without times (30 where not given; BVH's own).

    Raises:
        SourceError: there is no such file, its format is not known, or `fps` is out of range.
    """
    path = Path(path)
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise SourceError(path, f"{fps:g} frames a second; expected more than 0 and at most {MAX_FPS}")
    with opened(path) as stream:
        head = stream.read(_SNIFF)
    if name is None:
        name = source_names([path])[0]
    rate = _DEFAULT_FPS if fps is None else fps
    match _format(path, head):
        case "ntu":
            return NtuSkeleton(path, name, rate)
        case "pku":
            return PkuText(path, name, rate)
        case "kinect_v1":
            return KinectV1Csv(path, name, rate)
        case "kinect_v2":
            return KinectV2Csv(path, name)
        case "bvh":
            return Bvh(path, name, fps)
        case "recording":
            return RecordingSource(path, name)
    raise SourceError(
        path,
        f"unknown format {path.suffix or 'without a suffix'}; expected NTU RGB+D .skeleton, Kinect v1 or v2 .csv, "
        "PKU-MMD .txt, .bvh or a posewire recording .pwr",
    )


def _format(path: Path, head: bytes) -> str | None:
    if head.startswith(b"\x89PWR"):
        return "recording"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"HIERARCHY"):
        return "bvh"
    kinds = {".skeleton": "ntu", ".txt": "pku", ".bvh": "bvh", ".pwr": "recording"}
    if path.suffix.lower() == ".csv":
        return "kinect_v1" if b";" in head else "kinect_v2"
    return kinds.get(path.suffix.lower())
