"""Experiments of seconds: a few clips of six actions that are easy to tell apart, and texts of random vectors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train.datasets.clip_set import ClipSet
from train.datasets.splits import Split
from train.papers.divide import divide
from train.papers.experiment import Options, run
from train.papers.parts import Division

CLASSES = ("bow", "clap", "jump", "kick", "throw", "wave")
SPLIT = Split("tiny", "4/2", "mine", ("jump", "wave"))
DIM = 12


def clip_set() -> ClipSet:
    """36 clips of one body: each of six people moves one joint per action, in its own way."""
    random, t = np.random.default_rng(0), np.arange(50) / 50
    labels = np.tile(np.arange(6), 6)
    x = random.normal(0, 0.05, (36, 3, 50, 25, 1)).astype(np.float32)
    for i, label in enumerate(labels):
        x[i, label % 3, :, 4 * label, 0] += np.sin(2 * np.pi * (1 + label) * t)
    people = np.array([f"s{1 + i // 6}" for i in range(36)])
    none, names = np.full(36, ""), np.array([f"clip {i}" for i in range(36)])
    return ClipSet("tiny", CLASSES, x, labels.astype(np.int64), people, none, none, names)


def division() -> Division:
    """People 1, 3 train, 5 validates, 2, 4 and 6 test; "jump" and "wave" are unseen."""
    return divide(clip_set(), SPLIT, "people")


def embed(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A random unit vector for each text, the same each time."""
    seeds = [int.from_bytes(sha256(text.encode()).digest()[:8], "little") for text in texts]
    vectors = np.stack([np.random.default_rng(seed).normal(size=DIM) for seed in seeds])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def main(recipe: str, folder: str, epochs: str, threads: str, last: str) -> None:
    """An experiment in a process of its own, which at its step `last` says so and waits to be killed."""
    torch.set_num_threads(int(threads))
    options = Options(recipe, epochs=int(epochs), pretrain_epochs=2, run=Path(folder))

    def report(what: str, step: int, steps: int, loss: float, scores: dict[str, float] | None) -> None:  # noqa: ARG001
        if f"{what} {step}" == last:
            sys.stdout.write("there\n")
            sys.stdout.flush()
            sys.stdin.read()

    run(division(), options, embed, report)
