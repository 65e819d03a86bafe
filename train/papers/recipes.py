"""How each method is trained on each dataset: the papers' schedules, and ours where a paper gives none.

Sources: SMIE and PGFA give theirs for NTU RGB+D 60 and 120 and PKU-MMD. The baselines were published on other data, or
as network sizes only, so their optimisers are ours. So is all that concerns the small sets, of hundreds of clips: with
a few steps an epoch, the published learning rates would leave a network as it was initialised. What is ours was chosen
on held-out clips of seen classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from models.methods import method_class

LARGE = ("ntu60", "ntu120", "pku1", "pku2")
"""The datasets that the papers give schedules for; PKU-MMD II is trained as PKU-MMD I."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How something is minimised.

    Attributes:
        optimiser: which.
        lr: learning rate after the warm-up.
        momentum: of SGD; Adam ignores it.
        weight_decay: L2 penalty's factor.
        batch: clips a step.
        epochs: passes over the training part, the warm-up included.
        warm_up: epochs in which the learning rate rises linearly to `lr`.
        decay: "cosine" to 0 at the last epoch, or "none".
        dropout: of an encoder that is trained.
    """

    optimiser: Literal["adam", "sgd"]
    lr: float
    momentum: float
    weight_decay: float
    batch: int
    epochs: int
    warm_up: int
    decay: Literal["cosine", "none"]
    dropout: float = 0.5


_SMIE = Schedule("adam", 1e-5, 0.0, 0.0, batch=128, epochs=100, warm_up=15, decay="cosine")
_PGFA = Schedule("sgd", 0.05, 0.9, 5e-4, batch=128, epochs=50, warm_up=5, decay="none")
_PRETRAIN = Schedule("adam", 5e-3, 0.0, 0.0, batch=128, epochs=150, warm_up=0, decay="cosine")
_BASELINE = Schedule("adam", 1e-4, 0.0, 0.0, batch=128, epochs=100, warm_up=0, decay="cosine")

_SMALL_PRETRAIN = replace(_PRETRAIN, lr=3e-3, batch=16, warm_up=1, dropout=0.1)
_SMALL = {
    "smie": replace(_SMIE, lr=1e-3, batch=64, warm_up=5),
    "pgfa": _SMALL_PRETRAIN,
    "relationnet": replace(_BASELINE, lr=1e-3, batch=16),
}
_SMALL_BASELINE = replace(_BASELINE, lr=1e-3, batch=64)
SMALL_PASSES, SMALL_FITTED_PASSES = 8_000, 40_000
"""Clips, counted as often as they come, that an encoder, or what is fitted on features, learns from on a small set."""
MOST_EPOCHS = 200

_SMIE_BETA = {"ntu60": 0.1, "ntu120": 0.5, "pku1": 0.01, "pku2": 0.01}
_ALPHA = {"ntu60": 0.9, "ntu120": 0.4, "pku1": 1.0, "pku2": 1.0}


def schedule(recipe: str, dataset: str, clips: int) -> Schedule:
    """How a method is fitted: on features, or end to end with the encoder.

    Args:
        recipe: a name in `models.methods.METHODS`.
        dataset: its name; any other than those of `LARGE`, such as "utd_mhad+msrc12", counts as small.
        clips: number of clips to train on.

    Raises:
        ModelError: there is no such recipe.
    """
    kind = method_class(recipe)
    if dataset not in LARGE:
        passes = SMALL_PASSES if kind.end_to_end else SMALL_FITTED_PASSES
        return replace(_SMALL.get(recipe, _SMALL_BASELINE), epochs=_epochs(passes, clips))
    if recipe == "smie":
        return replace(_SMIE, lr=1e-4) if dataset == "ntu120" else _SMIE
    if recipe == "pgfa":
        return replace(_PGFA, lr=0.005) if dataset == "ntu120" else _PGFA
    return _BASELINE


def pretrain_schedule(dataset: str, clips: int) -> Schedule:
    """How the encoder of all other methods than PGFA learns the seen labels before it is frozen (SMIE, section 4)."""
    return _PRETRAIN if dataset in LARGE else replace(_SMALL_PRETRAIN, epochs=_epochs(SMALL_PASSES, clips))


def _epochs(passes: int, clips: int) -> int:
    return min(max(round(passes / max(clips, 1)), 2), MOST_EPOCHS)


def arguments(recipe: str, dataset: str) -> dict[str, Any]:
    """What a method's constructor is given besides the dimension of the texts.

    SMIE's beta is the hinge's margin between clips with and without their key frames; the latent of CADA-VAE and SynSE
    is 100 wide, 200 on NTU RGB+D 120.
    """
    if recipe == "smie":
        return {"beta": _SMIE_BETA.get(dataset, 0.1)}
    if recipe in ("cada-vae", "synse"):
        return {"latent": 200 if dataset == "ntu120" else 100}
    return {}


def alpha(dataset: str) -> float:
    """The share of a class's test clips, those of lowest entropy, that make its prototype (PGFA, equation 9)."""
    return _ALPHA.get(dataset, 0.9)
