"""The papers' encoders by name: clips as `models.frame50` makes them to features of 256 numbers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.shiftgcn import BODIES, ShiftGCN
from models.stgcn import STGCN

SHIFT_FRAMES = 64
"""Frames of Shift-GCN's clips (PGFA, Setting 2); the 50 are resized to them."""


class ShiftEncoder(nn.Module):
    """Shift-GCN's features of clips (N, 3, T, V, M): (N, 256).

    They are the mean over two bodies, of which a missing one is zeros and counts, as in the published network; STGCN's
    are the mean over those that are there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = ShiftGCN(1)
        del self.network.fc

    def forward(self, x: Tensor) -> Tensor:
        n, c, t, v, m = x.shape
        y = x.permute(0, 4, 3, 1, 2).reshape(n * m * v, c, t)
        y = functional.interpolate(y, SHIFT_FRAMES, mode="linear", align_corners=False)
        y = y.view(n, m, v, c, SHIFT_FRAMES).permute(0, 3, 4, 2, 1)
        return self.network.features(functional.pad(y, (0, BODIES - m)))


def make_encoder(name: str, dropout: float = 0.0) -> nn.Module:
    """A new encoder: (N, 3, 50, V=25, M) to features (N, 256).

    Args:
        name: "stgcn" or "shiftgcn".
        dropout: of STGCN; Shift-GCN has none.

    Raises:
        ModelError: there is none of that name.
    """
    if name == "stgcn":
        return STGCN(dropout)
    if name == "shiftgcn":
        return ShiftEncoder()
    raise ModelError(f"encoder {name!r}: expected stgcn or shiftgcn")
