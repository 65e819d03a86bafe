"""An encoder whose answers are known, people who do what it knows, and archives of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoint import KnownAction
from models.heads import BankHead, Trust
from stream.layouts import CANONICAL

ACTIONS = ("raise", "duck", "lean", "kneel")
"""Each moves one joint, and by how much tells how sure the oracle may be."""
JOINTS = (11, 3, 4, 13)
POSE = np.random.default_rng(0).uniform(-0.2, 0.2, (25, 3)) + np.array([0.0, 1.0, 2.5])
POSE[[0, 1, 20], 1] = 0.9, 1.15, 1.4
FAR = 5.0
"""Metres by which the joint of an action is moved aside."""
META = json.dumps({"fps": 30, "units": "m"})


class Oracle:
    """Sees which joints are moved aside: certain where an action stands in the middle of a window, or fills a clip."""

    frames = 50
    rate_hz = 25.0

    def __init__(self) -> None:
        self.bank = tuple(KnownAction(name, (name,)) for name in ACTIONS)
        trust = Trust((0.0, 1.0), (1.0, 1.0), 0.4)
        average = np.full(len(ACTIONS), 1 / len(ACTIONS), np.float32)
        self.head = BankHead(tuple(embed([name]) for name in ACTIONS), np.zeros(len(ACTIONS), np.int64), trust, average)

    def encode(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return self.encode_clips(x, mask)

    def encode_clips(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        aside = (x[:, 0][:, :, list(JOINTS)] > FAR / 2) & (mask[:, :, list(JOINTS)] > 0)  # (N, T, K)
        at = np.linspace(-1, 1, x.shape[2])[None, :, None]
        middle = (aside * at).sum(axis=1) / np.maximum(aside.sum(axis=1), 1)
        known = np.where(aside.any(axis=1), 1 - np.abs(middle), 0.0)
        rest = np.full((len(x), 1), 0.01)
        embedding = np.concatenate((known, rest), axis=1)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        return np.concatenate((known, embedding), axis=1).astype(np.float32)

    def embedding(self, features: np.ndarray) -> np.ndarray:
        return features[:, len(self.bank) :]


def embed(texts: Any) -> np.ndarray:
    """Unit vectors at right angles for the known actions, and between them for what is no action."""
    known = np.eye(len(ACTIONS), dtype=np.float32)
    return np.stack([known[ACTIONS.index(t)] if t in ACTIONS else known.mean(axis=0) * 2 for t in texts])


def doing(label: str, frames: int) -> np.ndarray:
    """(T, 25, 3) metres."""
    joints = np.tile(POSE, (frames, 1, 1))
    if label in ACTIONS:
        joints[:, JOINTS[ACTIONS.index(label)], 0] += FAR
    return joints


def clips_file(path: Path, people: int = 4, each: int = 3, **changes: Any) -> Path:
    """Clips of all actions by some people, of 20 frames and of 100."""
    labels = [label for _ in range(people) for label in ACTIONS for _ in range(each)]
    lengths = [20 if i % 2 else 100 for i in range(len(labels))]
    arrays = {
        "joints": np.concatenate([doing(label, length) for label, length in zip(labels, lengths, strict=True)]),
        "offsets": np.cumsum([0, *lengths]),
        "label": np.array(labels),
        "subject": np.repeat([f"s{i}" for i in range(people)], len(ACTIONS) * each),
        "joint_names": np.array(CANONICAL),
        "meta": np.array(META),
    } | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def stream_file(path: Path, *, frames: bool, recordings: int = 2) -> Path:
    """Recordings of 20 s, in each three actions of half a second, with action points or labels of frames."""
    names = ("none", *ACTIONS)
    acts = ((150, "raise"), (300, "duck"), (450, "raise"))
    label = np.zeros(600, np.int64)
    joints = doing("none", 600)
    for first, name in acts:
        label[first : first + 15] = names.index(name)
        joints[first : first + 15] = doing(name, 15)
    arrays: dict[str, Any] = {
        "joints": np.tile(joints, (recordings, 1, 1)),
        "offsets": np.arange(recordings + 1) * 600,
        "subject": np.array([f"s{i}" for i in range(recordings)]),
        "sequence": np.array([f"r{i}" for i in range(recordings)]),
        "joint_names": np.array(CANONICAL),
        "meta": np.array(META),
    }
    if frames:
        arrays |= {"frame_label": np.tile(label, recordings), "label_names": np.array(names)}
    else:
        arrays |= {
            "tag_sequence": np.repeat(np.arange(recordings), len(acts)),
            "tag_frame": np.array([first + 7 for _ in range(recordings) for first, _ in acts]),
            "tag_label": np.array([name for _ in range(recordings) for _, name in acts]),
        }
    np.savez(path, **arrays)
    return path
