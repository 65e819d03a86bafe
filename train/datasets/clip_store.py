"""A folder that keeps a `ClipSet` made of raw files: read once, clip by clip, and mapped from disk ever after.

`clips.npy` (N, 3, 50, 25, 2) float32 grows by appending; `journal` has one line for each source that is done, written
only after its clips are on disk, so that a build that was killed goes on after the last line; `index.npz` has the rest
of the `ClipSet` and is written last, by rename: a folder without it is unfinished. `left_out.txt` says which clips are
missing, and why.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256
from pathlib import Path

import numpy as np

from models.whole_file import write_whole
from train.datasets.archive import UNREADABLE, DataError
from train.datasets.clip_journal import CLIPS, JOURNAL, Report, fill, header, locked, read_journal
from train.datasets.clip_set import ClipSet
from train.datasets.clip_sources import SHAPE, Read, Source, outcomes

VERSION = 1
"""Of everything between a raw file and its clips; raise it when they change, and stores are built anew."""
INDEX, LEFT_OUT = "index.npz", "left_out.txt"
COLUMNS = ("subjects", "cameras", "setups", "names")
log = logging.getLogger(__name__)


def build(
    folder: Path,
    empty: ClipSet,
    sources: Sequence[Source],
    read: Read,
    *,
    digest: str | None = None,
    left_out: Mapping[str, str] | None = None,
    workers: int = 1,
    report: Report | None = None,
) -> ClipSet:
    """Open the store of these sources, filling it first as far as it is not yet filled.

    Args:
        folder: of the store; made if missing. One of other sources, or of an older `VERSION`, is built anew.
        empty: name and classes of the set; its other fields are not read.
        sources: all files, in the order of the clips to be.
        read: how to read them.
        digest: what tells these sources from others, where it is to be known before the sources are; see `open_store`.
        left_out: clips that are not in `sources`, and why; only told of.
        workers: processes that read; 1 reads in this one.
        report: where progress goes.

    Returns:
        The clips as a read-only memory map.

    Raises:
        DataError: no clip is left, the disk fails, or another process is filling the store.
    """
    digest = digest_of(empty, sources) if digest is None else digest
    if (ready := open_store(folder, digest)) is not None:
        return ready
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            (folder / INDEX).unlink(missing_ok=True)
            fill(folder, digest, sources, outcomes(read, sources, workers), report)
            _finish(folder, digest, empty, sources, left_out or {})
            return _open(folder)[0]
    except BrokenProcessPool as error:
        raise DataError(folder, "a reading process died; build again to go on where it was") from error
    except OSError as error:
        raise DataError(folder, f"cannot be written ({error.strerror}); expected a folder to keep clips in") from error


def empty_set(name: str, classes: Sequence[str]) -> ClipSet:
    """A set of no clips: what `build` wants to know of the set to be."""
    none = np.empty(0, np.str_)
    return ClipSet(name, tuple(classes), np.empty((0, *SHAPE), np.float32), np.empty(0, np.int64), *[none] * 4)


def open_store(folder: Path, digest: str) -> ClipSet | None:
    """The clips of a finished store; None where it is unfinished, damaged, or of another digest.

    Args:
        folder: of the store.
        digest: as `digest_of` has it of its sources.
    """
    if not (folder / INDEX).exists():
        return None
    try:
        clips, found = _open(folder)
    except DataError as error:
        log.warning("%s; building it anew", error)
        return None
    if found != digest:
        log.warning("%s: made of other files, or by an older version; building it anew", folder)
        return None
    return clips


def digest_of(empty: ClipSet, sources: Sequence[Source]) -> str:
    """Tells sources, and the set that is made of them, from others: by names and sizes."""
    found = sha256(json.dumps([VERSION, empty.name, empty.classes]).encode())
    for source in sources:
        items = [[i.name, i.label, i.subject, i.camera, i.setup, i.span] for i in source.items]
        found.update(json.dumps([source.path.name, source.size, items]).encode())
    return found.hexdigest()


def _finish(folder: Path, digest: str, empty: ClipSet, sources: Sequence[Source], left_out: Mapping[str, str]) -> None:
    done, kept, _ = read_journal(folder, digest, sources)
    items = [item for source in sources for item in source.items]
    reasons = [reason for one in done for reason in one]
    kept_items = [item for item, reason in zip(items, reasons, strict=True) if reason is None]
    lost = {item.name: reason for item, reason in zip(items, reasons, strict=True) if reason is not None}
    if not kept_items:
        for name in (CLIPS, JOURNAL):
            (folder / name).unlink()
        why = next(iter([*lost.values(), *left_out.values()]), "there is none")
        raise DataError(folder, f"none of {len(lost) + len(left_out)} clips can be used; the first: {why}")
    with (folder / CLIPS).open("r+b") as clips:
        clips.write(header(kept))
        clips.flush()
        os.fsync(clips.fileno())
    lost = {**left_out, **lost}
    _replace(folder / LEFT_OUT, "".join(f"{name}: {reason}\n" for name, reason in lost.items()).encode())
    strings = {
        "subjects": [item.subject for item in kept_items],
        "cameras": [item.camera for item in kept_items],
        "setups": [item.setup for item in kept_items],
        "names": [item.name for item in kept_items],
        "name": empty.name,
        "classes": empty.classes,
        "digest": digest,
    }
    data = io.BytesIO()
    arrays = {key: np.array(value, np.str_) for key, value in strings.items()}
    np.savez(data, labels=np.array([item.label for item in kept_items], np.int64), **arrays)
    _replace(folder / INDEX, data.getvalue())
    (folder / JOURNAL).unlink()
    log.info("%s: %d clips, %d left out (see %s)", folder, kept, len(lost), LEFT_OUT)


def _replace(path: Path, data: bytes) -> None:
    write_whole(path, data, sync=True)


def _open(folder: Path) -> tuple[ClipSet, str]:
    path = folder / INDEX
    if not path.exists():
        raise DataError(folder, f"no {INDEX}; expected a finished store of clips")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as index:
            labels, texts = index["labels"], {key: index[key] for key in ("name", "classes", "digest", *COLUMNS)}
        clips = np.load(folder / CLIPS, mmap_mode="r", allow_pickle=False)
    except (*UNREADABLE, KeyError) as error:
        raise DataError(folder, f"cannot be read ({error}); expected a finished store of clips") from error
    columns = [texts[key] for key in COLUMNS]
    if clips.shape != (len(labels), *SHAPE) or clips.dtype != "<f4" or any(len(c) != len(labels) for c in columns):
        raise DataError(folder, f"{CLIPS} is {clips.dtype} {clips.shape}; expected {len(labels)} clips as in {INDEX}")
    return ClipSet(str(texts["name"]), tuple(texts["classes"].tolist()), clips, labels, *columns), str(texts["digest"])
