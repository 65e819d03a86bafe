"""A trained point set as a folder, and what is asked of it: features of scenes and people, likeness to texts.

Everything is checked before it is used, as in `models.checkpoint`. Needs no text model: texts come as vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from models.anomaly import Features
from models.checkpoint import MANIFEST, MAX_TEXT_DIM, TEXT, WEIGHTS, read_json, read_tensors, write_model
from models.errors import CheckpointError, ModelError
from models.points import WINDOW, PlaneState, V, phase, points, slots
from models.pointset import PointSet, window_feature
from models.pointset_stream import PointStream, is_image
from models.tensors import check_tensors

__all__ = [
    "PointSetManifest", "PointSetModel", "PointStream", "load_pointset", "read_pointset_manifest",
    "save_pointset",
]  # fmt: skip

Float32Array = NDArray[np.float32]
FORMAT = 1
ARCHITECTURE = "pointset"
MAX_MANIFEST = 2**20
MAX_SIZES = {"width": 512, "blocks": 16, "features": 1024, "classes": 4096}


class PointSetManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a point set is.

    Attributes:
        format, architecture: `FORMAT` and "pointset".
        arguments: of `models.pointset.PointSet`.
        text_model: name of the text model of its texts.
        labels: names of the K labels of its classifier.
        texts: texts of the labels whose vectors are shipped, in the order of the vectors.
        label_of: for each text the index of its label.
        training: data, people, seed and results, for the record.
        terms: licence of the weights.
        weights_sha256, text_sha256: digests of the two other files.
    """

    format: int
    architecture: str
    arguments: dict[str, int]
    text_model: str
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    label_of: tuple[int, ...]
    training: dict[str, Any]
    terms: str
    weights_sha256: str = ""
    text_sha256: str = ""


class PointSetModel:
    """A trained point set. Use `load_pointset` to make one; not thread safe.

    Attributes:
        name: "pointset".
        digest: sha256 of the weights.
        dim: F of the features.
        text_model, text_dim: whose vectors `prompts` takes.
        text: shipped text vectors by their text, (D,) float32 each.
        manifest: see `PointSetManifest`.

    Raises:
        CheckpointError: the weights do not fit the manifest, or are not finite.
    """

    name = "pointset"

    def __init__(
        self,
        manifest: PointSetManifest,
        weights: Mapping[str, NDArray[Any]],
        text: Mapping[str, Float32Array],
        where: str = "weights",
    ) -> None:
        self.manifest, self.digest = manifest, manifest.weights_sha256
        self.text_model, self.text = manifest.text_model, dict(text)
        try:
            with torch.device("meta"):  # takes no memory, whatever sizes the manifest asks for
                outline = PointSet(**manifest.arguments)
        except (TypeError, ModelError) as error:
            raise CheckpointError(f"{where}: arguments {manifest.arguments} do not fit ({error})") from error
        check_tensors(outline, weights, where)
        self.network = PointSet(**manifest.arguments)
        self.network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
        self.network.eval().requires_grad_(False)
        self.dim, self.text_dim = self.network.features, manifest.arguments["text_dim"]

    def features(self, joints: Float32Array, confidence: Float32Array, rate_hz: float, space: str) -> Features:
        """What is seen at the end of a clip that begins its stream.

        Args:
            joints: (T, M, 25, 3) float32, canonical layout; T >= 1 at `rate_hz`.
            confidence: (T, M, 25); 0 where nothing was seen.
            rate_hz: of the clip; from what is faster, frames at 12.5 Hz are taken.
            space: "camera3d" (metres) or "image2d" (any unit, y down).

        Raises:
            ValueError: the shapes, the rate or the space are not those.
        """
        if joints.ndim != 4 or not len(joints):
            raise ValueError(f"expected joints (T >= 1, M, {V}, 3), got {joints.shape}")
        if not 0 < rate_hz < 1e6:
            raise ValueError(f"rate {rate_hz}: expected above 0")
        kept, steps = slots(np.round(np.arange(len(joints)) * (1e9 / rate_hz)).astype(np.int64))
        length, bodies = int(steps[-1]) + 1, joints.shape[1]
        if bodies == 0:
            return Features(np.zeros(self.dim, np.float32), np.zeros((0, self.dim), np.float32), np.zeros(0, bool))
        plane = np.zeros((1, length, *joints.shape[1:]), np.float32)
        sure = np.zeros((1, length, *confidence.shape[1:]), np.float32)
        plane[0, steps], sure[0, steps] = joints[kept], confidence[kept]
        # Scale and anchor are of the whole clip; the network looks back no farther than it can.
        first = max(length - 1 - self.network.reach, 0)
        seen = points(plane, sure, np.array([is_image(space)]), PlaneState.new(1))[:, first:]
        with torch.inference_mode():
            found = self.network(torch.from_numpy(seen), torch.from_numpy(phase(np.arange(first, length))[None]))
            scene, persons = window_feature(found)[0].numpy(), found[0, -WINDOW:].amax(0).numpy()
        return Features(scene, persons, (seen[0, -WINDOW:, :, :, 2] > 0).any(axis=(0, 2)))

    def prompts(self, vectors: Float32Array) -> Float32Array:
        """What `similarity` takes for K prompts, by their unit text vectors (K, D).

        Raises:
            ValueError: the vectors are of another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.text_dim:
            raise ValueError(f"text vectors {vectors.shape}: expected (K, {self.text_dim})")
        return np.asarray(vectors, np.float32)

    def cosines(self, features: Float32Array, prompts: object) -> Float32Array:
        """cos(f(x), y) of features (N, F) and prompts, (N, K) in -1..1."""
        vectors = self.prompts(np.asarray(prompts, np.float32))
        with torch.inference_mode():
            texts = self.network.text(torch.from_numpy(np.ascontiguousarray(features, np.float32))).numpy()
        return np.asarray(np.clip(texts @ vectors.T, -1, 1), np.float32)

    def similarity(self, features: Float32Array, prompts: object) -> Float32Array:
        """s of the paper's eq. 4 for features (N, F): the largest of their cosines with the prompts, (N,).

        0 without prompts.
        """
        cosines = self.cosines(features, prompts)
        return cosines.max(axis=1) if cosines.shape[1] else np.zeros(len(features), np.float32)

    def stream(self) -> PointStream:
        """A new stream's state."""
        return PointStream(self.network)


def save_pointset(
    folder: Path, manifest: PointSetManifest, weights: Mapping[str, NDArray[Any]], vectors: Float32Array
) -> PointSetManifest:
    """Write a model; the manifest last, so that a half-written one is refused by its digests.

    Args:
        folder: made if missing.
        manifest: its digests are filled in.
        weights: the network's state.
        vectors: (len(manifest.texts), D) float32, unit norm.

    Returns:
        The manifest as written.
    """
    return write_model(folder, manifest, weights, {"vectors": vectors})


def read_pointset_manifest(folder: Path) -> PointSetManifest:
    """Read and check what a model says of itself.

    Raises:
        CheckpointError: it is missing, damaged, or of another kind.
    """
    path = folder / MANIFEST
    try:
        fields = msgspec.json.decode(read_json(path, MAX_MANIFEST), type=dict[str, Any])
        found = (fields.get("format"), fields.get("architecture"))
        if found != (FORMAT, ARCHITECTURE):
            raise CheckpointError(
                f"{path}: format {found[0]!r}, architecture {found[1]!r}; expected {FORMAT} and {ARCHITECTURE!r}"
            )
        manifest = msgspec.convert(fields, PointSetManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a point set's manifest ({error})") from error
    for name, most in {**MAX_SIZES, "text_dim": MAX_TEXT_DIM}.items():
        if not 1 <= manifest.arguments.get(name, 0) <= most:
            raise CheckpointError(f"{path}: {name} is {manifest.arguments.get(name)}; expected 1 to {most}")
    if len(manifest.labels) != manifest.arguments["classes"] or len(manifest.texts) != len(manifest.label_of):
        raise CheckpointError(f"{path}: labels and texts do not fit; expected one for each class, one label a text")
    if any(not 0 <= label < len(manifest.labels) for label in manifest.label_of):
        raise CheckpointError(f"{path}: label_of names a label that is not there")
    return manifest


def load_pointset(folder: Path) -> PointSetModel:
    """Load a model.

    Raises:
        CheckpointError: a file is missing, damaged or does not fit; the message is one line.
    """
    manifest = read_pointset_manifest(folder)
    vectors = read_tensors(folder / TEXT, manifest.text_sha256).get("vectors")
    expected = (len(manifest.texts), manifest.arguments["text_dim"])
    if vectors is None or vectors.shape != expected or vectors.dtype != np.float32:
        raise CheckpointError(f"{folder / TEXT}: expected float32 {expected} under 'vectors'")
    if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-2).all():
        raise CheckpointError(f"{folder / TEXT}: its vectors are not of unit length")
    weights = read_tensors(folder / WEIGHTS, manifest.weights_sha256)
    return PointSetModel(manifest, weights, dict(zip(manifest.texts, vectors, strict=True)), str(folder / WEIGHTS))
