"""How long an epoch takes us, beside a straightforward reading of the papers' training, measured in one run.

In every step of that reading's SMIE the frozen encoder runs on the clips and on the clips without their key frames, in
float32. Ours encodes once: an epoch's share of that is in its time. The clips without key frames are made beforehand
for either. Validations are in neither. See `train.papers.plain` for the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.encoders import make_encoder
from models.methods import Method, method_class
from models.methods.method import FEATURES
from models.stgcn import V
from train.papers.fitting import Fitting, Objective
from train.papers.key_frames import mask_key_frames
from train.papers.objectives import EndToEnd, OnFeatures, Pretraining, encode
from train.papers.parts import Part
from train.papers.plain import PlainSTGCN, plain_estimator, plain_pgfa, plain_smie
from train.papers.recipes import arguments, pretrain_schedule, schedule

LIKE = "ntu60"
"""The dataset whose schedules and shapes are measured."""
SEEN, TEXT_DIM = 55, 768
TWO_BODIES = 5
"""One clip in so many has a second body; 11 of NTU RGB+D 60's classes are of two people."""
Epoch = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What is timed: an epoch, and what is done once for `share` epochs, if anything."""

    epoch: Epoch
    once: Epoch | None = None
    share: int = 1

    def seconds(self) -> float:
        """How long an epoch takes, what is done once included by its share."""
        start = time.perf_counter()
        self.epoch()
        between = time.perf_counter()
        if self.once is None:
            return between - start
        self.once()
        return between - start + (time.perf_counter() - between) / self.share


@dataclass(frozen=True, slots=True)
class Timing:
    """What was measured of one way to train.

    Attributes:
        what: "pretraining", "smie" or "pgfa".
        way: "straightforward", "ours, float32" or "ours, bfloat16".
        seconds: of an epoch of 1000 clips, the median.
        faster: how many times as fast as the straightforward reading in the same repeat, the median.
    """

    what: str
    way: str
    seconds: float
    faster: float


class Clips:
    """Random clips in NTU's shape, their labels and texts.

    Args:
        clips: how many; only whole batches of them are used.
        device: where networks compute.
    """

    def __init__(self, clips: int, device: torch.device) -> None:
        self.batch = min(clips, schedule("smie", LIKE, clips).batch)
        self.size = clips // self.batch * self.batch
        random = np.random.default_rng(0)
        x = random.normal(0, 0.3, (self.size, 3, 50, V, 2)).astype(np.float32)
        x[np.arange(self.size) % TWO_BODIES > 0, ..., 1] = 0
        self.part = Part(x, random.integers(0, SEEN, self.size))
        self.masked = mask_key_frames(x, "paper", seed=0)
        self.texts = functional.normalize(torch.from_numpy(random.normal(size=(SEEN, 1, TEXT_DIM))).float(), dim=2)
        self.features = random.normal(size=(self.size, FEATURES)).astype(np.float32)
        self.device = device

    def straightforward(self) -> dict[str, Work]:
        """The papers' trainings."""
        labels, texts = torch.from_numpy(self.part.labels).to(self.device), self.texts[:, 0].to(self.device)
        encoder, classifier = PlainSTGCN(), nn.Linear(FEATURES, SEEN)
        aligned, projection = PlainSTGCN(), nn.Linear(FEATURES, TEXT_DIM)
        frozen, estimator = PlainSTGCN().eval(), plain_estimator(TEXT_DIM)
        for network in (encoder, classifier, aligned, projection, frozen, estimator):
            network.to(self.device)
        beta = arguments("smie", LIKE)["beta"]

        def clips(x: NDArray[np.float32], rows: Tensor) -> Tensor:
            return torch.from_numpy(x[rows.numpy()]).to(self.device)

        def pretraining(rows: Tensor) -> Tensor:
            logits = classifier(encoder(clips(self.part.inputs, rows)))
            return functional.cross_entropy(logits, labels[rows.to(self.device)])

        def pgfa(rows: Tensor) -> Tensor:
            own = labels[rows.to(self.device)]
            return plain_pgfa(projection(aligned(clips(self.part.inputs, rows))), texts[own], own)

        def smie(rows: Tensor) -> Tensor:
            with torch.no_grad():
                features, masked = (frozen(clips(x, rows)) for x in (self.part.inputs, self.masked))
            return plain_smie(estimator, features, masked, texts[labels[rows.to(self.device)]], beta)

        adam, sgd = torch.optim.Adam, torch.optim.SGD
        plan = schedule("pgfa", LIKE, self.size)
        learnt = {
            "pretraining": (pretraining, adam([*encoder.parameters(), *classifier.parameters()], 5e-3)),
            "smie": (smie, adam(estimator.parameters(), 1e-5)),
            "pgfa": (
                pgfa,
                sgd([*aligned.parameters(), *projection.parameters()], plan.lr, plan.momentum, 0.0, plan.weight_decay),
            ),
        }
        return {what: Work(self._epoch(loss, optimiser)) for what, (loss, optimiser) in learnt.items()}

    def _epoch(self, loss: Callable[[Tensor], Tensor], optimiser: torch.optim.Optimizer) -> Epoch:
        def epoch() -> None:
            for rows in torch.split(torch.randperm(self.size), self.batch):
                value = loss(rows)
                optimiser.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                value.item()

        return epoch

    def ours(self, *, bf16: bool) -> dict[str, Work]:
        """Our trainings; SMIE's is on features, which are float32 either way, and so comes with float32 alone."""
        held = Part(self.part.inputs[:0], self.part.labels[:0])
        encoder, aligned = (make_encoder("stgcn", 0.5).to(self.device) for _ in range(2))
        pgfa = EndToEnd(aligned, self._method("pgfa").to(self.device), self.part, held, self.texts)
        work = {
            "pretraining": self._fitting(Pretraining(encoder, self.part, held, SEEN), None, bf16=bf16),
            "pgfa": self._fitting(pgfa, "pgfa", bf16=bf16),
        }
        if bf16:
            return work
        frozen = make_encoder("stgcn").to(self.device).eval()
        features = Part(self.features, self.part.labels)
        smie = OnFeatures(self._method("smie"), features, features, self.features, self.texts)

        def once() -> None:
            encode(frozen, self.part.inputs)
            encode(frozen, self.masked)

        share = schedule("smie", LIKE, self.size).epochs
        return {**work, "smie": Work(self._fitting(smie, "smie").epoch, once, share)}

    def _method(self, name: str) -> Method:
        return method_class(name)(TEXT_DIM, **arguments(name, LIKE))

    def _fitting(self, objective: Objective, recipe: str | None, *, bf16: bool = False) -> Work:
        plan = schedule(recipe, LIKE, self.size) if recipe else pretrain_schedule(LIKE, self.size)
        fitting = Fitting(objective, plan, seed=0, bf16=bf16)

        def epoch() -> None:
            for _ in range(self.size // self.batch):
                fitting.step()

        return Work(epoch)


def measure(clips: int, repeats: int) -> list[Timing]:
    """Time all trainings by turns: on a GPU where there is one, in bfloat16 too where the device computes in it.

    Args:
        clips: 2 or more to train on.
        repeats: how often each is timed, after one round that does not count.
    """
    gpu = torch.cuda.is_available()
    data = Clips(clips, torch.device("cuda" if gpu else "cpu"))
    ways = {"straightforward": data.straightforward(), "ours, float32": data.ours(bf16=False)}
    if torch.cuda.is_bf16_supported() if gpu else torch.cpu._is_avx512_bf16_supported():
        ways["ours, bfloat16"] = data.ours(bf16=True)
    timings = []
    for what in ("pretraining", "smie", "pgfa"):
        works = {way: work[what] for way, work in ways.items() if what in work}
        rounds = [[work.seconds() for work in works.values()] for _ in range(1 + repeats)][1:]
        for place, way in enumerate(works):
            seconds = median(row[place] for row in rounds) * 1000 / data.size
            timings.append(Timing(what, way, seconds, median(row[0] / row[place] for row in rounds)))
    return timings


def table(timings: list[Timing]) -> str:
    """Timings as lines of text."""
    head = f"{'training':<13}{'way':<17}{'s/epoch of 1000 clips':>22}{'times as fast':>15}"
    rows = (f"{t.what:<13}{t.way:<17}{t.seconds:>22.2f}{t.faster:>15.1f}" for t in timings)
    return "\n".join((head, *rows))
