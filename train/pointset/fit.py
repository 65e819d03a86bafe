"""Training of the point set in the paper's two stages, and its export.

Sato, Hachiuma, Sekii (CVPR 2023), eqs. 5 to 9: L = alpha * L_cls + (1 - alpha) * L_cont, with alpha = 1 first; L_cont
is the mean of InfoNCE from skeletons to texts and back. A batch holds many scenes of one label: all are right answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.points import WINDOW
from models.pointset import PointSet, window_feature
from models.pointset_model import ARCHITECTURE, FORMAT, PointSetManifest, load_pointset, save_pointset
from models.text import DEFAULT_MODEL, TextEmbedder
from models.whole_file import write_whole
from train.datasets.people import Split
from train.datasets.sequences import Float32Array
from train.papers.precision import fast_bf16
from train.pointset.card import card
from train.pointset.data import NOBODY, Scenes
from train.pointset.judge import judge
from train.pointset.people import People, make_scenes
from train.pointset.views import Views, seen
from train.pointset.vocabulary import Label, load_labels

TERMS = "CC BY-NC 4.0, research use; see README.md beside this file for the terms of the data"


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How to train.

    Attributes:
        size: scenes to train on.
        epochs: in all.
        joint: share of the epochs that the second stage takes.
        alpha: of eq. 5 in the second stage.
        batch: bodies in a batch.
        rate: the highest learning rate.
        temperature: of eqs. 8 and 9.
        persons: weight of the losses of single people beside those of the scene.
        average: decay of the running mean of the weights, which is what is kept.
        seed: of everything.
        without: groups of labels that are left out.
    """

    size: int = 10_000
    epochs: int = 12
    joint: float = 0.5
    alpha: float = 0.6
    batch: int = 64
    rate: float = 3e-3
    temperature: float = 0.07
    persons: float = 0.3
    average: float = 0.995
    seed: int = 0
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 100 or self.epochs < 1:
            raise ValueError(f"size {self.size}, epochs {self.epochs}: expected 100 scenes and 1 epoch at least")


class Fitter:
    """Trains one network on scenes.

    Args:
        scenes: by their number of bodies.
        labels: that they count in.
        texts: for each label the unit vectors (n, D) of its texts.
        settings: see `FitSettings`.
    """

    def __init__(
        self, scenes: Mapping[int, Scenes], labels: Sequence[Label], texts: Sequence[Float32Array],
        settings: FitSettings,
    ) -> None:  # fmt: skip
        torch.manual_seed(settings.seed)
        self._scenes, self._settings = scenes, settings
        self._texts = [torch.from_numpy(vectors) for vectors in texts]
        self._mirrors = np.array([label.mirrors for label in labels])
        self._rng = np.random.default_rng([settings.seed, 1])
        self.network = PointSet(classes=len(labels), text_dim=texts[0].shape[1], dropout=0.1)
        self.mean = {name: value.clone() for name, value in self.network.state_dict().items()}
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(groups, lr=settings.rate)
        self.steps = sum(len(self._batches(group, bodies)) for bodies, group in scenes.items()) * settings.epochs
        self._bf16, self._step = fast_bf16(), 0

    def _batches(self, group: Scenes, bodies: int) -> list[NDArray[np.int64]]:
        order = self._rng.permutation(len(group))
        return np.array_split(order, max(1, len(group) * bodies // self._settings.batch))

    def fit(self, report: Callable[[int, float], None] | None = None) -> None:
        """Train to the end; `report` gets each step's number, from 1, and its loss."""
        self.network.train()
        for _ in range(self._settings.epochs):
            batches = [(b, rows) for b, group in self._scenes.items() for rows in self._batches(group, b)]
            for number in self._rng.permutation(len(batches)):
                bodies, rows = batches[number]
                loss = self._learn(self._scenes[bodies], rows)
                if report is not None:
                    report(self._step, loss)
        self.network.load_state_dict(self.mean)
        self.network.eval()

    def _learn(self, group: Scenes, rows: NDArray[np.int64]) -> float:
        settings = self._settings
        share = self._step / self.steps
        warm = min(1.0, (self._step + 1) / 100)
        for parameters in self._optimiser.param_groups:
            parameters["lr"] = settings.rate * warm * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
        seen_as, phase = seen(
            group.joints[rows], group.confidence[rows], group.image[rows], self._mirrors[group.label[rows]], Views(),
            self._rng,
        )  # fmt: skip
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            found = self.network(torch.from_numpy(seen_as), torch.from_numpy(phase)).float()
        alpha = 1.0 if share < 1 - settings.joint else settings.alpha
        label = torch.from_numpy(group.label[rows])
        loss = self._loss(window_feature(found), label, alpha)
        if found.shape[2] > 1:
            persons = found[:, -WINDOW:].amax(1).reshape(-1, found.shape[3])
            who = torch.from_numpy(group.persons[rows].reshape(-1))
            known = (who != NOBODY) & (persons.amax(1) > 0)
            if known.any():
                loss = loss + settings.persons * self._loss(persons[known], who[known], alpha)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self._step += 1
        decay = min(settings.average, 1 - 1 / (self._step + 1))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.mean[name].lerp_(value, 1 - decay)
        return loss.item()

    def _loss(self, features: Tensor, label: Tensor, alpha: float) -> Tensor:
        loss = functional.cross_entropy(self.network.classify(features), label, label_smoothing=0.05)
        if alpha >= 1:
            return loss
        drawn = torch.stack([vectors[int(self._rng.integers(len(vectors)))] for vectors in self._texts])
        scores = self.network.text(features) @ drawn.T / self._settings.temperature
        to_text = functional.cross_entropy(scores, label)  # eq. 8, with the texts of all labels
        places, place = np.unique(label.numpy(), return_inverse=True)
        present = torch.from_numpy(places)
        right = functional.one_hot(torch.from_numpy(place), len(places)).float()
        backward = functional.log_softmax(scores[:, present], dim=0)  # eq. 9, from each text to its scenes
        to_scene = -((right * backward).sum(0) / right.sum(0)).mean()
        return alpha * loss + (1 - alpha) * 0.5 * (to_text + to_scene)


def text_vectors(labels: Sequence[Label]) -> list[Float32Array]:
    """Unit vectors of the labels' texts.

    Raises:
        TextModelMissing: the text model is not installed.
    """
    every = [text for label in labels for text in label.texts]
    vectors = TextEmbedder(DEFAULT_MODEL).embed(every)
    edges = np.cumsum([len(label.texts) for label in labels])[:-1]
    return [np.ascontiguousarray(part) for part in np.split(vectors, edges)]


def fit(
    people: Mapping[Split, People],
    out: Path,
    settings: FitSettings,
    report: Callable[[int, int, float], None] | None = None,
) -> dict[str, float]:
    """Train on the training people, judge on the validation people, and write the model, its card and its figures.

    Args:
        people: see `train.pointset.data.read_people`.
        out: folder of the model; nothing is written before the end.
        settings: see `FitSettings`.
        report: called with the step, the number of all, and the loss.

    Returns:
        The figures, see `train.pointset.judge.judge`.

    Raises:
        TextModelMissing: the text model is not installed.
    """
    labels = load_labels(settings.without)
    texts = text_vectors(labels)
    scenes = make_scenes(people[Split.TRAIN], labels, settings.size, settings.seed)
    fitter = Fitter(scenes, labels, texts, settings)
    fitter.fit(None if report is None else lambda step, loss: report(step, fitter.steps, loss))
    manifest = PointSetManifest(
        format=FORMAT,
        architecture=ARCHITECTURE,
        arguments=fitter.network.sizes,
        text_model=DEFAULT_MODEL,
        labels=tuple(label.name for label in labels),
        texts=tuple(text for label in labels for text in label.texts),
        label_of=tuple(i for i, label in enumerate(labels) for _ in label.texts),
        training={**asdict(settings), "scenes": sum(map(len, scenes.values())), "steps": fitter.steps},
        terms=TERMS,
    )
    weights = {name: value.numpy().astype(np.float16) for name, value in fitter.network.state_dict().items()}
    manifest = save_pointset(out, manifest, weights, np.concatenate(texts))
    figures = judge(load_pointset(out), people[Split.VALIDATION])
    write_whole(out / "evaluation.json", (json.dumps(figures, indent=1) + "\n").encode())
    write_whole(out / "README.md", card(manifest, figures).encode())
    return figures
