"""PGFA's prototype-guided alignment at test time: prototypes of predicted classes take the place of their texts.

Source: PGFA (2025), equations 6 to 11. It is transductive: it sees all clips that are to be named, without their
labels. For a stream, which has no end, `models.prototypes` keeps running ones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def align(z: Tensor, scores: Tensor, anchors: Tensor | None, alpha: float) -> Tensor:
    """Score clips anew by prototypes.

    Args:
        z: (N, E) unit vectors of the clips.
        scores: (N, K) their scores against the classes; in PGFA the cosines with the texts.
        anchors: (K, E) unit vectors of the classes' texts, the prototypes of classes that are left without clips. None
            where texts do not lie in the space of the clips: then a class keeps one of its clips at least, and one that
            no clip is taken for stays unnamed.
        alpha: 0..1, the share of a class's clips, those of lowest entropy, that make its prototype.

    Returns:
        (N, K) cosines with the prototypes.

    Raises:
        ValueError: the shapes do not fit, or alpha is not in 0..1.
    """
    if z.dim() != 2 or scores.dim() != 2 or len(z) != len(scores) or not 0 <= alpha <= 1:
        raise ValueError(f"expected z (N, E), scores (N, K), alpha 0..1; got {z.shape}, {scores.shape}, {alpha}")
    if anchors is not None and anchors.shape != (scores.shape[1], z.shape[1]):
        raise ValueError(f"expected anchors {(scores.shape[1], z.shape[1])}, got {tuple(anchors.shape)}")
    named = scores.argmax(dim=1)  # (6)
    log_p = torch.log_softmax(scores.float(), dim=1)
    entropy = -(log_p.exp() * log_p).sum(dim=1)  # (8)
    aligned = torch.full_like(scores, -1.0)
    for k in range(scores.shape[1]):
        members = torch.nonzero(named == k)[:, 0]  # (7)
        count = max(int(alpha * len(members)), 0 if anchors is not None else 1)
        kept = members[entropy[members].argsort(stable=True)[:count]]  # (9)
        if len(kept):
            aligned[:, k] = z @ functional.normalize(z[kept].mean(dim=0), dim=0)  # (10), (11)
        elif anchors is not None:
            aligned[:, k] = z @ anchors[k]
    return aligned
