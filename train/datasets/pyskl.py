"""pyskl's pickles of NTU RGB+D (ntu60_3danno.pkl, ntu120_3danno.pkl), read without running what a pickle may hold.

A pickle is a program. Of the few names that a pickle of arrays needs, none is looked up in its module: each stands for
a function of ours that makes an array of plain numbers from bytes; any other name is refused. Format: pyskl's
tools/data/README.md: a dictionary of `split` and `annotations`, these with `frame_dir`, `label`, `total_frames` and
`keypoint` (M, T, V, C). pyskl stores coordinates in 16 bits: at 4 m they are rounded to 4 mm.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from train.datasets.archive import DataError
from train.datasets.clip_journal import Report
from train.datasets.clip_set import ClipSet
from train.datasets.clip_sources import Item, Raw, Source, V, size_of
from train.datasets.clip_store import build, digest_of, empty_set, open_store
from train.datasets.described import PUBLISHED, class_names
from train.datasets.ntu_tree import Tracked, main_bodies

NAME = re.compile(r"(S\d{3})(C\d{3})(P\d{3})R\d{3}A(\d{3})")
NUMBERS = re.compile(r"[<>|=]?[fiu][1248]|[|]?b1")
"""Types of arrays that hold numbers and nothing else."""
FAILURES = (
    pickle.UnpicklingError, OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    MemoryError, RuntimeError, ImportError,
)  # fmt: skip
"""What unpickling damaged files raises."""


def read_pyskl(path: Path, name: Literal["ntu60", "ntu120"], store: Path, *, report: Report | None = None) -> ClipSet:
    """The clips of one of pyskl's 3-D pickles, kept in a store: see `train.datasets.clip_store.build`.

    A pickle is read whole, once: at its peak it takes about the file's size of memory.

    Args:
        path: the file; one of the same name and size is taken for the same.
        name: what it is of.
        store: folder of the store.
        report: where progress goes.

    Returns:
        Clips in the file's order, as `train.datasets.ntu_tree` makes them of the same joints, with subjects such as
        "P001", cameras "C001" and setups "S001".

    Raises:
        DataError: it is no such pickle, holds anything but arrays of numbers in containers, holds 2-D poses, nobody is
            seen in any clip, or the store cannot be written.
    """
    if not path.is_file():
        raise DataError(path, "not found; expected a pickle of pyskl, such as ntu60_3danno.pkl")
    empty = empty_set(name, class_names(name))
    digest = digest_of(empty, [Source(path, size_of(path), ())])
    if (ready := open_store(store, digest)) is not None:
        return ready
    keypoints: dict[str, NDArray[Any]] = {}
    sources, left_out = [], {}
    for place, annotation in enumerate(_annotations(path), 1):
        if annotation is None:  # what pyskl writes for a file without bodies
            left_out[f"annotation {place}"] = "no body in any frame"
            continue
        item, joints = _clip(path, annotation, place, name)
        if item.name in keypoints:
            raise DataError(path, f"{item.name}: has two annotations; expected one of each clip")
        keypoints[item.name] = joints
        sources.append(Source(path, 0, (item,)))

    def read(source: Source) -> list[Raw | str]:
        joints = keypoints[source.items[0].name]
        return [main_bodies(_bodies(joints), joints.shape[1])]

    return build(store, empty, sources, read, digest=digest, left_out=left_out, report=report)


def _annotations(path: Path) -> list[Any]:
    try:
        with path.open("rb") as file:
            content = _Unpickler(path, file).load()
    except FAILURES as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise DataError(path, f"cannot be read ({reason}); expected a pickle of pyskl") from error
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list) or not annotations:
        raise DataError(path, "has no list of annotations; expected pyskl's dictionary of split and annotations")
    return annotations


def _clip(path: Path, annotation: object, place: int, name: str) -> tuple[Item, NDArray[Any]]:
    """The clip of an annotation, and its joints (M, T, 25, 3)."""
    where = f"annotation {place}"
    if not isinstance(annotation, dict):
        raise DataError(path, f"{where}: not a dictionary; expected frame_dir, label, total_frames and keypoint")
    clip_name, label, joints = (annotation.get(key) for key in ("frame_dir", "label", "keypoint"))
    joints = joints.array if isinstance(joints, _Array) else joints
    if not isinstance(clip_name, str) or not (match := NAME.fullmatch(clip_name)):
        raise DataError(path, f"{where}: frame_dir is {str(clip_name)[:40]!r}; expected one like S001C001P001R001A001")
    if isinstance(joints, np.ndarray) and joints.ndim == 4 and joints.shape[3] == 2:
        raise DataError(path, f"{clip_name}: poses in an image (2-D); expected 3-D, as in ntu60_3danno.pkl")
    if not isinstance(joints, np.ndarray) or joints.ndim != 4 or joints.shape[2:] != (V, 3):
        found = joints.shape if isinstance(joints, np.ndarray) else type(joints).__name__
        raise DataError(path, f"{clip_name}: keypoint is {found}; expected numbers (M, T, {V}, 3)")
    if not isinstance(label, int) or label != int(match[4]) - 1 or not 0 <= label < PUBLISHED[name][1]:
        raise DataError(path, f"{clip_name}: label {str(label)[:20]} of {name}; expected its A-number less 1, from 0")
    return Item(clip_name, label, match[3], match[2], match[1]), joints


def _bodies(joints: NDArray[Any]) -> list[Tracked]:
    """Those of (M, T, 25, 3) who are there in some frame."""
    with np.errstate(invalid="ignore", over="ignore"):  # what does not fit into float32 becomes infinite: not seen
        metres = joints.astype(np.float32)
    clean = np.where(np.isfinite(metres).all(axis=3, keepdims=True), metres, np.float32(0))
    seen = clean.any(axis=3)
    there = [(body, known, np.flatnonzero(known.any(axis=1))) for body, known in zip(clean, seen, strict=True)]
    return [Tracked(times, body[times], known[times]) for body, known, times in there if len(times)]


class _Allowed:
    """Something that a pickle may name: called, never changed."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("changes what it names")


class _Type:
    """A type of numbers."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not NUMBERS.fullmatch(code):
            raise pickle.UnpicklingError(f"an array of type {str(code)[:20]!r}; expected numbers")
        self._code, self._order = code.lstrip("<>|="), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "=") or any(entry is not None for entry in state[2:5]):
            raise pickle.UnpicklingError("an array of records; expected numbers")
        self._order = state[1]

    def array(self, data: object, shape: object, order: object) -> NDArray[Any]:
        """Numbers from their bytes."""
        if not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
            raise pickle.UnpicklingError("an array whose data are no bytes; expected numbers")
        flat: NDArray[Any] = np.frombuffer(data, np.dtype(self._order + self._code))
        return flat.reshape(shape, order="F" if order == "F" else "C")


class _Array:
    """An array that is given its content later, as pickles do."""

    __slots__ = ("array",)

    def __init__(self, *_: object) -> None:
        self.array: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        self.array = _type_of(kind).array(data, shape, "F" if fortran else "C")


def _type_of(kind: object) -> _Type:
    if not isinstance(kind, _Type):
        raise pickle.UnpicklingError("an array without a type")
    return kind


def _from_buffer(data: object, kind: object, shape: object, order: object) -> NDArray[Any]:
    return _type_of(kind).array(data, shape, order)


def _scalar(kind: object, data: object) -> Any:
    return _type_of(kind).array(data, (), "C").item()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """Bytes, as protocol 2 writes them."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in {str(encoding)[:20]!r}; expected latin1")
    return text.encode("latin-1")


_NUMPY: dict[str, Callable[..., Any]] = {"_reconstruct": _Array, "scalar": _scalar}
ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    **{(f"numpy.{core}.multiarray", name): make for core in ("core", "_core") for name, make in _NUMPY.items()},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    **{(module, name): make for module in ("builtins", "__builtin__") for name, make in
       {"set": set, "frozenset": frozenset, "bytearray": bytearray}.items()},
}  # fmt: skip
"""What a pickle of arrays names, and what is called in its place."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, path: Path, file: BinaryIO) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """What the pickle names.

        Raises:
            DataError: it is none of `ALLOWED`.
        """
        if (make := ALLOWED.get((module, name))) is None:
            raise DataError(
                self._path,
                f"refused: it names {module[:60]}.{name[:60]}; expected nothing but arrays of numbers in containers",
            )
        return _Allowed(make)
