"""How a batch of scenes is seen: through virtual cameras, with what sensors hide and shake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.points import PLACE_X, WINDOW, PlaneState, X, Y, points
from stream.layouts import MIRROR
from train.augment import rotations
from train.datasets.sequences import Float32Array

LOWER = (13, 14, 15, 17, 18, 19)
"""Joints that a table, or the image's lower border, hides."""


@dataclass(frozen=True, slots=True)
class Views:
    """How scenes are changed.

    Attributes:
        length: frames kept, at the end or a little before it.
        missing: share of the points that are lost in the worst scene; 0 hides nothing at all.
        noise: metres of the joints' noise in the worst scene.
        images: share of the scenes in space that are seen by a virtual camera, as image2d.
        crop: frames by which the end may come earlier.
    """

    length: int = 34
    missing: float = 0.3
    noise: float = 0.025
    images: float = 0.55
    crop: int = 4


def seen(
    raw: NDArray[np.float16], sure: NDArray[np.float16], image: NDArray[np.bool_], mirrors: NDArray[np.bool_],
    views: Views, rng: np.random.Generator,
) -> tuple[Float32Array, Float32Array]:  # fmt: skip
    """Scenes as points.

    Args:
        raw: joints (N, T, M, V, 3), metres in camera axes; of images, x and y up in the size of metres.
        sure: confidence (N, T, M, V).
        image: (N,) whether the scene is of an image already.
        mirrors: (N,) whether its mirror image shows the same.
        views: how they are changed.
        rng: source of all randomness.

    Returns:
        (N, `length`, M, V, 5) from `models.points`, and the time indices (N, `length`).
    """
    n = len(raw)
    first = raw.shape[1] - views.length - rng.integers(0, views.crop + 1, n)
    rows = first[:, None] + np.arange(views.length)
    joints = np.take_along_axis(raw, rows[:, :, None, None, None], axis=1).astype(np.float32)
    confidence = np.take_along_axis(sure, rows[:, :, None, None], axis=1).astype(np.float32)
    flipped = (rng.random(n) < 0.5) & mirrors
    mirrored = joints[flipped][..., list(MIRROR), :]
    joints[flipped] = mirrored * np.array([-1, 1, 1], np.float32)
    confidence[flipped] = confidence[flipped][..., list(MIRROR)]
    joints += rng.standard_normal(joints.shape, np.float32) * rng.uniform(0, views.noise, (n, 1, 1, 1, 1)).astype("f")
    joints += rng.standard_normal((n, 1, *joints.shape[2:]), np.float32) * np.float32(views.noise * 0.5)
    plane = _projected(joints, confidence, image, rng)
    if views.missing:
        _hide(confidence, views, rng)
    virtual = image | (rng.random(n) < views.images)
    flat = np.where(virtual[:, None, None, None, None], plane[1], plane[0])
    flat[virtual] *= -rng.uniform(0.3, 600, (int(virtual.sum()), 1, 1, 1, 1)).astype(np.float32)  # y down, any unit
    out = points(flat, confidence, virtual, PlaneState.new(n))
    there = out[..., 2:3] > 0
    scale = rng.uniform(0.8, 1.2, (n, 1, 1, 1, 1)).astype(np.float32)
    spatial = [X, Y, PLACE_X, PLACE_X + 1]
    moved = (out[..., spatial] - 0.5) * scale + 0.5
    moved[..., 2:] += rng.uniform(-0.1, 0.1, (n, 1, 1, 1, 2)).astype(np.float32)
    out[..., spatial] = np.where(there, np.clip(moved, 0, 1), 0)
    doubt = rng.uniform(0.3, 1.0, (n, 1, 1, 1)) ** (rng.random((n, 1, 1, 1)) < 0.5)
    out[..., 2] *= doubt.astype(np.float32)
    start = rng.integers(0, WINDOW, (n, 1))
    return out, (((start + np.arange(views.length)) % WINDOW) / WINDOW).astype(np.float32)


def _projected(
    joints: Float32Array, confidence: Float32Array, image: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    """Orthographic and perspective images (N, T, M, V, 2), x as in camera axes and y up, about metres."""
    n = len(joints)
    there = (confidence > 0)[..., None]
    middle = (joints * there).sum(axis=(1, 2, 3)) / np.maximum(there.sum(axis=(1, 2, 3)), 1)
    frontal = rng.random(n) < 0.75
    yaw = np.where(frontal, rng.uniform(-np.pi / 3, np.pi / 3, n), rng.uniform(-np.pi, np.pi, n))
    if joints.shape[2] > 1:  # composed: there is no front
        yaw = rng.uniform(-np.pi, np.pi, n)
    pitch = np.radians(np.where(rng.random(n) < 0.5, rng.normal(0, 5, n), rng.uniform(-10, 40, n)))
    roll = np.radians(rng.uniform(-5, 5, n))
    turn = rotations(roll, 2) @ rotations(pitch, 0) @ rotations(yaw, 1)
    turn[image] = rotations(roll, 2)[image]
    shape = joints.shape
    turned = ((joints - middle[:, None, None, None]).reshape(n, -1, 3) @ turn.transpose(0, 2, 1)).reshape(shape)
    distance = rng.uniform(2.0, 6.0, (n, 1, 1, 1)).astype(np.float32)
    depth = np.where(image[:, None, None, None], distance, np.maximum(turned[..., 2] + distance, 0.6))
    flat: Float32Array = turned[..., :2].astype(np.float32)
    return flat, (flat * (distance / depth)[..., None]).astype(np.float32)


def _hide(confidence: Float32Array, views: Views, rng: np.random.Generator) -> None:
    """Lose points, frames, legs, bodies and beginnings, in place."""
    n, t, m, v = confidence.shape
    share = rng.uniform(0, views.missing, (n, 1, 1, 1)) * (rng.random((n, 1, 1, 1)) < 0.6)
    confidence[rng.random(confidence.shape, np.float32) < share] = 0
    frames = rng.uniform(0, views.missing, (n, 1)) * (rng.random((n, 1)) < 0.4)
    confidence[rng.random((n, t)) < frames] = 0
    joints = rng.random((n, 1, m, v)) < rng.uniform(0, views.missing, (n, 1, 1, 1)) * (rng.random((n, 1, 1, 1)) < 0.3)
    confidence *= ~joints
    legs = np.zeros(v, bool)
    legs[list(LOWER)] = True
    confidence *= ~((rng.random((n, 1, 1, 1)) < 0.1) & legs)
    begins = np.where(rng.random(n) < 0.5, rng.integers(0, max(t - WINDOW + 4, 1), n), 0)
    confidence *= (np.arange(t) >= begins[:, None])[:, :, None, None]
