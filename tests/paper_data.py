"""Tiny data folders of the kinds that the papers' experiments read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skeleton_text import POSE, write_labels, write_recording, write_skeleton

from stream.layouts import KINECT_V1_JOINTS
from train.datasets.splits import Split, split_of

Int64Array = NDArray[np.int64]
LEFT, RIGHT = ("clap", "jump", "kick", "wave"), ("bow", "kneel", "point", "throw")
UNION, LEAVE = "left+right", "leave-left"
"""A dataset of two sets with these labels, and its split that leaves the first one out."""


def write_set(path: Path, labels: Sequence[str], people: int = 4, each: int = 2) -> None:
    """An archive of clips of 20 frames; every label is one joint moving in its own way."""
    rng = np.random.default_rng(0)
    pose = np.stack([np.linspace(-250, 250, 20), np.linspace(-900, 900, 20), np.full(20, 2500)], axis=1)
    clips, names, subjects = [], [], []
    for person in range(people):
        for place, label in enumerate(labels):
            for _ in range(each):
                joints = np.tile(pose, (20, 1, 1)) + rng.normal(0, 5, (20, 20, 3))
                joints[:, place % 20, 1] += 400 * np.sin(np.arange(20) / (2 + place % 3))
                clips.append(joints)
                names.append(label)
                subjects.append(f"s{person + 1}")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        joints=np.concatenate(clips).astype(np.int16),
        offsets=np.arange(len(clips) + 1) * 20,
        label=np.array(names),
        subject=np.array(subjects),
        joint_names=np.array(KINECT_V1_JOINTS),
        meta=json.dumps({"fps": 30, "units": "mm"}),
    )


def write_union(folder: Path) -> Path:
    """A data folder with the sets "left" and "right"."""
    write_set(folder / "clips" / "left.npz", LEFT)
    write_set(folder / "clips" / "right.npz", RIGHT)
    return folder


def write_utd(folder: Path) -> Path:
    """A data folder with "utd_mhad", of which only the unseen labels of the split 22/5-1 are the real ones."""
    unseen = split_of("utd_mhad", "22/5-1").unseen
    write_set(folder / "clips" / "utd_mhad.npz", [*map(str, unseen), *(f"wave {k} times" for k in range(22))], each=1)
    return folder


def write_features(folder: Path, split: Split, classes: int, each: int = 6) -> Path:
    """A folder of SynSE's features of a split."""
    unseen = np.array(split.unseen, np.int64)
    seen = np.setdiff1d(np.arange(classes), unseen)
    parts = {("train", "train_label"): seen, ("ztest", "z_label"): unseen, ("gtest", "g_label"): np.arange(classes)}
    return _write_features(folder, parts, classes, each)


def write_twin(folder: Path, seen: Int64Array, unseen: Int64Array, each: int = 6) -> Path:
    """A folder of SynSE's features for a gate, of the seen classes that are left and of those that play unseen ones."""
    parts = {("train", "train_label"): seen, ("ztest", "z_label"): unseen, ("val", "val_label"): seen}
    return _write_features(folder, parts, int(max(seen.max(), unseen.max())) + 1, each)


def _write_features(folder: Path, parts: Mapping[tuple[str, str], Int64Array], classes: int, each: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    centres = np.random.default_rng(0).normal(size=(classes, 256))
    for (name, label_name), kinds in parts.items():
        labels = np.repeat(kinds, each)
        noise = np.random.default_rng(len(kinds)).normal(0, 0.3, (len(labels), 256))
        np.save(folder / f"{name}.npy", (centres[labels] + noise).astype(np.float32))
        np.save(folder / f"{label_name}.npy", labels)
    return folder


def write_ntu(tree: Path, actions: Sequence[int], people: Sequence[int]) -> Path:
    """A tree of raw .skeleton files of 20 frames, one of each action of each person."""
    for person in people:
        for action in actions:
            frames = [{7205: joints} for joints in _acted(action)]
            write_skeleton(tree / f"P{person:03}" / f"S001C001P{person:03}R002A{action:03}.skeleton", frames)
    return tree


def write_pku(tree: Path, actions: Sequence[int], recordings: Sequence[int]) -> Path:
    """A tree of PKU-MMD I: one person does each action for 20 frames in each recording, seen by all three cameras."""
    frames = np.zeros((20 * len(actions), 2, 25, 3))
    frames[:, 0] = np.concatenate([_acted(action) for action in actions])
    for stem in (f"{number:04}-{camera}" for number in recordings for camera in "LMR"):
        write_recording(tree / "skeleton" / f"{stem}.txt", frames)
        rows = [(action, 20 * place, 20 * place + 20, 2) for place, action in enumerate(actions)]
        write_labels(tree / "label" / f"{stem}.txt", rows)
    return tree


def _acted(action: int) -> list[np.ndarray]:
    return [POSE + np.array([0, 0.2 * np.sin(t / (1 + action % 5)), 0]) for t in range(20)]
