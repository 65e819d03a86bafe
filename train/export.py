"""A trained network as a checkpoint folder that serving loads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.checkpoint import FORMAT, LAYOUT, KnownAction, Manifest, save
from models.preprocess import Centre, PreprocessOptions
from models.text import DEFAULT_MODEL, Embedder
from train.calibrate import Calibration
from train.datasets.labels import BACKGROUND, default_prompts, load_actions
from train.datasets.windows import FRAMES, RATE

ROOT = Path(__file__).parents[1]
TERMS = "CC BY-NC 4.0, research use; see README.md beside this file for the terms of the data"
EXTRA_BACKGROUND = (
    "a person sitting",
    "a person standing",
    "a person standing with the arms hanging down",
    "a person turning around",
)
"""Texts of what is no news that the model has no examples of; shipped, so that a configuration may name them."""


def code_digest() -> str:
    """Digest of the sources that a model comes from, the same on every machine."""
    digest = sha256()
    files = [file for folder in ("models", "train") for file in (ROOT / folder).rglob("*") if _is_source(file)]
    for path in sorted(files, key=lambda file: file.relative_to(ROOT).as_posix()):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _is_source(path: Path) -> bool:
    return path.suffix in (".py", ".toml", ".txt") and not re.search(r"/(__pycache__|weights)/", path.as_posix())


def export(
    folder: Path,
    weights: Mapping[str, Tensor],
    embedder: Embedder,
    calibration: Calibration,
    *,
    centre: Centre,
    training: dict[str, Any],
) -> Manifest:
    """Write a checkpoint.

    Args:
        folder: where to.
        weights: state of a `TextAlignedSTGCN`.
        embedder: the text model that it was trained with.
        calibration: temperature and thresholds.
        centre: see `PreprocessOptions`.
        training: what is to be remembered of how it came to be.
    """
    actions = load_actions()
    bank = tuple(KnownAction(action.name, action.texts[0]) for action in actions)
    background = tuple(action.texts[0] for action in actions if action.name in BACKGROUND)
    aliases = [text for action in actions for text in action.texts]
    texts = tuple(dict.fromkeys([*(known.text for known in bank), *EXTRA_BACKGROUND, *default_prompts(), *aliases]))
    vectors = embedder.embed(texts)
    manifest = Manifest(
        format=FORMAT,
        architecture="stgcn",
        arguments={},
        layout=LAYOUT,
        rate_hz=RATE,
        frames=FRAMES,
        preprocess=PreprocessOptions(centre),
        text_model=DEFAULT_MODEL,
        text_dim=vectors.shape[1],
        temperature=calibration.temperature,
        enter=calibration.enter,
        exit=calibration.exit,
        bank=bank,
        background=background,
        texts=texts,
        training={**training, "code_sha256": code_digest()},
        terms=TERMS,
    )
    arrays: dict[str, NDArray[Any]] = {name: np.asarray(value.cpu().numpy()) for name, value in weights.items()}
    return save(folder, manifest, arrays, vectors)
