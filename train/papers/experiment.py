"""One experiment: a recipe trained on the seen classes of one division and judged on the unseen ones.

A run's folder holds the encoder's folder, shared by all recipes that freeze it, and one of each recipe, with what was
trained (safetensors), `log.csv`, and `figures.json`, whose presence says that it is finished.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.alignment import align
from models.methods import Method, method_class
from models.whole_file import write_whole
from train.papers.class_texts import class_texts
from train.papers.objectives import top1
from train.papers.options import (
    FIGURES,
    VERSION,
    Embed,
    Mask,
    Options,
    Report,
    fitting_schedule,
    folder_of,
    pretraining_schedule,
)
from train.papers.parts import Division, local_labels
from train.papers.recipes import alpha, arguments
from train.papers.stages import Stages, digest_of
from train.runs import ResumeError

__all__ = ["Embed", "Fitted", "Mask", "Options", "Report", "fitted", "folder_of", "run"]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What an experiment trained, in eval mode on the CPU.

    Attributes:
        encoder: clips to features; None where the division has features.
        method: features and texts to scores.
        texts: the texts of each class.
        vectors: (C, F, D) of all classes.
        validation: (N, S) scores of the held-out clips against the seen classes, and their rows of these, (N,).
    """

    encoder: nn.Module | None
    method: Method
    texts: list[tuple[str, ...]]
    vectors: Tensor
    validation: tuple[NDArray[np.float32], NDArray[np.int64]]


def run(division: Division, options: Options, embed: Embed, report: Report | None = None) -> dict[str, Any]:
    """Train a recipe, or go on training it, and judge it.

    Args:
        division: what to learn from and to be judged on.
        options: how.
        embed: the text model.
        report: told of every step.

    Returns:
        Figures: "top1" and "aligned_top1" of the unseen classes' clips (shares, by the text and by PGFA's alignment),
        "n" clips, "per_class" and "confusion" of the unaligned, "validation" of the held-out clips of seen classes,
        and what they are of; with `generalised`, that too (see `train.papers.generalised`).

    Raises:
        ResumeError: the folder holds an experiment of other settings.
        ModelError: there is no such recipe or encoder.
    """
    folder, wanted = folder_of(division, options), _settings(division, options)
    if (folder / FIGURES).is_file():
        figures: dict[str, Any] = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
        if figures["settings"] != wanted:
            raise ResumeError(f"{folder}: holds an experiment of other settings; expected the same, or another --run")
        if "generalised" in figures or not options.generalised:
            return figures
    stages = Stages(division, options, embed, report)
    method = stages.method()
    figures = {
        "recipe": options.recipe,
        "dataset": division.dataset,
        "split": division.split,
        **{key: getattr(options, key) for key in ("seed", "texts", "text_model", "encoder")},
        **_judge(division, method, stages),
        "settings": wanted,
    }
    if options.generalised:
        from train.papers.generalised import judge_generalised

        figures["generalised"] = judge_generalised(division, method, stages, options.seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / FIGURES, json.dumps(figures, indent=1).encode() + b"\n")
    return figures


def fitted(division: Division, options: Options, embed: Embed) -> Fitted:
    """What `run` trained.

    Raises:
        ResumeError, ModelError: see `run`.
    """
    stages = Stages(division, options, embed, None)
    method = stages.method()
    with torch.no_grad():
        match = method.matcher(stages.vectors[list(division.seen)])
        scores = match(torch.from_numpy(stages.features("validation"))).numpy()
    encoder = None if stages.given else stages.encoder().cpu()
    labels = local_labels(division.validation, division.seen)
    return Fitted(encoder, method, stages.texts, stages.vectors, (np.asarray(scores, np.float32), labels))


def _settings(division: Division, options: Options) -> dict[str, Any]:
    """All that figures depend on."""
    kind = method_class(options.recipe)
    without = {"run", "generalised"} if kind.needs_masked else {"run", "generalised", "mask"}
    told = {key: value for key, value in asdict(options).items() if key not in without}
    method, encoder = fitting_schedule(division, options), pretraining_schedule(division, options)
    return {
        "version": VERSION,
        **told,
        "data": division.digest,
        "described": digest_of(class_texts(division, options.texts)),
        "unseen": [division.classes[k] for k in division.unseen],
        "schedules": [asdict(method)] if kind.end_to_end else [asdict(encoder), asdict(method)],
        "arguments": arguments(options.recipe, division.dataset),
        "alpha": alpha(division.dataset),
    }


@torch.no_grad()
def _judge(division: Division, method: Method, stages: Stages) -> dict[str, Any]:
    """Figures of the unseen classes, and of the held-out clips of the seen ones."""
    features, truth = (
        torch.from_numpy(stages.features("test_unseen")),
        local_labels(division.test_unseen, division.unseen),
    )
    vectors = stages.vectors[list(division.unseen)]
    scores = method.matcher(vectors)(features)
    aligned = align(method.embed(features), scores, method.anchors(vectors), alpha(division.dataset))
    held = method.matcher(stages.vectors[list(division.seen)])(torch.from_numpy(stages.features("validation")))
    names = [division.classes[k] for k in division.unseen]
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (truth, scores.argmax(dim=1).numpy()), 1)
    rows = enumerate(zip(names, confusion, strict=True))
    return {
        "top1": top1(scores, truth),
        "aligned_top1": top1(aligned, truth),
        "n": len(truth),
        "per_class": {name: float(row[k] / row.sum()) for k, (name, row) in rows if row.sum()},
        "confusion": {"classes": names, "counts": confusion.tolist()},
        "validation": top1(held, local_labels(division.validation, division.seen)),
        "digest": sha256(np.ascontiguousarray(scores.numpy()).tobytes()).hexdigest()[:16],
    }
