"""The file of what is normal: safetensors, bound to the encoder whose features it was learnt from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as format_safetensors

from models.errors import ModelError
from models.normal import NormalModel

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise NormalError(f"{path}: cannot be written ({error.strerror}); expected a place to write to") from error


def load_normals(path: Path, encoder: str) -> dict[str, NormalModel]:
    """Read the models of a file, by name.

    Raises:
        NormalError: it is missing, too large, damaged, or was learnt with another encoder; the message is one line.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise NormalError(f"{path}: {size} bytes; expected at most {MAX_BYTES}")
        with safe_open(path, framework="np") as file:
            *kind, owner = (file.metadata() or {}).get(KEY, "").split(" ")
            found: dict[str, dict[str, NDArray[Any]]] = {}
            if " ".join(kind) == FORMAT:
                for key in file.keys():  # noqa: SIM118  # it is no mapping
                    name, _, part = key.rpartition("/")
                    found.setdefault(name, {})[part] = file.get_tensor(key)
    except OSError as error:
        raise NormalError(f"{path}: cannot be read ({error.strerror}); expected a file of what is normal") from error
    except (SafetensorError, ValueError) as error:
        raise NormalError(f"{path}: not a safetensors file ({' '.join(str(error).split())[:200]})") from error
    if " ".join(kind) != FORMAT:
        raise NormalError(f"{path}: not a file of what is normal; expected the format {FORMAT!r}")
    if owner != encoder:
        raise NormalError(f"{path}: was learnt with another model")
    try:
        return {name: NormalModel.of_tensors(tensors) for name, tensors in found.items()}
    except ValueError as error:
        raise NormalError(f"{path}: damaged, {error}; expected what `posewire calibrate normal` writes") from error
