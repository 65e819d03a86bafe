"""How a trained streaming network is to be read: what serving needs beside the weights, from people held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from models.checkpoint import Trusted
from models.normaliser import NormaliserState, normalise
from models.recogniser import Recogniser
from models.streaming import StreamingNetwork
from train.calibrate import EXIT_SHARE, TEMPERATURES, detection_f1, set_weights, steady_best
from train.datasets.labels import load_actions
from train.datasets.pairs import UNKNOWN
from train.datasets.windows import Batch, Case
from train.metrics import softmax
from train.pool import Pool

Float32Array = NDArray[np.float32]
TAUGHT_TEMPERATURE = 2.0
"""Of the taught actions' logits: half as sure ranks unseen labels better, on every set (`docs/recognition.md`)."""
SMALLEST_PRIOR = 1e-3
TRUST = Path(__file__).with_name("trust.json")
"""Copied from what `python -m train leave-one-out --json` writes beside its figures."""
SAMPLE = 8000
"""Windows of the pool that means are taken over."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is added to a network's weights.

    Attributes:
        rows: indices in `labels.toml` of the own actions that it was trained on.
        own: temperature of their logits.
        prior: (K,) how often the network names each taught action, on average over the sets.
        centre: (F,) mean feature.
        references: (R, F) unit embeddings of what it knows, the mean of each own action's windows.
        trust: what nearness of text is worth.
        sample: (N, F) features of windows of the pool.
        sets: (N,) the set of each.
    """

    rows: tuple[int, ...]
    own: float
    prior: Float32Array
    centre: Float32Array
    references: Float32Array
    trust: Trusted
    sample: Float32Array
    sets: NDArray[np.int8]


def load_trust() -> Trusted:
    """What nearness of text was measured to be worth."""
    return msgspec.json.decode(TRUST.read_bytes(), type=Trusted)


@torch.no_grad()
def features_of(network: StreamingNetwork, inputs: NDArray[np.float16] | Float32Array) -> torch.Tensor:
    """Features (N, F) of normalised windows."""
    device = network.own.weight.device
    parts = [
        network(torch.from_numpy(inputs[start : start + 256].astype(np.float32)).to(device)).cpu()
        for start in range(0, len(inputs), 256)
    ]
    return torch.cat(parts)


@torch.no_grad()
def read(network: StreamingNetwork, pool: Pool, validation: tuple[Batch, list[Case]]) -> Reading:
    """Measure it all.

    Args:
        network: as trained; it is on the CPU afterwards.
        pool: what it was trained on.
        validation: windows and cases of people held out.
    """
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(pool), min(SAMPLE, len(pool)), replace=False))
    features = features_of(network, pool.inputs[rows])
    network = network.cpu()
    taught, _ = network.logits(features)
    named = (taught / TAUGHT_TEMPERATURE).softmax(1).numpy()
    sets = pool.set[rows]
    prior = mean_of_sets(named, sets)
    centre = features.numpy().mean(axis=0)
    known = tuple(int(row) for row in np.unique(pool.action) if row != UNKNOWN)

    batch, cases = validation
    inputs = normalise(batch.x.transpose(0, 2, 3, 1), batch.mask, NormaliserState.new(len(batch.x)))
    judged = features_of(network, inputs)
    own = network.logits(judged)[1].numpy()[:, list(known)]
    kept = np.array([case.action in known for case in cases])
    truth = np.array([known.index(case.action) if case.action in known else 0 for case in cases])
    weights = set_weights(cases)[kept]

    def loss(temperature: float) -> float:
        right = softmax(own[kept] / temperature)[np.arange(int(kept.sum())), truth[kept]]
        return float(-(weights * np.log(np.maximum(right, 1e-12))).sum())

    return Reading(
        rows=known,
        own=round(float(min(TEMPERATURES * 10, key=loss)), 4),
        prior=prior,
        centre=centre,
        references=_references(features.numpy() - centre, pool.action[rows], known),
        trust=load_trust(),
        sample=features.numpy(),
        sets=sets,
    )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Of an event's probability, and the mean over the actions of the F1 of "its probability is at least `enter`"."""

    enter: float
    exit: float
    f1: float


def thresholds(recogniser: Recogniser, validation: tuple[Batch, list[Case]]) -> Thresholds:
    """The best ones if each own action is a prompt, by its first sentence, on windows of people held out."""
    batch, cases = validation
    names = [action.name for action in load_actions()]
    known = [action for action in recogniser.bank if action.vocabulary == "own"]
    scorer = recogniser.head.scorer([recogniser.text[action.text][None] for action in known])
    actions = np.array([case.action for case in cases])
    probability = np.zeros((len(cases), len(names)))
    for start in range(0, len(cases), 256):
        part = slice(start, start + 256)
        scores = scorer(recogniser.encode(batch.x[part], batch.mask[part]))[1]
        probability[part, [names.index(action.name) for action in known]] = scores
    enter, f1 = steady_best(lambda threshold: detection_f1(actions, probability, threshold))
    return Thresholds(round(enter, 3), round(EXIT_SHARE * enter, 3), f1)


def mean_of_sets(values: Float32Array, sets: NDArray[np.int8]) -> Float32Array:
    """Mean (X,) of rows (N, X), each set counting the same."""
    means: Float32Array = np.mean([values[sets == one].mean(axis=0) for one in np.unique(sets)], axis=0)
    return means.astype(np.float32)


def _references(features: Float32Array, action: NDArray[np.int64], known: Sequence[int]) -> Float32Array:
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    means = np.stack([unit[action == one].mean(axis=0) for one in known if (action == one).any()])
    scaled: Float32Array = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    return scaled
