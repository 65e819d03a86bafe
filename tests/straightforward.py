"""Weights of our networks as `train.papers.plain` has them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from models.methods.smie import SMIE
from models.stgcn import STGCN
from train.papers.plain import PlainSTGCN, plain_estimator


def as_plain(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of `models.stgcn.STGCN`, or their gradients, by the names and in the shapes of `PlainSTGCN`."""
    found = dict(named)
    for name, value in named.items():
        if name.endswith("spatial.mix.weight"):  # (C', C, 1, K)
            found[name] = value.permute(3, 0, 1, 2).flatten(0, 1)[..., None]
        elif name.endswith("spatial.bias"):  # (C', K)
            found[name.replace("bias", "mix.bias")] = found.pop(name).T.flatten()
    return found


def plain_copy(ours: STGCN, dropout: float = 0.0) -> PlainSTGCN:
    """The same network as the papers have it."""
    plain = PlainSTGCN(dropout)
    plain.load_state_dict({name: value.clone() for name, value in as_plain(ours.state_dict()).items()})
    return plain.to(next(ours.parameters()).dtype).train(ours.training)


def plain_estimator_of(method: SMIE) -> nn.Sequential:
    """SMIE's estimator as the papers have it."""
    plain = plain_estimator(method.text_dim)
    plain[0].load_state_dict(method.estimator.first.state_dict())
    nn.Sequential(*plain[1:]).load_state_dict(method.estimator.rest.state_dict())
    return plain
