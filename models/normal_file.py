"""The file of what is normal: safetensors, bound to the encoder whose features it was learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as format_safetensors

from models.errors import ModelError
from models.input_file import InputFileError, parse_tensors, read_limited
from models.normal import NormalModel
from models.whole_file import write_whole

FORMAT = "posewire normal 1"
KEY = "format"
"""Of the one entry of the metadata, the format and the encoder's digest: several have no order that stays."""
MAX_BYTES = 256 * 2**20
"""Of a file; larger ones are refused unread."""


class NormalError(ModelError):
    """A file of what is normal cannot be read, written, or is of another encoder."""


def save_normals(path: Path, models: Mapping[str, NormalModel], encoder: str) -> None:
    """Write models by name to one file, whole or not at all.

    Raises:
        NormalError: it cannot be written.
    """
    tensors = {
        f"{name}/{part}": np.ascontiguousarray(array)
        for name, model in models.items()
        for part, array in model.tensors().items()
    }
    data = format_safetensors(tensors, metadata={KEY: f"{FORMAT} {encoder}"})
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, data, mode=0o600)
    except OSError as error:
        raise NormalError(f"{path}: cannot be written ({error.strerror}); expected a place to write to") from error


def load_normals(path: Path, encoder: str) -> dict[str, NormalModel]:
    """Read the models of a file, by name.

    Raises:
        NormalError: it is missing, too large, damaged, or was learnt with another encoder; the message is one line.
    """
    try:
        tensors, metadata = parse_tensors(read_limited(path, MAX_BYTES, "a file of what is normal"), str(path))
    except InputFileError as error:
        raise NormalError(str(error)) from error
    *kind, owner = metadata.get(KEY, "").split(" ")
    if " ".join(kind) != FORMAT:
        raise NormalError(f"{path}: not a file of what is normal; expected the format {FORMAT!r}")
    if owner != encoder:
        raise NormalError(f"{path}: was learnt with another model")
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for key, tensor in tensors.items():
        name, _, part = key.rpartition("/")
        found.setdefault(name, {})[part] = tensor
    try:
        return {name: NormalModel.of_tensors(parts) for name, parts in found.items()}
    except ValueError as error:
        raise NormalError(f"{path}: damaged, {error}; expected what `posewire calibrate normal` writes") from error
