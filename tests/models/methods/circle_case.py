"""Clips of classes around a circle, in which texts and features are linear: some are learned from, others are new."""

from __future__ import annotations

import torch
from torch import Tensor

from models.methods import Batch, Method

DIM = 16
SEEN, CLASSES = 6, 8
"""The classes are 0..7, the seen ones 0..5."""


def circle(rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Texts (8, 1, 16) of unit norm, features (8 rows, 256) >= 0 and labels (8 rows,), `rows` clips of each class.

    The classes are where they are whatever the seed, which is of the clips' noise.
    """
    angles = torch.tensor([0, 60, 120, 180, 240, 300, 30, 210]).deg2rad()
    place = torch.stack([angles.cos(), angles.sin()], dim=1)
    world = torch.Generator().manual_seed(0)
    texts = torch.nn.functional.normalize(place @ torch.randn(2, DIM, generator=world), dim=1)
    clean = place @ torch.randn(2, 256, generator=world)
    labels = torch.arange(CLASSES).repeat_interleave(rows)
    noise = 0.3 * torch.randn(CLASSES * rows, 256, generator=torch.Generator().manual_seed(seed))
    return texts[:, None], (clean[labels] + noise + 3).clamp(min=0) / 3, labels


def fit(method: Method, steps: int) -> None:
    """Fit a method to the seen classes and put it in eval mode."""
    texts, features, labels = circle(32, 1)
    features, labels = features[labels < SEEN], labels[labels < SEEN]
    optimiser = torch.optim.Adam(method.parameters(), 1e-3)
    for _ in range(steps):
        rows = torch.randperm(len(labels))[:64]
        masked = features[rows] * 0.5 if method.needs_masked else None
        loss = method.loss(Batch(features[rows], labels[rows], texts[:SEEN], masked))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    method.eval()


def accuracy(method: Method, first: int, last: int) -> float:
    """Share of new clips of classes first..last-1 that are named rightly, among these classes."""
    texts, features, labels = circle(50, 2)
    rows = (labels >= first) & (labels < last)
    named = method.matcher(texts[first:last])(features[rows]).argmax(dim=1) + first
    return float((named == labels[rows]).float().mean())
