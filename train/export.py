"""A trained network as a checkpoint folder that serving loads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import nn

from models.checkpoint import FORMAT, LAYOUT, KnownAction, Manifest, read_manifest, save, write_manifest
from models.streaming import StreamingNetwork
from models.text import DEFAULT_MODEL, Embedder
from train.datasets.described import load_descriptions
from train.datasets.labels import BACKGROUND, SETS, default_prompts, load_actions
from train.datasets.windows import FRAMES, RATE
from train.reading import SMALLEST_PRIOR, TAUGHT_TEMPERATURE, Reading, Thresholds, mean_of_sets

Float32Array = NDArray[np.float32]
ROOT = Path(__file__).parents[1]
TERMS = "CC BY-NC 4.0, research use; see README.md beside this file for the terms of the data"
OWN_TERMS = "as the terms of the data that it was trained on allow"
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
    place = path.relative_to(ROOT).as_posix()
    return path.suffix in (".py", ".toml", ".txt") and not re.search(r"/(__pycache__|weights)/", place)


def own_bank(rows: Sequence[int]) -> tuple[KnownAction, ...]:
    """The actions of `labels.toml` with these indices, as a bank."""
    actions, described = load_actions(), {one.name: one.sentences for one in load_descriptions("own")}
    return tuple(
        KnownAction(
            name=actions[row].name,
            texts=tuple(
                dict.fromkeys((actions[row].texts[0], actions[row].name, *described.get(actions[row].name, ())))
            ),
            vocabulary="own",
            background=actions[row].name in BACKGROUND,
        )
        for row in rows
    )


def taught_bank() -> tuple[KnownAction, ...]:
    """The classes of NTU RGB+D 120 as a bank."""
    return tuple(
        KnownAction(one.name, tuple(dict.fromkeys((one.sentences[0], one.name, *one.sentences))), "ntu120")
        for one in load_descriptions("ntu120")
    )


def fold(network: StreamingNetwork, reading: Reading) -> StreamingNetwork:
    """A network that gives calibrated logits, with only the own actions `rows`.

    A taught action that the network names often counts for less (Menon et al., "Long-tail learning via logit
    adjustment", ICLR 2021): its classifier was made for other data than what cameras see.
    """
    state = {name: value.clone() for name, value in network.state_dict().items()}
    rows = reading.rows
    index = torch.tensor(rows, dtype=torch.int64)
    state["own.weight"] = state["own.weight"][index] / reading.own
    state["own.bias"] = state["own.bias"][index] / reading.own
    quiet = [load_actions()[row].name in BACKGROUND for row in rows]
    state["quiet"] = torch.tensor(quiet, dtype=torch.float32)
    state["centre"] = torch.from_numpy(reading.centre.copy())
    if network.taught:
        prior = torch.from_numpy(reading.prior.copy())
        state["classes.weight"] = state["classes.weight"] / TAUGHT_TEMPERATURE
        state["classes.bias"] = state["classes.bias"] / TAUGHT_TEMPERATURE - torch.log(prior + SMALLEST_PRIOR)
    folded = StreamingNetwork(len(rows), network.taught, **network.encoder.sizes)
    state["usual"] = torch.zeros(folded.taught + len(rows))
    folded.load_state_dict(state)
    folded.eval().requires_grad_(False)
    judged = folded.judge(torch.from_numpy(reading.sample))[:, : len(state["usual"])]
    folded.get_buffer("usual").copy_(torch.from_numpy(mean_of_sets(judged.numpy(), reading.sets)))
    return folded


def export_streaming(
    folder: Path,
    network: StreamingNetwork,
    reading: Reading,
    embedder: Embedder,
    training: dict[str, Any],
) -> Manifest:
    """Write the checkpoint of a streaming network; its thresholds are to be found with it (`set_thresholds`).

    Args:
        folder: where to.
        network: as trained.
        reading: how it is to be read.
        embedder: of the texts.
        training: what is to be remembered of how it came to be.
    """
    folded = fold(network, reading)
    bank = (*(taught_bank() if network.taught else ()), *own_bank(reading.rows))
    manifest = _manifest(
        architecture="streaming",
        arguments={"own": len(reading.rows), "taught": network.taught, **network.encoder.sizes},
        enter=0.5,
        exit=0.3,
        bank=bank,
        trust=reading.trust,
        training=training,
    )
    return _save(folder, manifest, folded, embedder, reading.references)


def set_thresholds(folder: Path, thresholds: Thresholds) -> Manifest:
    """Write other thresholds, and the F1 that they were chosen for, into a checkpoint."""
    manifest = read_manifest(folder)
    training = {**manifest.training, "validation_f1_at_enter": round(thresholds.f1, 4)}
    return write_manifest(folder, replace(manifest, enter=thresholds.enter, exit=thresholds.exit, training=training))


def background_texts() -> tuple[str, ...]:
    """First sentence of each action that is no news."""
    return tuple(action.texts[0] for action in load_actions() if action.name in BACKGROUND)


def shipped_texts(known: Sequence[str]) -> tuple[str, ...]:
    """Texts whose vectors come with a checkpoint: those that it knows, and what is likely to be asked for."""
    aliases = [text for action in load_actions() for text in action.texts]
    return tuple(dict.fromkeys([*known, *EXTRA_BACKGROUND, *default_prompts(), *aliases]))


def _manifest(*, bank: tuple[KnownAction, ...], training: dict[str, Any], **rest: Any) -> Manifest:
    return Manifest(
        format=FORMAT,
        layout=LAYOUT,
        rate_hz=RATE,
        frames=FRAMES,
        text_model=DEFAULT_MODEL,
        text_dim=0,
        bank=bank,
        background=background_texts(),
        texts=shipped_texts([text for action in bank for text in action.texts]),
        training={**training, "code_sha256": code_digest()},
        terms=TERMS if training.get("teacher") or set(training["data"]) & {*SETS} else OWN_TERMS,
        **rest,
    )


def _save(
    folder: Path, manifest: Manifest, network: nn.Module, embedder: Embedder, references: Float32Array | None = None
) -> Manifest:
    vectors = embedder.embed(manifest.texts)
    return save(folder, replace(manifest, text_dim=vectors.shape[1]), halved(network), vectors, references)


def halved(network: nn.Module) -> dict[str, NDArray[Any]]:
    """A network's state for a checkpoint.

    Large arrays are of half precision: half the size on disk and in the repository; what is computed with is float32.
    """
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    return {name: np.asarray((value.half() if value.ndim > 1 else value).numpy()) for name, value in state.items()}
