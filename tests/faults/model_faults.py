"""Faults of models: files that are not what they should be, at the start and under a running daemon."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from safetensors.numpy import load, save
from small_model import make_model

from tests.faults.catalogue import fault
from tests.faults.command import refused, shown
from tests.faults.heard import until
from tests.faults.scene import DEMO, Scene

CARD, WEIGHTS = "model.json", "model.safetensors"
RECORDING = DEMO / "Ges01_wavehand.csv"
ONE_LINE = "exit code 2 and one line with the file and what was expected; nothing is unpacked or run"


@cache
def whole() -> dict[str, bytes]:
    """The files of a small model."""
    with TemporaryDirectory() as folder:
        make_model(Path(folder) / "m")
        return {path.name: path.read_bytes() for path in (Path(folder) / "m").iterdir()}


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def vouched(files: dict[str, bytes]) -> dict[str, bytes]:
    """These files with a card that has the weights' digest as it is now."""
    card = json.loads(files[CARD]) | {"weights_sha256": sha256(files[WEIGHTS]).hexdigest()}
    return {**files, CARD: json.dumps(card).encode()}


def changed(change: Callable[[dict[str, np.ndarray]], object]) -> dict[str, bytes]:
    """The model with other tensors, and a card that vouches for them."""
    tensors = {name: np.array(value) for name, value in load(whole()[WEIGHTS]).items()}
    change(tensors)
    return vouched({**whole(), WEIGHTS: save(tensors)})


def first(tensors: dict[str, np.ndarray]) -> str:
    """Name of a tensor of several weights."""
    return next(name for name, value in sorted(tensors.items()) if value.ndim > 1 and value.dtype == np.float32)


def replayed(scene: Scene, files: dict[str, bytes], *words: str) -> str:
    """Replay a recording with a model of these files; how it is refused."""
    put(scene.folder / "model", files)
    config = scene.write_config("", head='[model]\npath = "model"\ndevice = "cpu"')
    config.write_text(config.read_text().replace("[[sources]]\n\n", "").replace("a person punches", "a person jumps"))
    line = refused("replay", RECORDING, "--speed", "max", "--config", config, words=[str(scene.folder), *words])
    return shown(line, scene.folder)


@fault("models", "the weights are cut short", how="the last half is missing, as of a broken copy", required=ONE_LINE)
def truncated(scene: Scene) -> str:
    weights = whole()[WEIGHTS]
    return replayed(scene, {**whole(), WEIGHTS: weights[: len(weights) // 2]}, WEIGHTS, "sha256")


@fault(
    "models",
    "the weights are cut short, and the card vouches for them",
    how="the last half is missing, digest made anew",
    required=ONE_LINE,
)
def truncated_and_vouched(scene: Scene) -> str:
    weights = whole()[WEIGHTS]
    return replayed(scene, vouched({**whole(), WEIGHTS: weights[: len(weights) // 2]}), WEIGHTS, "safetensors")


@fault("models", "weights that are no numbers", how="one NaN among the weights, digest made anew", required=ONE_LINE)
def not_finite(scene: Scene) -> str:
    def poison(tensors: dict[str, np.ndarray]) -> None:
        tensors[first(tensors)].flat[7] = np.nan

    return replayed(scene, changed(poison), WEIGHTS, "not finite")


@fault("models", "one bit of the weights has flipped", how="one bit, in the middle of the file", required=ONE_LINE)
def flipped(scene: Scene) -> str:
    weights = bytearray(whole()[WEIGHTS])
    weights[len(weights) // 2] ^= 4
    return replayed(scene, {**whole(), WEIGHTS: bytes(weights)}, WEIGHTS, "sha256 is not the one in")


@fault("models", "weights of another shape", how="a row is missing, digest made anew", required=ONE_LINE)
def reshaped(scene: Scene) -> str:
    def cut(tensors: dict[str, np.ndarray]) -> None:
        tensors[first(tensors)] = tensors[first(tensors)][1:].copy()

    return replayed(scene, changed(cut), WEIGHTS, "expected (")


class Planted:
    """What a pickle runs as it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.mkdir, (str(self.mark), 0o700)


@fault(
    "models",
    "a pickle under the name of the weights",
    how="a pickle that makes a folder when it is read, renamed, digest made anew",
    required=f"{ONE_LINE}: the folder is not made",
)
def renamed_pickle(scene: Scene) -> str:
    mark = scene.folder / "planted"
    told = replayed(scene, vouched({**whole(), WEIGHTS: pickle.dumps(Planted(mark))}), WEIGHTS, "is a pickle")
    assert not mark.exists()
    return told


@fault("models", "weights of 16 GiB", how="a sparse file under the name of the weights", required=ONE_LINE)
def bomb(scene: Scene) -> str:
    put(scene.folder / "model", whole())
    with (scene.folder / "model" / WEIGHTS).open("r+b") as file:
        file.truncate(16 << 30)
    return replayed(scene, {CARD: whole()[CARD]}, WEIGHTS, "expected at most")


@fault("models", "the card is missing", how=f"no {CARD}", required=ONE_LINE)
def no_card(scene: Scene) -> str:
    return replayed(scene, {name: data for name, data in whole().items() if name != CARD}, CARD, "cannot be read")


@fault("models", "a card of another format", how='`"format": 99` in the card', required=ONE_LINE)
def newer_card(scene: Scene) -> str:
    card = json.loads(whole()[CARD]) | {"format": 99}
    return replayed(scene, {**whole(), CARD: json.dumps(card).encode()}, "format 99", "reads format")


@fault(
    "models",
    "a text that is not known, and no text encoder",
    how="`--prompt` of a new text; the package hidden, an empty cache",
    required="exit code 2 and one line that says what to install",
)
def no_text_encoder(scene: Scene) -> str:
    hidden = patch.dict(sys.modules, {"sentence_transformers": None})
    empty = patch.dict(os.environ, {"XDG_CACHE_HOME": str(scene.folder / "cache")})
    with hidden, empty:
        line = refused(
            *("replay", RECORDING, "--speed", "max", "--prompt", "a person juggles four lemons"),
            words=["sentence-transformers is not installed", ".[text]"],
        )
    return shown(line, scene.folder)


@fault(
    "models",
    "the model is damaged under a running daemon",
    how="the weights cut short on disk; then the worker is killed; then the weights are put back",
    required="the running model stays; the new worker says in one line what is wrong and is tried again; "
    "alarms come again by themselves once the file is good",
    slow=True,
)
def damaged_while_running(scene: Scene) -> str:
    put(scene.folder / "model", whole())
    config = scene.write_config(head='[model]\npath = "model"\ndevice = "cpu"')
    config.write_text(config.read_text().replace("a person punches", "a person jumps"))
    weights = scene.folder / "model" / WEIGHTS
    with scene.daemon() as daemon:
        publisher, worker = daemon.pids("publisher"), daemon.pids("worker")
        weights.write_bytes(whole()[WEIGHTS][:1000])
        daemon.flows()
        assert daemon.pids("worker") == worker
        since = len(daemon.log)
        daemon.kill("worker")
        until(lambda: daemon.said("posewire worker: ", since), 60, lambda: daemon.log[-800:])
        line = daemon.said("posewire worker: ", since)[0]
        assert "sha256 is not the one in" in line, line
        weights.write_bytes(whole()[WEIGHTS])
        back = daemon.flows(seconds=90)
        assert daemon.pids("publisher") == publisher
        daemon.unhurt()
    return f"alarms went on; refused by the new worker; alarms again {back:.1f} s after the file was put back"
