"""Clips appended to a file, and a journal of what is done: a kill costs only what came after the last flush.

The journal is text: a digest of the sources, then for each source that is done a JSON list with an entry for each of
its clips, null where it was kept, else why it was left out. It is written only after the clips are on disk.
"""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from train.datasets.archive import DataError
from train.datasets.clip_sources import SHAPE, Outcome, Source, size_of

CLIPS, JOURNAL = "clips.npy", "journal"
CLIP_BYTES = int(np.prod(SHAPE)) * 4
FLUSH_EVERY = 256
"""Sources between two flushes: what a kill costs at most."""
Report = Callable[[int, int], None]
"""Told how many clips are done, of how many."""
log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only process that fills a folder, or raise `DataError`."""
    with (folder / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(folder, "another process is filling it; expected to be the only one") from None
        yield


def fill(
    folder: Path,
    digest: str,
    sources: Sequence[Source],
    reading: Callable[[int], Iterator[Outcome]],
    report: Report | None,
) -> None:
    """Append the clips of the sources that are not done yet.

    Args:
        folder: has the clips and the journal; they are begun anew where they are of other sources.
        digest: of the sources.
        sources: all of them.
        reading: the outcomes of the sources from a place on, see `train.datasets.clip_sources.outcomes`.
        report: where progress goes.

    Raises:
        OSError: the disk fails.
    """
    done, kept, good = read_journal(folder, digest, sources)
    total, count = sum(len(source.items) for source in sources), sum(map(len, done))
    if report is not None:
        report(count, total)
    if not good:
        (folder / CLIPS).unlink(missing_ok=True)  # not emptied: another process may have it mapped
    # "a+b" makes the files; both end where the last flush that was journalled ended.
    with (folder / CLIPS).open("a+b") as clips, (folder / JOURNAL).open("a+b") as journal:
        empty = header(0)
        clips.truncate(len(empty) + kept * CLIP_BYTES if good else 0)
        journal.truncate(good)
        if not good:
            clips.write(empty)
            journal.write(digest.encode() + b"\n")
        lines: list[bytes] = []
        for place, outcome in enumerate(reading(len(done)), len(done)):
            for item, clip in zip(sources[place].items, outcome, strict=True):
                if isinstance(clip, str):
                    log.warning("%s left out: %s", item.name, clip)
                else:
                    clips.write(np.ascontiguousarray(clip, "<f4").tobytes())
            count += len(outcome)
            lines.append(json.dumps([clip if isinstance(clip, str) else None for clip in outcome]).encode() + b"\n")
            if len(lines) >= FLUSH_EVERY:
                _flush(clips, journal, lines)
            if report is not None:
                report(count, total)
        _flush(clips, journal, lines)


def _flush(clips: BinaryIO, journal: BinaryIO, lines: list[bytes]) -> None:
    """Clips first: a line in the journal promises that its clips are on disk."""
    clips.flush()
    os.fsync(clips.fileno())
    journal.write(b"".join(lines))
    journal.flush()
    os.fsync(journal.fileno())
    lines.clear()


def read_journal(folder: Path, digest: str, sources: Sequence[Source]) -> tuple[list[list[str | None]], int, int]:
    """For each source that is done why its clips are left out (None: kept); how many are kept; bytes of good journal.

    All zero where it is of other sources, or promises more than there is.
    """
    path = folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if not lines or lines[0] != digest.encode() + b"\n":
        return [], 0, 0
    done: list[list[str | None]] = []
    good = len(lines[0])
    for line, source in zip(lines[1:], sources, strict=False):
        reasons = _reasons(line, len(source.items))
        if reasons is None:
            break
        done.append(reasons)
        good += len(line)
    kept = sum(reason is None for reasons in done for reason in reasons)
    if size_of(folder / CLIPS) < len(header(0)) + kept * CLIP_BYTES:
        return [], 0, 0
    return done, kept, good


def _reasons(line: bytes, count: int) -> list[str | None] | None:
    """A line of the journal, or None where a kill cut it short."""
    if not line.endswith(b"\n"):
        return None
    try:
        reasons = json.loads(line)
    except ValueError:
        return None
    return reasons if isinstance(reasons, list) and len(reasons) == count else None


def header(count: int) -> bytes:
    """Of an .npy file of so many clips: numpy leaves room for the count to grow, so that its length is always one."""
    data = io.BytesIO()
    npy.write_array_header_1_0(data, {"descr": "<f4", "fortran_order": False, "shape": (count, *SHAPE)})  # type: ignore[no-untyped-call]
    return data.getvalue()
