"""What a recipe trained, as a checkpoint folder that `posewire run` and `posewire replay` serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.checkpoint import FORMAT, LAYOUT, KnownAction, Manifest, save
from models.errors import ModelError
from models.examples import class_means
from models.frame50 import FRAMES
from models.method_head import MethodHead
from models.methods import Method
from models.recipe import RecipeNetwork, make_recipe
from models.tensors import check_tensors
from models.whole_file import write_whole
from train.calibrate import EXIT_SHARE, mean_f1, steady_best
from train.card import SET_TERMS, table
from train.datasets.windows import RATE
from train.export import OWN_TERMS, background_texts, code_digest, halved, shipped_texts
from train.metrics import softmax
from train.papers.objectives import encode
from train.papers.parts import Division
from train.papers.recipes import arguments as arguments_of

Float32Array = NDArray[np.float32]
TEMPERATURES = np.geomspace(1e-3, 1e3, 241)
"""The methods' scores are cosines, logits or log likelihoods: their sizes have nothing in common."""
REFERENCES = 16
"""Clips of each seen class whose mean is shipped, for actions taught by examples to compete with."""
USE = "non-commercial research use"
TERMS = f"{USE}; see README.md beside this file for the terms of the data"
_NTU = "academic, non-commercial research; not to be passed on"
DATA_TERMS = {
    "ntu60": ("NTU RGB+D (ROSE Lab, NTU Singapore)", _NTU),
    "ntu120": ("NTU RGB+D 120 (ROSE Lab, NTU Singapore)", _NTU),
    "pku1": ("PKU-MMD, phase 1 (Peking University)", "non-commercial research"),
    "pku2": ("PKU-MMD, phase 2 (Peking University)", "non-commercial research"),
    **SET_TERMS,
}
"""Name and terms of the data of each set; datasets joined by "+" are of several."""


class RecipeCalibration(NamedTuple):
    """How a recipe's scores are read: the softmax's temperature, and the thresholds of an event's probability."""

    temperature: float
    enter: float
    exit: float


def calibrate_recipe(scores: Float32Array, labels: NDArray[np.int64]) -> RecipeCalibration:
    """The temperature of least negative log likelihood and the threshold of the best F1; classes count equally.

    Args:
        scores: (N, S) of held-out clips against the seen classes.
        labels: (N,) columns of `scores`.

    Raises:
        ModelError: there are no clips, or a score is not finite.
    """
    if not len(labels) or not np.isfinite(scores).all():
        raise ModelError("calibration: expected finite scores of at least one held-out clip of a seen class")
    present, counts = np.unique(labels, return_counts=True)
    weights = 1 / counts[np.searchsorted(present, labels)] / len(present)
    wide, rows = scores.astype(np.float64), np.arange(len(labels))

    def loss(temperature: float) -> float:
        own = softmax(wide / temperature)[rows, labels]
        return float(-(weights * np.log(np.maximum(own, 1e-12))).sum())

    temperature = float(f"{min(TEMPERATURES, key=loss):.4g}")
    probability = softmax(wide / temperature)
    enter, _ = steady_best(lambda threshold: mean_f1(labels, probability, threshold, present.tolist()))
    return RecipeCalibration(temperature, round(enter, 3), round(EXIT_SHARE * enter, 3))


def export_recipe(
    folder: Path,
    encoder: nn.Module,
    method: Method,
    *,
    recipe: str,
    encoder_name: str,
    division: Division,
    texts: Sequence[tuple[str, ...]],
    text_model: str,
    embed: Callable[[Sequence[str]], Float32Array],
    temperature: float,
    enter: float,
    exit: float,
    training: Mapping[str, Any],
    rate_hz: float = RATE,
    arguments: Mapping[str, int | float] | None = None,
) -> Manifest:
    """Write a checkpoint: the seen classes are its bank, and the vectors of all that it was told of are shipped.

    Args:
        folder: where to; made if missing.
        encoder, method: as trained; they are in eval mode afterwards.
        recipe, encoder_name: their names.
        division: what was learned from; of clips, not of features.
        texts: descriptions of each of the division's classes, one or more.
        text_model: name of the text model.
        embed: that text model: texts to unit vectors (K, D).
        temperature, enter, exit: see `calibrate_recipe`.
        training: what is to be remembered of how it came to be, JSON-able.
        rate_hz: of the stream's windows of 50 frames: 25 makes them 2 s long. Clips were resized to 50 frames however
            long they were; a rate that makes windows as long as most of them suits best.
        arguments: of the method besides D; None for those of the recipe on the division's dataset.

    Raises:
        ModelError: the division has features only, a class has no text, or encoder and method are not what they are
            called.
        OSError: it cannot be written.
    """
    if division.train.inputs.ndim != 5:
        raise ModelError(f"{division.dataset}: has features only; expected clips, whose encoder can be served")
    if len(texts) != len(division.classes) or not all(texts):
        raise ModelError(f"{folder}: expected one text or more for each of {len(division.classes)} classes")
    given = arguments_of(recipe, division.dataset) if arguments is None else dict(arguments)
    network = RecipeNetwork(encoder, method).eval()
    weights = halved(network)
    try:
        check_tensors(make_recipe(recipe, encoder_name, method.text_dim, given), weights, f"{recipe} on {encoder_name}")
    except (TypeError, ValueError) as error:
        raise ModelError(f"{recipe}: takes no arguments {given} ({error})") from error
    shipped = _shipped(MethodHead(method, temperature, recipe), texts)
    told = {"recipe": recipe, "dataset": division.dataset, "split": division.split, "data": parts_of(division.dataset)}
    manifest = Manifest(
        format=FORMAT,
        architecture="method",
        arguments=given,
        recipe=recipe,
        encoder=encoder_name,
        layout=LAYOUT,
        rate_hz=rate_hz,
        frames=FRAMES,
        text_model=text_model,
        text_dim=method.text_dim,
        temperature=temperature,
        enter=enter,
        exit=exit,
        bank=tuple(KnownAction(division.classes[k], texts[k], division.dataset) for k in division.seen),
        background=background_texts(),
        texts=shipped,
        training={"name": f"{recipe} on {division.dataset}", **training, **told, "code_sha256": code_digest()},
        terms=TERMS if set(parts_of(division.dataset)) & DATA_TERMS.keys() else OWN_TERMS,
    )
    manifest = save(folder, manifest, weights, embed(shipped), _references(network, division))
    write_whole(folder / "README.md", _card(manifest, division).encode())
    return manifest


def parts_of(dataset: str) -> list[str]:
    """Names of the sets that a dataset is made of."""
    return dataset.split("+")


def _shipped(head: MethodHead, texts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Texts that need no text model where it is served, and what the method takes of them."""
    whole = shipped_texts([text for group in texts for text in group])
    return tuple(dict.fromkeys([*whole, *(part for text in whole for part in head.facet_texts(text))]))


def _references(network: RecipeNetwork, division: Division) -> Float32Array:
    """Mean embeddings (R, E) of clips of each seen class that was learned from."""
    labels = division.train.labels
    rows = np.sort(np.concatenate([np.flatnonzero(labels == one)[:REFERENCES] for one in np.unique(labels)]))
    features = torch.from_numpy(encode(network.encoder, division.train.inputs[rows]))
    with torch.inference_mode():
        device = next(network.method.parameters(), features).device
        embeddings = network.method.embed(features.to(device)).cpu().numpy()
    return class_means(embeddings, np.unique(labels[rows], return_inverse=True)[1])


def _card(manifest: Manifest, division: Division) -> str:
    """What the checkpoint is, what it was made of, and what may be done with it, in markdown."""
    figures = {key: value for key, value in manifest.training.items() if isinstance(value, int | float)}
    rows = [
        ("recipe, encoder", f"{manifest.recipe}, {manifest.encoder}"),
        ("dataset, split", f"{division.dataset}, {division.split}"),
        ("clips learned from, held out to select by", f"{len(division.train)}, {len(division.validation)}"),
        ("text model", f"{manifest.text_model}, {manifest.text_dim} numbers"),
        ("temperature, enter, exit", f"{manifest.temperature}, {manifest.enter}, {manifest.exit}"),
        ("windows", f"{manifest.frames} frames at {manifest.rate_hz:g} Hz, 25 joints, one person"),
        *((key, f"{value:g}") for key, value in figures.items()),
        ("sha256 of the weights", f"`{manifest.weights_sha256[:16]}...`"),
    ]
    data = [(name, *DATA_TERMS.get(name, (name, "its owner's"))) for name in parts_of(division.dataset)]
    terms = f"{USE}; the terms of the data are below" if manifest.terms == TERMS else manifest.terms
    unseen = ", ".join(division.classes[k] for k in division.unseen)
    return f"""# {manifest.training["name"]}

A model of the recipe `{manifest.recipe}`, trained on {len(division.seen)} classes to recognise others by their texts.
Classes that it never saw: {unseen}.

**Terms of these weights**: {terms}.

{table(("", ""), rows)}

## Data

{table(("set", "name", "terms"), data)}

## What it cannot do

- Its probabilities are shares: of the prompts and of what competes with them, one must be the best. What is done must
  be among them, or resemble the background texts.
- It was trained on clips of one action each, from their beginning to their end; a stream's windows are cut anywhere.
- It is shown one person at a time, also where the data has two.
- Not for decisions about people.
"""
