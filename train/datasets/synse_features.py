"""SynSE's published feature files: what its encoder, trained for each split, makes of NTU RGB+D.

A folder, "shift_5_r" for instance, holds train.npy (N, 256) of the seen classes, ztest.npy of the unseen classes'
test clips and gtest.npy of all test clips, with train_label.npy, z_label.npy and g_label.npy, the classes from 0. Its
twin, "shift_val_5_r", comes of an encoder that has not seen some of the seen classes either: ztest.npy is of those,
val.npy and val_label.npy are of the others; a gate is fitted on it. Source: Gupta et al., "Syntactically guided
generative embeddings for zero-shot skeleton action recognition", ICIP 2021, the README and data loader of its released
code; SA-DVAE (ECCV 2024) publishes files of the same kind, of PKU-MMD too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.methods.method import FEATURES
from train.datasets.archive import UNREADABLE, DataError
from train.datasets.splits import Split
from train.papers.divide import sample_of_each_class
from train.papers.parts import Division, Part


def read_features(folder: Path, classes: Sequence[str], split: Split, seed: int = 0) -> Division:
    """The features of a split.

    Args:
        folder: holds train.npy, ztest.npy, gtest.npy and their labels.
        classes: names of all classes of the dataset.
        split: the split that the encoder was trained for.
        seed: of the tenth of each class's training clips that validates: who is in them is not published.

    Returns:
        A division of features (N, 256), by the people of the cross-subject protocol; its `rehearsal` is of the twin,
        where a folder of the twin's name lies beside this one.

    Raises:
        DataError: a file is missing, or is not what it should be.
        SplitError: the split is not of these classes.
    """
    unseen = split.places(classes)
    seen = tuple(place for place in range(len(classes)) if place not in unseen)
    test = _read(folder, "gtest", "g_label", range(len(classes)))
    unseen_test = _read(folder, "ztest", "z_label", unseen)
    test_seen = _keep(test, np.isin(test.labels, seen))
    division = _division(folder, classes, split, seen, unseen, test_seen, unseen_test, seed)
    if not (twin := twin_of(folder)).is_dir():
        return division
    return replace(division, rehearsal=read_held_out_features(twin, classes, split, seed))


def twin_of(folder: Path) -> Path:
    """Where the twin of a folder would be: "shift_val_5_r" beside "shift_5_r"."""
    folder = folder.resolve()
    encoder, _, rest = folder.name.partition("_")
    return folder.with_name(f"{encoder}_val_{rest}")


def read_held_out_features(folder: Path, classes: Sequence[str], split: Split, seed: int = 0) -> Division:
    """The features of the twin of a split, in which some of the seen classes play the unseen ones.

    Args and raises as `read_features`, but `folder` holds val.npy and val_label.npy in place of gtest.npy.

    Returns:
        A division without clips of the split's unseen classes; its `unseen` are those that z_label.npy has.
    """
    unseen = split.places(classes)
    held_out = _read(folder, "ztest", "z_label", [place for place in range(len(classes)) if place not in unseen])
    held = tuple(np.unique(held_out.labels).tolist())
    seen = tuple(place for place in range(len(classes)) if place not in unseen and place not in held)
    return _division(folder, classes, split, seen, held, _read(folder, "val", "val_label", seen), held_out, seed)


def _division(
    folder: Path,
    classes: Sequence[str],
    split: Split,
    seen: tuple[int, ...],
    unseen: tuple[int, ...],
    test_seen: Part,
    test_unseen: Part,
    seed: int,
) -> Division:
    train = _read(folder, "train", "train_label", seen)
    validated = np.zeros(len(train), np.bool_)
    validated[sample_of_each_class(train.labels, ~validated, seed)] = True
    return Division(
        dataset=split.dataset,
        split=split.name,
        classes=tuple(classes),
        seen=seen,
        unseen=unseen,
        train=_keep(train, ~validated),
        validation=_keep(train, validated),
        test_seen=test_seen,
        test_unseen=test_unseen,
    )


def _keep(part: Part, rows: NDArray[np.bool_]) -> Part:
    return Part(part.inputs[rows], part.labels[rows])


def _read(folder: Path, name: str, label_name: str, allowed: Sequence[int]) -> Part:
    inputs = _load(folder / f"{name}.npy")
    labels = _load(path := folder / f"{label_name}.npy")
    if inputs.ndim != 2 or inputs.shape[1] != FEATURES or inputs.dtype.kind != "f" or len(inputs) == 0:
        raise DataError(
            folder / f"{name}.npy", f"{inputs.dtype} {inputs.shape}; expected features of floats (N, {FEATURES})"
        )
    if labels.shape != (len(inputs),) or labels.dtype.kind not in "iu":
        raise DataError(path, f"{labels.dtype} {labels.shape}; expected classes, integers ({len(inputs)},)")
    if not np.isfinite(inputs).all():
        raise DataError(folder / f"{name}.npy", "has NaN or infinity; expected finite features")
    if wrong := sorted(set(labels.tolist()) - set(allowed)):
        raise DataError(path, f"has class {wrong[0]}, which is none of those {name}.npy is of; is it another split's?")
    return Part(inputs.astype(np.float32, copy=False), labels.astype(np.int64))


def _load(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise DataError(path, "not found; expected one of SynSE's feature files")
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise DataError(path, f"cannot be read ({reason}); expected an array as numpy.save writes it") from error
    if not isinstance(array, np.ndarray):
        raise DataError(path, "not an array; expected one as numpy.save writes it")
    return array
