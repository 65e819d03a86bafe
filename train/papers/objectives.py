"""What the recipes minimise: labels of seen classes, a method on features, or encoder and method together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.methods import Batch, Method
from models.methods.method import FEATURES
from train.papers.parts import Part

Rows = NDArray[np.int64]
AT_ONCE = 256
"""Clips encoded together."""


class Pretraining:
    """An encoder that learns to name the seen classes, by cross entropy (SMIE, section 4).

    Args:
        encoder: clips (N, 3, 50, V, M) to features (N, 256).
        train, validation: clips; labels 0..classes-1.
        classes: number of seen classes.
    """

    def __init__(self, encoder: nn.Module, train: Part, validation: Part, classes: int) -> None:
        self._encoder, self._train, self._validation = encoder, train, validation
        self._classifier = nn.Linear(FEATURES, classes).to(next(encoder.parameters()).device)
        self.model: nn.Module = nn.ModuleDict({"encoder": encoder, "classifier": self._classifier})

    @property
    def size(self) -> int:
        """See `Objective`."""
        return len(self._train)

    def loss(self, rows: Rows, progress: float) -> Tensor:  # noqa: ARG002
        """See `Objective`."""
        x, labels = clips_of(self._train, rows, self._encoder)
        return functional.cross_entropy(self._classifier(self._encoder(x)).float(), labels)

    def accuracy(self) -> float:
        """See `Objective`."""
        logits = self._classifier(torch.from_numpy(encode(self._encoder, self._validation.inputs)).to(self._device))
        return top1(logits, self._validation.labels)

    @property
    def _device(self) -> torch.device:
        return next(self._encoder.parameters()).device


class OnFeatures:
    """A method that is fitted on the features of a frozen encoder.

    Args:
        method: to fit.
        train, validation: features; labels are rows of `texts`.
        masked: (N, 256) features of the training clips without their key frames, where the method wants them.
        texts: (K, F, D) of the seen classes.
    """

    def __init__(
        self, method: Method, train: Part, validation: Part, masked: NDArray[np.float32] | None, texts: Tensor
    ) -> None:
        self.model, self._texts = method, texts
        self._features, self._labels = torch.from_numpy(np.asarray(train.inputs)), torch.from_numpy(train.labels)
        self._masked = None if masked is None else torch.from_numpy(masked)
        self._validation = validation

    @property
    def size(self) -> int:
        """See `Objective`."""
        return len(self._labels)

    def loss(self, rows: Rows, progress: float) -> Tensor:
        """See `Objective`."""
        # In a random order: some losses compare each clip with its neighbour in the batch.
        index = torch.from_numpy(rows)[torch.randperm(len(rows))]
        masked = None if self._masked is None else self._masked[index]
        batch = Batch(self._features[index], self._labels[index], self._texts, masked, progress)
        return self.model.loss(batch)

    def accuracy(self) -> float:
        """See `Objective`."""
        scores = self.model.matcher(self._texts)(torch.from_numpy(np.asarray(self._validation.inputs)))
        return top1(scores, self._validation.labels)


class EndToEnd:
    """An encoder and a method that are trained together (PGFA).

    Args:
        encoder: clips (N, 3, 50, V, M) to features (N, 256).
        method: what names the features.
        train, validation: clips; labels are rows of `texts`.
        texts: (K, F, D) of the seen classes.
    """

    def __init__(self, encoder: nn.Module, method: Method, train: Part, validation: Part, texts: Tensor) -> None:
        self._encoder, self._method, self._train, self._validation = encoder, method, train, validation
        self._texts = texts.to(next(encoder.parameters()).device)
        self.model: nn.Module = nn.ModuleDict({"encoder": encoder, "method": method})

    @property
    def size(self) -> int:
        """See `Objective`."""
        return len(self._train)

    def loss(self, rows: Rows, progress: float) -> Tensor:
        """See `Objective`."""
        x, labels = clips_of(self._train, rows, self._encoder)
        features = self._encoder(x).float()
        with torch.autocast(features.device.type, enabled=False):  # cosines are too coarse in bfloat16
            return self._method.loss(Batch(features, labels, self._texts, progress=progress))

    def accuracy(self) -> float:
        """See `Objective`."""
        features = torch.from_numpy(encode(self._encoder, self._validation.inputs)).to(self._texts.device)
        return top1(self._method.matcher(self._texts)(features), self._validation.labels)


def clips_of(part: Part, rows: Rows, network: nn.Module) -> tuple[Tensor, Tensor]:
    """Clips and labels of some rows, where the network is."""
    device = next(network.parameters()).device
    x = torch.from_numpy(np.ascontiguousarray(part.inputs[rows], np.float32))
    return x.to(device), torch.from_numpy(part.labels[rows]).to(device)


def encode(
    encoder: nn.Module, clips: Any, change: Callable[[NDArray[np.float32], int], NDArray[np.float32]] | None = None
) -> NDArray[np.float32]:
    """Features (N, 256) of clips, by an encoder in eval mode, in float32.

    Args:
        encoder: (N, 3, 50, V, M) to (N, 256).
        clips: (N, 3, 50, V, M); read piece by piece.
        change: what to do with a piece first, told where it starts.
    """
    device = next(encoder.parameters()).device
    found = [np.zeros((0, FEATURES), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(clips), AT_ONCE):
            piece = np.ascontiguousarray(clips[np.arange(start, min(start + AT_ONCE, len(clips)))], np.float32)
            x = torch.from_numpy(piece if change is None else change(piece, start))
            found.append(encoder(x.to(device)).float().cpu().numpy())
    return np.concatenate(found)


def top1(scores: Tensor, labels: NDArray[np.int64]) -> float:
    """Share of clips whose highest score is their own class's, 0..1; 0 without clips."""
    if not len(labels):
        return 0.0
    return float((scores.argmax(dim=1).cpu().numpy() == labels).mean())
