"""Tiny data folders of the kinds that the papers' experiments read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stream.layouts import KINECT_V1_JOINTS
from train.datasets.splits import Split, split_of

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
    folder.mkdir(parents=True, exist_ok=True)
    centres = np.random.default_rng(0).normal(size=(classes, 256))
    parts = {("train", "train_label"): seen, ("ztest", "z_label"): unseen, ("gtest", "g_label"): np.arange(classes)}
    for (name, label_name), kinds in parts.items():
        labels = np.repeat(kinds, each)
        noise = np.random.default_rng(len(kinds)).normal(0, 0.3, (len(labels), 256))
        np.save(folder / f"{name}.npy", (centres[labels] + noise).astype(np.float32))
        np.save(folder / f"{label_name}.npy", labels)
    return folder


def write_ntu(tree: Path, actions: Sequence[int], people: Sequence[int]) -> Path:
    """A tree of raw .skeleton files of 20 frames, one of each action of each person."""
    pose = np.stack([np.linspace(-0.25, 0.25, 25), np.linspace(-0.9, 0.9, 25), np.full(25, 2.5)], axis=1)
    for person in people:
        for action in actions:
            lines = ["20"]
            for t in range(20):
                joints = pose + np.array([0, 0.2 * np.sin(t / (1 + action % 5)), 0])
                lines += ["1", "7205 0 1 1 1 1 0 0.02 0.05 2", "25"]
                lines += [f"{x:.5g} {y:.5g} {z:.5g} 277 191 1036 519 -0.2 0.05 0.96 -0.1 2" for x, y, z in joints]
            path = tree / f"P{person:03}" / f"S001C001P{person:03}R002A{action:03}.skeleton"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\r\n".join(lines) + "\r\n")
    return tree
