"""The data of an experiment, from whatever a person has of a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from stream.errors import PosewireError
from train.papers.parts import Division
from train.papers.recipes import LARGE

if TYPE_CHECKING:
    from train.datasets.clip_set import ClipSet
    from train.datasets.splits import Split

Report = Callable[[int, int], None]
"""Told how many clips are read, of how many."""
PROTOCOLS = ("xsub", "xview", "xset", "people")
NTU = "a tree of raw .skeleton files, pyskl's .pkl file, or a folder of SynSE's features"
PKU = "the folder with its skeletons and labels, or one of features in SynSE's format"
EXPECTED = {"ntu60": NTU, "ntu120": NTU, "pku1": PKU, "pku2": PKU}
FEATURE_FILES = ("train.npy", "ztest.npy", "gtest.npy", "z_label.npy")
"""What makes a folder one of SynSE's features; the twins that a gate is fitted on have no gtest.npy."""
LISTED = 8
"""Things found in a folder that a message names."""


class NoData(PosewireError):
    """There is no data of a dataset: one line that says what was expected where."""


def default_protocol(dataset: str) -> str:
    """What is meant where no protocol is given."""
    return "xsub" if dataset in LARGE else "people"


def missing(dataset: str, data: Path | None, splits: Sequence[str]) -> str | None:
    """What is needed to run the splits of a dataset; None if it is there.

    Raises:
        SplitError: there is no such split.
    """
    if data is None:
        if dataset in LARGE:
            return f"give --data {dataset}=PATH, {EXPECTED[dataset]}"
        return f"give --data PATH, a folder with clips/ and untrimmed/ that hold {dataset.replace('+', ', ')}"
    try:
        for split in splits:
            _check(dataset, data, split)
    except NoData as error:
        return str(error)
    return None


def open_division(
    dataset: str,
    data: Path,
    split: str,
    protocol: str,
    *,
    seed: int = 0,
    store: Path,
    workers: int = 1,
    report: Report | None = None,
) -> Division:
    """Divide what there is of a dataset.

    Args:
        dataset: "ntu60", "ntu120", "pku1", "pku2", a set of the data folder, or several joined with "+".
        data: folder or file.
        split: as `train.datasets.splits` names them.
        protocol: of `PROTOCOLS`; features have the cross-subject one only.
        seed: of the clips held out at random.
        store: folder of all experiments; clips of raw trees and of pyskl's files are kept in it.
        workers: processes that read a raw tree.
        report: where progress of reading goes.

    Raises:
        NoData: there is none of the dataset.
        PosewireError: it cannot be read, or not be divided like that.
    """
    wanted = _check(dataset, data, split)
    if protocol not in PROTOCOLS:
        raise NoData(f"protocol {protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    if (folder := _features(dataset, data, wanted)) is not None:
        if protocol != "xsub":
            raise NoData(f"{folder}: features by the protocol xsub; expected that instead of {protocol!r}")
        from train.datasets.described import class_names
        from train.datasets.synse_features import read_features

        return read_features(folder, class_names(dataset), wanted, seed)
    from train.papers.divide import divide

    clip_set = open_clips(dataset, data, store=store, workers=workers, report=report)
    return divide(clip_set, wanted, protocol, seed)


def open_clips(dataset: str, data: Path, *, store: Path, workers: int = 1, report: Report | None = None) -> ClipSet:
    """All clips of a dataset; see `open_division`.

    Raw trees and pyskl's files are read once and kept in `store`/clips; packed sets are kept in memory for a while, for
    experiments come in rows.
    """
    if dataset not in LARGE:
        return _packed(dataset, data.resolve())
    kept = store / "clips" / dataset
    if dataset in ("ntu60", "ntu120"):
        ntu = cast('Literal["ntu60", "ntu120"]', dataset)
        if data.is_file():
            from train.datasets.pyskl import read_pyskl

            return read_pyskl(data, ntu, kept.with_name(f"{dataset}-pyskl"), report=report)
        from train.datasets.ntu_tree import read_ntu

        return read_ntu(data, ntu, kept, workers=workers, report=report)
    from train.datasets.pku_tree import read_pku

    return read_pku(data, cast('Literal["pku1", "pku2"]', dataset), kept, workers=workers, report=report)


@lru_cache(maxsize=4)
def _packed(dataset: str, data: Path) -> ClipSet:
    from train.datasets.packed import read_packed

    return read_packed(data, dataset.split("+"))


def _check(dataset: str, data: Path, split: str) -> Split:
    """The split, where there is data for it."""
    from train.datasets.packed import available
    from train.datasets.splits import split_of

    if dataset not in LARGE:
        found = available(data)
        if lacking := [name for name in dataset.split("+") if name not in found]:
            told = ", ".join([*LARGE, *found]) if found else f"{', '.join(LARGE)}; there is no set in the folder"
            raise NoData(f"{data}: no clips/{lacking[0]}.npz or untrimmed/{lacking[0]}.npz; datasets are {told}")
        return split_of(dataset, split)
    wanted = split_of(dataset, split)
    if data.is_file() and (dataset not in ("ntu60", "ntu120") or data.suffix != ".pkl"):
        raise NoData(f"{data}: a file that is not of {dataset}; expected {EXPECTED[dataset]}")
    if not data.exists():
        raise NoData(f"{data}: not found; expected {EXPECTED[dataset]}")
    if data.is_dir() and _features(dataset, data, wanted) is None:
        if folders := _feature_folders(data):
            names = ", ".join(folder.name + ("" if _labels(folder) else " unreadable") for folder in folders[:LISTED])
            raise NoData(
                f"{data}: has features of other splits ({names}); expected those of {dataset} {split}, with clips of "
                "each of its unseen classes"
            )
        if not _has_raw(data, ".skeleton" if dataset.startswith("ntu") else ".txt"):
            raise NoData(f"{data}: has no data of {dataset}; expected {EXPECTED[dataset]}")
    return wanted


def _features(dataset: str, data: Path, split: Split) -> Path | None:
    """The folder of a split's features, in a folder or below it: its unseen clips are of just the split's classes.

    One without clips of some of them is not taken: it may be of another split, which has those classes among others.
    """
    if dataset not in LARGE:
        return None
    from train.datasets.described import class_names

    unseen = set(split.places(class_names(dataset)))
    return next((folder for folder in _feature_folders(data) if _labels(folder) == unseen), None)


def _labels(folder: Path) -> set[int]:
    """Classes of the unseen clips; none where they cannot be read."""
    try:
        return set(np.load(folder / "z_label.npy", allow_pickle=False).ravel().tolist())
    except (OSError, ValueError, EOFError):
        return set()


def _feature_folders(data: Path) -> list[Path]:
    if not data.is_dir():
        return []
    return [one for one in (data, *sorted(data.iterdir())) if all((one / name).is_file() for name in FEATURE_FILES)]


def _has_raw(data: Path, suffix: str) -> bool:
    return any(name.endswith(suffix) for _, _, names in os.walk(data) for name in names)
