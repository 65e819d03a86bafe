"""How much of the teacher the student kept: both name the same clips by routing through the teacher's 120 classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.causal import STRIDE
from models.normaliser import NormaliserState, normalise
from models.ntu import FRAMES as TEACHER_FRAMES
from models.ntu import prepare, stretch
from models.streaming import StreamingNetwork, padded
from models.teacher import Teacher
from models.whole_file import replacing
from train.datasets.described import load_descriptions
from train.datasets.labelled import Clip
from train.datasets.windows import FRAMES
from train.routing import balanced_top, route
from train.teacher_eval import VOCABULARY

Float32Array = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Float32Array]


@dataclass(frozen=True, slots=True)
class Prompted:
    """A set's labels and how they are asked for: as they stand, and in clear phrases where there are any."""

    labels: tuple[str, ...]
    phrases: tuple[str, ...]

    @classmethod
    def of(cls, set_name: str, labels: Sequence[str]) -> Prompted:
        """Phrases from `ntu120.json`."""
        table = json.loads(VOCABULARY.read_text(encoding="utf-8"))["sets"].get(set_name, {})
        names = tuple(sorted(set(labels)))
        return cls(names, tuple(str(table[name]["phrase"]) if name in table else name for name in names))


def teacher_posterior(clips: Sequence[Clip], weights: Path, cache: Path) -> Float32Array:
    """What the teacher says of the first body of each clip, (N, 120); kept in a file, since it takes minutes."""
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as archive:
            if len(archive["posterior"]) == len(clips):
                return np.asarray(archive["posterior"], np.float32)
    bodies = [clip.bodies[0] for clip in clips]
    posterior = Teacher.load(weights).judge([prepare([(b.joints, b.confidence)]) for b in bodies]).posterior
    cache.parent.mkdir(parents=True, exist_ok=True)
    with replacing(cache) as file:
        np.savez(file, posterior=posterior)
    return posterior


@torch.no_grad()
def student_posterior(network: StreamingNetwork, clips: Sequence[Clip], *, disturbed: bool = False) -> Float32Array:
    """The same of the student, which sees the clip in 50 rows for 64 of the teacher's.

    Args:
        network: as trained.
        clips: N clips; the first body of each is looked at.
        disturbed: whether another clip, drawn at random, stands before each in one stream.
    """
    raw = [_rows(clip) for clip in clips]
    before = np.random.default_rng(0).permutation(len(clips))
    found = []
    for number, (joints, confidence) in enumerate(raw):
        state, stream = NormaliserState.new(1), []
        for x, mask in ([raw[before[number]]] if disturbed else []) + [(joints, confidence)]:
            stream.append(normalise(x[None], mask[None], state)[0])
        outputs = network.encoder(torch.from_numpy(np.concatenate(stream))[None])
        found.append(network.logits(outputs[:, :, -(len(joints) // STRIDE) :][:, :, 1:].mean(dim=2))[0].softmax(1))
    return np.asarray(torch.cat(found).numpy(), np.float32)


def _rows(clip: Clip) -> tuple[Float32Array, Float32Array]:
    """The first body of a clip in the student's rows, the first one repeated until they are a multiple of `STRIDE`."""
    body = clip.bodies[0]
    rows = round(max(len(body.joints), TEACHER_FRAMES) * FRAMES / TEACHER_FRAMES)
    repeated = np.concatenate((np.zeros(padded(rows), np.intp), np.arange(rows)))
    return stretch(body.joints, rows)[repeated], stretch(body.confidence, rows)[repeated]


def compare(
    prompted: Prompted, clips: Sequence[Clip], posteriors: dict[str, Float32Array], embed: Embed
) -> dict[str, Any]:
    """Class-balanced top-1 by routing, for each posterior, "labels" and "phrases" as prompts; and top-1 agreement.

    Args:
        prompted: the labels.
        clips: N clips.
        posteriors: by name, (N, 120); that of the "teacher" among them.
        embed: gives the unit vectors of texts.
    """
    classes: list[str] = json.loads(VOCABULARY.read_text(encoding="utf-8"))["classes"]
    truth = [prompted.labels.index(clip.label) for clip in clips]
    bank = embed(classes)
    asked = {"labels": embed(prompted.labels), "phrases": embed(prompted.phrases)}
    best = posteriors["teacher"].argmax(axis=1)
    return {
        name: {
            **{kind: balanced_top(route(posterior, bank, vectors), truth) for kind, vectors in asked.items()},
            "agreement": float((posterior.argmax(axis=1) == best).mean()),
        }
        for name, posterior in posteriors.items()
    }


def by_kind(
    prompted: Prompted, clips: Sequence[Clip], posterior: Float32Array, embed: Embed
) -> dict[str, dict[str, float]]:
    """Class-balanced top-1 by routing with each kind of description for the bank, "labels" and "phrases" as prompts.

    Args:
        prompted: the labels.
        clips: N clips.
        posterior: (N, 120) of the teacher.
        embed: gives the unit vectors of texts.
    """
    truth = [prompted.labels.index(clip.label) for clip in clips]
    described = [one.kinds for one in load_descriptions("ntu120")]
    kinds: dict[str, list[tuple[str, ...]]] = {kind: [one[kind] for one in described] for kind in described[0]}
    kinds["name and sentences"] = [(*one["name"], *one["sentence"]) for one in described]
    kinds["all of them"] = [tuple(text for texts in one.values() for text in texts) for one in described]
    found: dict[str, dict[str, float]] = {}
    for kind, groups in kinds.items():
        vectors = embed([text for group in groups for text in group])
        stops = np.cumsum([len(group) for group in groups])
        bank = np.stack([part.mean(axis=0) for part in np.split(vectors, stops[:-1])])
        bank /= np.linalg.norm(bank, axis=1, keepdims=True)
        found[kind] = {
            name: balanced_top(route(posterior, bank, embed(asked)), truth)
            for name, asked in (("labels", prompted.labels), ("phrases", prompted.phrases))
        }
    return found
