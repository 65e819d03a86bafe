"""A small untrained streaming model, whose embeddings are repeatable, and motions that it tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from poses import frame, person

from models.checkpoint import KnownAction, Manifest, Trusted, load, save
from models.normaliser import NormaliserState, normalise
from models.recogniser import Recogniser
from models.streaming import StreamingNetwork
from stream.sources.recording import RecordingWriter
from stream.types import NANOSECONDS, Float32Array

KICK = "a person kicks"
TEXTS = (
    "a person jumps",
    KICK,
    "a person stands still",
    "a person walks",
    "a person does something else",
)
MOTIONS = ("wave", "squat", "stand")


def pose(motion: str, seconds: float, seed: int = 0) -> Float32Array:
    """One moment of a person who waves the right hand, squats again and again, or stands; with some noise."""
    joints = person()
    if motion == "wave":
        swing = np.sin(2 * np.pi * 1.2 * seconds)
        joints[[9, 10, 11, 23, 24]] += np.array([0.15, 0.35, 0.0], np.float32)
        joints[[10, 11, 23, 24]] += np.array([0.3 * swing, 0.3, 0.0], np.float32)
    elif motion == "squat":
        upper = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 20, 21, 22, 23, 24]
        depth = 0.3 * (1 - np.cos(2 * np.pi * 0.5 * seconds))
        joints[upper, 1] -= depth
        joints[[13, 17], 2] -= 0.6 * depth
    noise = np.random.default_rng((seed, round(1000 * seconds))).normal(0, 0.004, joints.shape)
    return (joints + noise).astype(np.float32)


def record(path: Path, *parts: tuple[str, float], seed: int = 0, fps: float = 30.0) -> Path:
    """Write a recording of one person who does each motion for so many seconds."""
    with RecordingWriter(path, overwrite=True) as writer:
        number = 0
        for motion, length in parts:
            for _ in range(round(length * fps)):
                t = number / fps
                writer.write(frame(round(t * NANOSECONDS), pose(motion, t, seed), seq=number, source=path.stem))
                number += 1
    return path


def make_model(folder: Path, seed: int = 0) -> Recogniser:
    """Write a checkpoint and load it; its embeddings are centred on the motions above."""
    torch.manual_seed(seed)
    network = StreamingNetwork(own=2, taught=0, channels=32, hidden=32, features=48).eval()
    windows = np.stack(
        [
            np.stack([pose(motion, start + row / 25, 9) for row in range(50)])
            for motion in MOTIONS
            for start in (0.0, 0.7, 1.4, 2.1)
        ]
    )
    inputs = normalise(windows, np.ones(windows.shape[:3], np.float32), NormaliserState.new(len(windows)))
    with torch.inference_mode():
        network.get_buffer("centre").copy_(network(torch.from_numpy(inputs)).mean(dim=0))
    manifest = Manifest(
        format=2, architecture="streaming",
        arguments={"own": 2, "taught": 0, "channels": 32, "hidden": 32, "features": 48},
        layout="kinect_v2", rate_hz=25.0, frames=50, text_model="none", text_dim=8, enter=0.5, exit=0.3,
        bank=(KnownAction("jump", TEXTS[:1]), KnownAction("stand", TEXTS[2:3], background=True)),
        trust=Trusted((0.0, 1.0), (0.0, 1.0), 0.5), background=TEXTS[2:], texts=TEXTS, training={}, terms="none",
    )  # fmt: skip
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save(folder, manifest, weights, np.eye(len(TEXTS), 8, dtype=np.float32))
    return load(folder, "cpu")


def write_config(folder: Path, *lines: str) -> Path:
    """A configuration of the model in `model` beside it, one prompt, and addresses in the folder."""
    path = folder / "test.toml"
    text = f"""
[model]
path = "model"
device = "cpu"
[publish]
events = "ipc://{folder}/e"
query = "ipc://{folder}/q"
skeletons = "ipc://{folder}/s"
[[prompts]]
name = "kick"
text = "{KICK}"
"""
    path.write_text("\n".join((text, *lines)), encoding="utf-8")
    return path


def write_place(folder: Path) -> Path:
    """A model, and a configuration of it with one person who walks on the spot; returns the folder."""
    make_model(folder / "model")
    write_config(
        folder, "severity = 'alert'", "[[sources]]", "kind = 'synthetic'", "name = 'cam'", "fps = 15.0", "people = 1"
    )
    return folder


def write_random(
    folder: Path, actions: tuple[str, ...], texts: tuple[str, ...], background: tuple[str, ...]
) -> Float32Array:
    """A smaller checkpoint, of random weights and random vectors of its texts; returns these, (len(texts), 16)."""
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(len(texts), 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    sizes = {"channels": 16, "hidden": 16, "features": 16}
    network = StreamingNetwork(len(actions), 0, **sizes)
    manifest = Manifest(
        format=2, architecture="streaming", arguments={"own": len(actions), "taught": 0, **sizes},
        layout="kinect_v2", rate_hz=25.0, frames=50, text_model="none", text_dim=16, enter=0.3, exit=0.2,
        bank=tuple(KnownAction(name, (name,)) for name in actions), trust=Trusted((0.0, 1.0), (0.0, 1.0), 0.4),
        background=background, texts=texts, training={}, terms="none",
    )  # fmt: skip
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save(folder, manifest, weights, vectors)
    return vectors
