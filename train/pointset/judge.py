"""What a point set makes of people that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.pointset import window_feature
from models.pointset_model import PointSetModel
from train.datasets.sequences import Float32Array
from train.pointset.data import FRAMES, Recordings, Scenes, blow_cut, stacked
from train.pointset.people import People, make_scenes
from train.pointset.views import Views, seen
from train.pointset.vocabulary import KICKED, PUNCHED, PUSHED, Label, load_labels

SIZE = 1500
BATCH = 64
ROUNDS = 120
"""Scenes of each pair that is told apart."""


def features(model: PointSetModel, scenes: Scenes, missing: float, seed: int = 0) -> Float32Array:
    """Features (N, F) of scenes, seen through one virtual camera each, with a share of the points missing."""
    rng = np.random.default_rng(seed)
    found = []
    views = Views(length=FRAMES, missing=0.0, noise=0.0, images=0.5, crop=0)
    for start in range(0, len(scenes), BATCH):
        rows = slice(start, start + BATCH)
        confidence = scenes.confidence[rows].copy()
        confidence[rng.random(confidence.shape) < missing] = 0
        points, phase = seen(
            scenes.joints[rows], confidence, scenes.image[rows], np.zeros(len(confidence), bool), views, rng
        )
        with torch.inference_mode():
            found.append(window_feature(model.network(torch.from_numpy(points), torch.from_numpy(phase))).numpy())
    return np.concatenate(found)


def by_text(model: PointSetModel, found: Float32Array) -> NDArray[np.int64]:
    """The label (N,) one of whose texts is nearest."""
    cosines = model.cosines(found, np.stack([model.text[text] for text in model.manifest.texts]))
    owners, labels = np.array(model.manifest.label_of), len(model.manifest.labels)
    best = np.stack([cosines[:, owners == k].max(axis=1) for k in range(labels)], axis=1)
    return np.asarray(best.argmax(axis=1))


def by_class(model: PointSetModel, found: Float32Array) -> NDArray[np.int64]:
    """The label (N,) of the classifier."""
    with torch.inference_mode():
        return np.asarray(model.network.classify(torch.from_numpy(found)).argmax(1).numpy())


def auroc(positive: Float32Array, negative: Float32Array) -> float:
    """Chance that a positive's score is above a negative's."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate((positive, negative)))[: len(positive)]
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))


def judge(model: PointSetModel, people: People, seed: int = 100) -> dict[str, float]:
    """Figures by name, 0..1, over people of one part; "20 % missing" says that of the points."""
    known = {label.name: label for label in load_labels()}
    labels = tuple(known.get(name, Label(name, (name,))) for name in model.manifest.labels)
    groups = make_scenes(people, labels, SIZE, seed)
    figures: dict[str, float] = {}
    for missing in (0.0, 0.2):
        ending = " (20 % missing)" if missing else ""
        found = {bodies: features(model, scenes, missing) for bodies, scenes in groups.items()}
        source = np.concatenate([scenes.source for scenes in groups.values()])
        truth = np.concatenate([scenes.label for scenes in groups.values()])
        every = np.concatenate(list(found.values()))
        right = {"class": by_class(model, every) == truth, "text": by_text(model, every) == truth}
        for name, hits in right.items():
            figures[f"{name}{ending}"] = float(hits.mean())
            for one in np.unique(source):
                figures[f"{name}, {one}{ending}"] = float(hits[source == one].mean())
    return figures | told_apart(model, people.recordings, seed)


def told_apart(model: PointSetModel, people: Recordings, seed: int) -> dict[str, float]:
    """AUROC of a blow's text for blows that arrive, against the same blows with nobody where they go."""
    rng = np.random.default_rng(seed)
    sentences: Mapping[str, str] = {
        PUNCHED: "a person punches another person", KICKED: "a person kicks another person",
        PUSHED: "a person pushes another person",
    }  # fmt: skip
    figures = {}
    for pair, sentence in sentences.items():
        if sentence not in model.text:
            continue
        hits = [blow_cut(people, pair, rng, arrives=True) for _ in range(ROUNDS)]
        misses = [blow_cut(people, pair, rng, arrives=False) for _ in range(ROUNDS)]
        label = (Label(pair, (sentence,)),)
        vector = model.text[sentence][None]
        for missing in (0.0, 0.2):
            scores = []
            for cuts in (hits, misses):
                scenes = stacked([replace(cut, label=pair) for cut in cuts], label)[2]
                scores.append(model.similarity(features(model, scenes, missing), vector))
            figures[f"AUROC {pair}{' (20 % missing)' if missing else ''}"] = auroc(*scores)
    return figures
