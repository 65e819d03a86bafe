"""The trainings of an experiment, each gone on with where it stopped, or read where it was finished before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from safetensors.torch import save as format_tensors
from torch import nn

from models.encoders import make_encoder
from models.methods import Method, method_class
from models.whole_file import replacing, write_whole
from models.words import facet_texts
from train.papers.class_texts import class_texts
from train.papers.fitting import Fitting, Objective
from train.papers.key_frames import Reading, mask_key_frames
from train.papers.objectives import EndToEnd, OnFeatures, Pretraining, encode
from train.papers.options import (
    VERSION,
    Embed,
    Options,
    Report,
    fitting_schedule,
    folder_of,
    pretraining_schedule,
    shared_folder,
)
from train.papers.parts import Division, Part, local_labels
from train.papers.recipes import Schedule, arguments
from train.runs import STATE, ResumeError, run

Float32Array = NDArray[np.float32]
WEIGHTS, TOLD = "model.safetensors", "settings.json"


class Stages:
    """What is trained for one experiment.

    Args:
        division: what to learn from.
        options: how.
        embed: the text model.
        report: told of every step, if given.

    Attributes:
        given: whether the division has features instead of clips.
        texts: the texts of each class.
        vectors: (C, F, D) of all classes.

    Raises:
        ModelError: there is no such recipe or encoder.
        ResumeError: at any time; a folder holds what was trained with other settings. Or the recipe needs clips.
    """

    def __init__(self, division: Division, options: Options, embed: Embed, report: Report | None) -> None:
        self._division, self._options, self._report = division, options, report
        self._kind = method_class(options.recipe)
        self._folder = folder_of(division, options)
        self._encoder_folder = shared_folder(division, options) / f"encoder-{options.encoder}"
        self.given = division.train.inputs.ndim == 2
        if self.given and self._kind.end_to_end:
            raise ResumeError(f"recipe {options.recipe}: is trained on clips; {division.dataset} has features only")
        self.texts = class_texts(division, options.texts)
        self.vectors = torch.from_numpy(text_vectors(self.texts, self._kind, embed))
        self._seen = self.vectors[list(division.seen)]
        self._encoder: nn.Module | None = None
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def wants_masked(self) -> bool:
        """Whether the method learns from clips without their key frames too, and there are clips."""
        return self._kind.needs_masked and self._options.mask != "none" and not self.given

    def encoder(self) -> nn.Module:
        """The frozen encoder; that of an end-to-end recipe is there once `method` was called."""
        if self._encoder is None:
            plan = pretraining_schedule(self._division, self._options)
            encoder = self._new_encoder(plan)
            train, validation = self._learnt()
            objective = Pretraining(encoder, train, validation, len(self._division.seen))
            self._train("encoder", objective, plan, self._encoder_folder, self._encoder_settings())
            self._encoder = encoder
        return self._encoder

    def method(self) -> Method:
        """The method, fitted on the seen classes; in eval mode on the CPU."""
        plan = fitting_schedule(self._division, self._options)
        method, (train, validation) = self._new_method(), self._learnt()
        objective: Objective
        if self._kind.end_to_end:
            encoder = self._new_encoder(plan)
            objective = EndToEnd(encoder, method.to(self._device), train, validation, self._seen)
            self._train(self._options.recipe, objective, plan, self._folder, self._method_settings())
            self._encoder = encoder
            return method.cpu()
        train = replace(train, inputs=self.features("train"))
        validation = replace(validation, inputs=self.features("validation"))
        masked = self.features("masked") if self.wants_masked else None
        objective = OnFeatures(method, train, validation, masked, self._seen)
        self._train(self._options.recipe, objective, plan, self._folder, self._method_settings())
        return method

    def rehearsed(self, division: Division, masked: Float32Array | None = None) -> Method:
        """The method fitted afresh on another division of the features, and kept nowhere.

        Args:
            division: of features.
            masked: features of its training clips without their key frames, where the method wants them.
        """
        plan, method = fitting_schedule(self._division, self._options), self._new_method()
        if plan.optimiser == "sgd":  # an end-to-end schedule: here only the method's own part is fitted
            plan = replace(plan, optimiser="adam", lr=1e-3, weight_decay=0.0)
        train, validation = _local(division)
        objective = OnFeatures(method, train, validation, masked, self.vectors[list(division.seen)])
        fitting = Fitting(objective, plan, self._options.seed)
        while fitting.step_number < fitting.steps:
            fitting.step()
            if fitting.step_number % fitting.judge_every == 0 or fitting.step_number == fitting.steps:
                fitting.judge()
        fitting.keep_best()
        return method

    def features(self, part: str) -> Float32Array:
        """Features (N, 256) of a part, or of the training clips without their key frames ("masked")."""
        inputs = (self._division.train if part == "masked" else getattr(self._division, part)).inputs
        if self.given:
            return np.asarray(inputs[np.arange(len(inputs))], np.float32)
        mask = self._options.mask
        name = f"{part}-{mask}" if part == "masked" else part
        folder = self._folder if self._kind.end_to_end else self._encoder_folder
        path = folder / f"features-{name}.npy"
        if path.is_file() and (self._kind.end_to_end or self._is_trained(folder, self._encoder_settings())):
            kept: Float32Array = np.load(path, allow_pickle=False)
            return kept
        features = encode(self.encoder(), inputs, self._without_key_frames if part == "masked" else None)
        with replacing(path) as file:
            np.save(file, features)
        return features

    def _without_key_frames(self, clips: Float32Array, start: int) -> Float32Array:
        reading: Reading = "released" if self._options.mask == "released" else "paper"
        return mask_key_frames(clips, reading, seed=self._options.seed + start)

    def _new_encoder(self, plan: Schedule) -> nn.Module:
        torch.manual_seed(self._options.seed)
        return make_encoder(self._options.encoder, plan.dropout).to(self._device)

    def _new_method(self) -> Method:
        torch.manual_seed(self._options.seed)
        return self._kind(self.vectors.shape[2], **arguments(self._options.recipe, self._division.dataset))

    def _learnt(self) -> tuple[Part, Part]:
        return _local(self._division)

    def _encoder_settings(self) -> dict[str, Any]:
        return self._settings(pretraining_schedule(self._division, self._options), bf16=self._options.bf16)

    def _method_settings(self) -> dict[str, Any]:
        plan, end_to_end = fitting_schedule(self._division, self._options), self._kind.end_to_end
        told = self._settings(plan, bf16=end_to_end and self._options.bf16)
        told |= {"texts": digest_of(self.texts), "arguments": arguments(self._options.recipe, self._division.dataset)}
        return told if end_to_end or self.given else {**told, "encoder": self._encoder_settings()}

    def _settings(self, plan: Schedule, *, bf16: bool) -> dict[str, Any]:
        """What must be the same for a training to be gone on with, or read instead of done."""
        return {"version": VERSION, **asdict(plan), "bf16": bf16, "data": self._division.digest}

    def _is_trained(self, folder: Path, settings: dict[str, Any]) -> bool:
        """Whether a folder holds a finished training; ResumeError if what it holds is of other settings."""
        told = folder / TOLD
        if told.is_file() and json.loads(told.read_text(encoding="utf-8")) != settings:
            raise ResumeError(f"{folder}: trained on other data or otherwise; expected the same, or another --run")
        return told.is_file() and (folder / WEIGHTS).is_file()

    def _train(self, what: str, objective: Objective, plan: Schedule, folder: Path, settings: dict[str, Any]) -> None:
        """Train what is not trained yet, and leave it in eval mode."""
        fitting = Fitting(objective, plan, self._options.seed, bf16=settings["bf16"])
        path = folder / WEIGHTS
        if self._is_trained(folder, settings):
            objective.model.load_state_dict(load_file(path, device=str(next(objective.model.parameters()).device)))
            objective.model.eval().requires_grad_(False)
            return
        report = self._report

        def say(step: int, loss: float, scores: dict[str, float] | None) -> None:
            if report is not None:
                report(what, step, fitting.steps, loss, scores)

        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / TOLD, json.dumps(settings, indent=1, sort_keys=True).encode() + b"\n")
        run(fitting, folder, resume=True, report=say)
        fitting.keep_best()
        write_whole(path, format_tensors({n: value.contiguous() for n, value in objective.model.state_dict().items()}))
        (folder / STATE).unlink()


def _local(division: Division) -> tuple[Part, Part]:
    """The parts for training and validation, labelled by places in the seen classes."""
    train, validation = (
        replace(part, labels=local_labels(part, division.seen)) for part in (division.train, division.validation)
    )
    return train, validation


def digest_of(texts: Sequence[tuple[str, ...]]) -> str:
    """Tells texts of classes from others."""
    return sha256(repr(list(texts)).encode()).hexdigest()[:16]


def text_vectors(texts: Sequence[tuple[str, ...]], kind: type[Method], embed: Embed) -> Float32Array:
    """Vectors (K, F, D) of classes: for each facet the mean over the class's texts, of unit norm."""
    split = [[facet_texts(text, kind.facets) for text in group] for group in texts]
    every = list(dict.fromkeys(part for group in split for facets in group for part in facets))
    place = {text: row for row, text in enumerate(every)}
    vectors = embed(every)
    means = [np.mean([vectors[[place[part] for part in facets]] for facets in group], axis=0) for group in split]
    stacked = np.stack(means)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=2, keepdims=True), np.float32)
