"""Clips of actions that are a verb and a noun each: some pairs are learned from, others are new."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.methods import Batch, Method

DIM = 24
SEEN = ((0, 0), (0, 2), (1, 0), (1, 1), (2, 1), (2, 2))
UNSEEN = ((0, 1), (2, 0))
"""Verb and noun of each class: every verb and every noun is among the seen classes."""


@dataclass(frozen=True)
class Case:
    """Features (N, 256), labels (N,) and texts (K, F, 24) of seen and of unseen classes."""

    features: Tensor
    labels: Tensor
    texts: Tensor
    new_features: Tensor
    new_labels: Tensor
    new_texts: Tensor


def make_case(facets: tuple[str, ...], seed: int, each: int = 40) -> Case:
    """A case whose features are the sum of a part for the verb, one for the noun, and noise."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.nn.functional.normalize(torch.randn((2, 3, DIM), generator=generator), dim=2)
    looks = torch.randn((2, 3, 256), generator=generator)

    def texts(classes: tuple[tuple[int, int], ...]) -> Tensor:
        pairs = torch.stack([torch.stack([words[0, verb], words[1, noun]]) for verb, noun in classes])
        if facets == ("verb", "noun"):
            return pairs
        return torch.nn.functional.normalize(pairs.sum(dim=1, keepdim=True), dim=2)

    def features(classes: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor]:
        labels = torch.arange(len(classes)).repeat(each)
        clean = torch.stack([looks[0, verb] + looks[1, noun] for verb, noun in classes])
        return (clean[labels] + torch.randn((len(labels), 256), generator=generator)).relu(), labels

    return Case(*features(SEEN), texts(SEEN), *features(UNSEEN), texts(UNSEEN))


def fit(method: Method, case: Case, steps: int = 150, lr: float = 3e-3) -> None:
    """Fit a method to the seen classes and put it in eval mode."""
    optimiser = torch.optim.Adam(method.parameters(), lr)
    for step in range(steps):
        rows = torch.randperm(len(case.labels))[:64]
        loss = method.loss(Batch(case.features[rows], case.labels[rows], case.texts, progress=step / steps))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    method.eval().requires_grad_(False)


def accuracy(method: Method, case: Case) -> float:
    """Share of the clips of unseen classes that are named rightly, among the unseen classes."""
    return float((method.matcher(case.new_texts)(case.new_features).argmax(dim=1) == case.new_labels).float().mean())
