"""JPoSE: one space for verbs, one for nouns, and a joint one of both.

Source: Wray et al., "Fine-grained action retrieval through multiple parts-of-speech embeddings", ICCV 2019, with the
sizes and losses of SynSE's comparison on skeletons (Gupta et al., ICIP 2021).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.methods.method import FEATURES, Batch, Facet, Matcher, Method

SPACE, HIDDEN = 50, 512
"""Dimensions of every space, and of the texts' hidden layer."""
MARGIN = 0.3
TRIPLETS = 0.01
"""Weight of the triplets of clips."""
SAME = 0.9999
"""Cosine from which two words are one."""


class _Words(nn.Module):
    """The space of one part of speech; what lies in it has unit norm."""

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.clip = nn.Linear(FEATURES, SPACE)
        self.text = nn.Sequential(nn.Linear(text_dim, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, SPACE))

    def clips(self, features: Tensor) -> Tensor:
        """(N, 256) -> (N, 50)."""
        return functional.normalize(torch.tanh(self.clip(functional.normalize(features, dim=1))), dim=1)

    def words(self, texts: Tensor) -> Tensor:
        """(K, D) -> (K, 50)."""
        return functional.normalize(self.text(texts), dim=1)


class JPoSE(Method):
    """Cosines in the joint space are the scores."""

    facets: ClassVar[tuple[Facet, ...]] = ("verb", "noun")

    def __init__(self, text_dim: int) -> None:
        super().__init__(text_dim)
        self.verb = _Words(text_dim)
        self.noun = _Words(text_dim)
        self.clip = nn.Linear(2 * SPACE, SPACE)
        self.text = nn.Linear(2 * SPACE, SPACE)

    def loss(self, batch: Batch) -> Tensor:
        """The hinges of the joint space, of the verbs' and of the nouns', and `TRIPLETS` times the triplets of both.

        Classes that share a verb do not compete in the verbs' space, and their clips are no negatives of each other in
        its triplets; likewise for nouns.
        """
        labels = batch.labels
        itself = functional.one_hot(labels, len(batch.texts)).bool()
        total = hinge(self.embed(batch.features), self.anchors(batch.texts), labels, itself)
        for space, vectors in ((self.verb, batch.texts[:, 0]), (self.noun, batch.texts[:, 1])):
            unit = functional.normalize(vectors, dim=1)
            same = (unit @ unit.T > SAME)[labels]
            clips = space.clips(batch.features)
            total = total + hinge(clips, space.words(vectors), labels, same)
            total = total + TRIPLETS * triplets(clips, same[:, labels])
        return total

    def matcher(self, texts: Tensor) -> Matcher:
        """Cosines in the joint space."""
        anchors = self.anchors(texts)
        return lambda features: self.embed(features) @ anchors.T

    def embed(self, features: Tensor) -> Tensor:
        """In the joint space, E = 50."""
        both = torch.cat([self.verb.clips(features), self.noun.clips(features)], dim=1)
        return functional.normalize(torch.tanh(self.clip(both)), dim=1)

    def anchors(self, texts: Tensor) -> Tensor:
        """In the joint space."""
        both = torch.cat([self.verb.words(texts[:, 0]), self.noun.words(texts[:, 1])], dim=1)
        return functional.normalize(torch.tanh(self.text(both)), dim=1)


def hinge(clips: Tensor, texts: Tensor, labels: Tensor, own: Tensor) -> Tensor:
    """Sum over the classes of other words of max(0, margin - cos(clip, its text) + cos(clip, text)), mean over clips.

    Args:
        clips: (B, E) of unit norm.
        texts: (K, E) of unit norm.
        labels: (B,), rows of `texts`.
        own: (B, K) whether a class has the clip's word.
    """
    cosines = clips @ texts.T
    right = cosines.gather(1, labels[:, None])
    return (MARGIN - right + cosines).clamp(min=0).masked_fill(own, 0).sum(dim=1).mean()


def triplets(clips: Tensor, same: Tensor) -> Tensor:
    """Mean over clips of max(0, margin - cos(clip, farthest of its word) + cos(clip, nearest of another word)).

    A clip whose word no other clip of the batch has is compared with itself; with no clip of another word, it counts 0.

    Args:
        clips: (B, E) of unit norm.
        same: (B, B) whether two clips have the same word.
    """
    cosines = clips @ clips.T
    farthest = cosines.masked_fill(~same, torch.inf).amin(dim=1)
    nearest = cosines.masked_fill(same, -torch.inf).amax(dim=1)
    return (MARGIN - farthest + nearest).clamp(min=0).mean()
