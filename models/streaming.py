"""The streaming recogniser: the causal encoder, and what is read off its features.

Two vocabularies, each a softmax of its own: the 120 actions of NTU RGB+D, through features like those of a published
network and that network's own classifier, and the actions that the model was trained on by their labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.causal import STRIDE, CausalEncoder
from models.shiftgcn import FEATURES as TEACHER_FEATURES

POOLED = 12
"""Outputs whose mean stands for the last 48 frames: fewer were measured to be worse, more no better."""
POOLED_STEPPING = 10
"""The same where a track is stepped: its outputs know what was before them, so that more of them tell of too much."""


def padded(frames: int) -> int:
    """Frames to put in front of `frames`, so that they are a multiple of `STRIDE`."""
    return -frames % STRIDE


class StreamingNetwork(nn.Module):
    """Normalised frames to features and logits.

    Buffers, set when training is done: `quiet` (own,), 1 for the own actions that are no news; `centre` (F,), the mean
    feature, which is subtracted before features are compared with each other; `usual` (taught + own,), the mean
    probabilities over windows of all kinds.

    Args:
        own: number of actions with labels.
        taught: number of actions of the teacher; 0 for a model that had none.
        channels, hidden, features, dropout: see `CausalEncoder`.
    """

    def __init__(
        self, own: int, taught: int, channels: int = 192, hidden: int = 320, features: int = 384, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.taught = taught
        self.encoder = CausalEncoder(channels, hidden, features, dropout)
        self.own = nn.Linear(features, own)
        self.register_buffer("quiet", torch.zeros(own))
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("usual", torch.zeros(taught + own))
        self.likeness = nn.Linear(features, TEACHER_FEATURES) if taught else None
        self.classes = nn.Linear(TEACHER_FEATURES, taught) if taught else None

    def forward(self, x: Tensor, *, whole: bool = False) -> Tensor:
        """Windows that begin their stream, (N, T, `INPUTS`), to features (N, F): of the last 48 frames, or of all.

        T that is no multiple of 4 is filled up with copies of the first frame.
        """
        missing = padded(x.shape[1])
        if missing:
            x = torch.cat((x[:, :1].expand(-1, missing, -1), x), dim=1)
        outputs = self.encoder(x)
        # The first output has seen next to nothing.
        features: Tensor = (outputs[:, :, 1:] if whole else outputs[:, :, -POOLED:]).float().mean(dim=2)
        return features

    def teacher_features(self, features: Tensor) -> Tensor:
        """What the teacher's features would be, (N, 256)."""
        if self.likeness is None:
            raise ValueError("this network had no teacher")
        like: Tensor = self.likeness(features)
        return like

    def logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the teacher's actions (N, `taught`) and of the own ones (N, `own`)."""
        own: Tensor = self.own(features)
        if self.classes is None:
            return own.new_zeros(len(own), 0), own
        return self.classes(self.teacher_features(features)), own

    def judge(self, features: Tensor) -> Tensor:
        """What serving needs of features (N, F): (N, `taught` + `own` + F).

        The probabilities of the teacher's actions, those of the own ones, and an embedding of unit length. The teacher
        had no word for standing, walking and the like, and calls them by others: its actions share what the own ones
        leave of 1 when no news is taken away.
        """
        taught, own = self.logits(features)
        known = own.softmax(1)
        news = 1 - known @ self.get_buffer("quiet")
        embedding = nn.functional.normalize(features - self.get_buffer("centre"), dim=1)
        return torch.cat((taught.softmax(1) * news[:, None], known, embedding), dim=1)
