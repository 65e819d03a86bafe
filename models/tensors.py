"""Whether the tensors of a file are exactly those of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.errors import CheckpointError


def check_tensors(network: nn.Module, tensors: Mapping[str, NDArray[Any]], where: str) -> None:
    """Refuse tensors that are not the network's state, name by name.

    Args:
        network: what they are meant for.
        tensors: by name.
        where: named in errors.

    Raises:
        CheckpointError: a tensor lacks, is unknown, of another shape or kind, or not finite.
    """
    expected = network.state_dict()
    if lacking := sorted(expected.keys() - tensors.keys()):
        raise CheckpointError(f"{where}: lacks {len(lacking)} tensors, the first {lacking[0]!r}")
    if foreign := sorted(tensors.keys() - expected.keys()):
        raise CheckpointError(f"{where}: has {len(foreign)} tensors too many, the first {foreign[0]!r}")
    for name, value in tensors.items():
        if value.shape != tuple(expected[name].shape):
            raise CheckpointError(f"{where}: {name} is {value.shape}; expected {tuple(expected[name].shape)}")
        if (value.dtype.kind == "f") != expected[name].is_floating_point() or value.dtype.kind not in "fiu":
            raise CheckpointError(f"{where}: {name} is of {value.dtype}; expected {expected[name].dtype}")
        if not np.isfinite(value).all():
            raise CheckpointError(f"{where}: {name} holds numbers that are not finite")
