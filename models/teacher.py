"""A published Shift-GCN read from a file, and what it says of clips.

Its weights are CC BY-NC 4.0 and are not part of the project: the user fetches them.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from models.errors import CheckpointError
from models.shiftgcn import FEATURES, ShiftGCN
from models.tensors import check_tensors

Float32Array = NDArray[np.float32]
MAX_BYTES = 64 * 2**20
"""Larger files are refused unread."""
MAX_CLASSES = 10_000
MAX_DELAY = 64.0
"""Frames; a temporal shift beyond this is damage."""
ROWS = 1024
"""Frames that are computed at once: enough to keep matrix products busy, few enough to stay in a core's cache."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the network says of N clips.

    Attributes:
        posterior: (N, K) float32, probabilities of its K classes.
        features: (N, 256) float32, what they are computed from.
    """

    posterior: Float32Array
    features: Float32Array


class Teacher:
    """A Shift-GCN that answers.

    Args:
        network: its weights loaded.
        digest: sha256 of the file that they came from.
        bf16: whether to compute in bfloat16, about twice as fast where the CPU has AMX.
        device: of torch.
    """

    def __init__(self, network: ShiftGCN, digest: str, *, bf16: bool = True, device: str = "cpu") -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.digest = digest
        self._bf16, self._device = bf16, device
        # glibc returns large freed blocks to the system, and faults their pages in again for the next layer, until it
        # has once seen a block as large freed: this one doubles the speed.
        torch.empty(31 * 2**20, dtype=torch.uint8)

    @classmethod
    def load(cls, path: Path, *, bf16: bool = True, device: str = "cpu") -> Self:
        """Read weights.

        Args:
            path: the authors' .pt, or the same tensors as .npz or .safetensors.

        Raises:
            CheckpointError: the file is missing, of another kind, or does not fit the network.
        """
        tensors = read_tensors(path)
        return cls(network_of(tensors, str(path)), sha256(path.read_bytes()).hexdigest(), bf16=bf16, device=device)

    @property
    def classes(self) -> int:
        """K, the number of its classes."""
        return self.network.fc.out_features

    def judge(self, clips: Sequence[Float32Array]) -> Opinion:
        """Classify clips; equal lengths are computed together, and no clip's result depends on the others.

        Args:
            clips: N arrays (3, T, V=25, M=2) as from `models.ntu.prepare`; T may differ.
        """
        by_length: dict[int, list[int]] = defaultdict(list)
        for i, clip in enumerate(clips):
            by_length[clip.shape[1]].append(i)
        features = torch.zeros(len(clips), FEATURES)
        for length, rows in by_length.items():
            step = max(1, ROWS // length)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                x = torch.from_numpy(np.stack([clips[i] for i in part])).to(self._device)
                with torch.inference_mode(), torch.autocast(self._device, torch.bfloat16, enabled=self._bf16):
                    feature = self.network.features(x)
                features[part] = feature.cpu()
        with torch.inference_mode():
            logits = self.network.fc(features.to(self._device)).cpu()
        return Opinion(logits.softmax(1).numpy(), features.numpy())


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a .npz, .safetensors or (legacy) .pt file; code in a pickle is not run.

    Raises:
        CheckpointError: it is missing, too large, or not such a file.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    if size > MAX_BYTES:
        raise CheckpointError(f"{path}: {size} bytes; expected at most {MAX_BYTES}")
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as packed:
                unpacked = sum(entry.file_size for entry in packed.infolist())
            if unpacked > MAX_BYTES:
                raise CheckpointError(f"{path}: {unpacked} bytes unpacked; expected at most {MAX_BYTES}")
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if path.suffix in (".pt", ".pth"):
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # what torch warns of (other pickle protocols) ends as an error or is fine
                state = torch.load(path, map_location="cpu", weights_only=True)
            return {str(name): value.numpy() for name, value in state.items()}
    except (
        OSError, ValueError, EOFError, RuntimeError, AttributeError, TypeError, KeyError,
        zipfile.BadZipFile, pickle.UnpicklingError, SafetensorError,
    ) as error:  # fmt: skip
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise CheckpointError(f"{path}: not a {path.suffix} file of tensors ({reason})") from error
    raise CheckpointError(f"{path}: ends in {path.suffix!r}; expected .npz, .safetensors, .pt or .pth")


def network_of(tensors: dict[str, NDArray[Any]], where: str) -> ShiftGCN:
    """The network that has exactly these tensors.

    Args:
        tensors: by the published names.
        where: named in errors.

    Raises:
        CheckpointError: a tensor lacks, is unknown, of another shape or kind, not finite, or makes no sense.
    """
    last = tensors.get("fc.bias")
    if last is None or last.ndim != 1 or not 1 <= len(last) <= MAX_CLASSES:
        raise CheckpointError(f"{where}: has no 'fc.bias' of 1 to {MAX_CLASSES} classes; expected a Shift-GCN")
    network = ShiftGCN(len(last))
    check_tensors(network, tensors, where)
    for name, value in tensors.items():
        if name.endswith(("gcn1.shift_in", "gcn1.shift_out")) and (np.sort(value) != np.arange(len(value))).any():
            raise CheckpointError(f"{where}: {name} is no permutation of its {len(value)} places")
        if name.endswith(".xpos") and np.abs(value).max() > 1e-6:
            raise CheckpointError(f"{where}: {name} is not near 0; a learned shift over joints is not supported")
        if name.endswith(".ypos") and np.abs(value).max() > MAX_DELAY:
            raise CheckpointError(f"{where}: {name} goes beyond {MAX_DELAY} frames")
        if name.endswith("running_var") and (value < 0).any():
            raise CheckpointError(f"{where}: {name} holds negative variances")
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    return network
