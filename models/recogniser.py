"""A loaded model: windows in, unit features in the text space out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.checkpoint import KnownAction, Manifest
from models.errors import CheckpointError, ModelError
from models.graph import JOINTS
from models.preprocess import preprocess
from models.stgcn import TextAlignedSTGCN
from models.tensors import check_tensors

Float32Array = NDArray[np.float32]
ARCHITECTURES: dict[str, type[nn.Module]] = {"stgcn": TextAlignedSTGCN}
"""Networks by name; each maps (N, 3, T, V) to unit vectors (N, D) and takes `text_dim`."""


class Recogniser:
    """Encodes windows with a trained network. Use `models.checkpoint.load` to make one.

    Not thread safe; sets no number of threads (that is the process's business).

    Args:
        manifest: what the model is.
        weights: the network's state.
        text: shipped text vectors.
        device: "auto", "cpu" or "cuda".
        where: named in errors.

    Attributes:
        rate_hz, frames: rate and length T of the windows that it takes.
        text_model, text_dim: name and dimension of the text model that features are compared with.
        temperature, enter, exit: see `models.checkpoint.Manifest`.
        bank, background: the actions that it knows, and the texts of what is no news.
        text: shipped text vectors, (D,) float32 each.
        digest: sha256 of the weights.
        device: where it runs, "cpu" or "cuda".

    Raises:
        CheckpointError: weights do not fit the architecture, or are not finite.
        ModelError: the device is not there.
    """

    def __init__(
        self,
        manifest: Manifest,
        weights: Mapping[str, NDArray[Any]],
        text: Mapping[str, Float32Array],
        *,
        device: str = "auto",
        where: str = "weights",
    ) -> None:
        self.rate_hz, self.frames = manifest.rate_hz, manifest.frames
        self.text_model, self.text_dim = manifest.text_model, manifest.text_dim
        self.temperature, self.enter, self.exit = manifest.temperature, manifest.enter, manifest.exit
        self.bank: tuple[KnownAction, ...] = manifest.bank
        self.background = manifest.background
        self.text = dict(text)
        self.digest = manifest.weights_sha256
        self.manifest = manifest
        self.device = _device(device)
        network = _build(manifest, where)
        check_tensors(network, weights, where)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        self._network = network.eval().requires_grad_(False).to(self.device)

    def encode(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        """Encode windows.

        Args:
            x: (N, 3, T, V) float32, metres in camera axes, canonical layout, at `rate_hz`.
            mask: (N, T, V) float32, confidence; 0 where nothing was seen.

        Returns:
            (N, D) float32, unit norm.

        Raises:
            ValueError: the shapes do not fit.
        """
        if x.shape[1:] != (3, self.frames, len(JOINTS)) or mask.shape != (len(x), self.frames, len(JOINTS)):
            raise ValueError(f"expected windows (N, 3, {self.frames}, {len(JOINTS)}), got {x.shape} and {mask.shape}")
        if len(x) == 0:
            return np.zeros((0, self.text_dim), np.float32)
        normalised = preprocess(x, mask, self.manifest.preprocess)
        with torch.inference_mode():
            z = self._network(torch.from_numpy(normalised).to(self.device))
            features: Float32Array = z.float().cpu().numpy()
        return features


def _device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise ModelError(f"device {name!r}: expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("device 'cuda': torch sees no CUDA device here; use auto or cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def _build(manifest: Manifest, where: str) -> nn.Module:
    kind = ARCHITECTURES.get(manifest.architecture)
    if kind is None:
        raise CheckpointError(f"{where}: architecture {manifest.architecture!r}; known: {', '.join(ARCHITECTURES)}")
    if manifest.arguments.get("text_dim", manifest.text_dim) != manifest.text_dim:
        raise CheckpointError(f"{where}: text_dim {manifest.arguments['text_dim']} is not that of the text model")
    try:
        return kind(**{**manifest.arguments, "text_dim": manifest.text_dim})
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{where}: arguments {manifest.arguments} do not fit {manifest.architecture} ({error})"
        ) from error
