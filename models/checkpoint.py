"""A trained model as a folder: `model.json` (what it is), `model.safetensors`, `text.safetensors`. Never pickle.

Everything is checked before it is used, and the files' sizes before they are read: a checkpoint is input like any
other. Reading the manifest needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as format_safetensors

from models.errors import CheckpointError
from models.graph import JOINTS
from models.input_file import InputFileError, check_unique, is_pickle, parse_tensors, read_limited
from models.whole_file import write_whole

if TYPE_CHECKING:
    from models.recogniser import Recogniser

Float32Array = NDArray[np.float32]
AnyManifest = TypeVar("AnyManifest", bound=msgspec.Struct)
FORMAT = 2
LAYOUT = "kinect_v2"
"""The only layout that networks are fed: the canonical one."""
MANIFEST, WEIGHTS, TEXT = "model.json", "model.safetensors", "text.safetensors"
MAX_MANIFEST, MAX_TENSORS = 4 * 2**20, 512 * 2**20
"""Bytes; larger files are refused unread."""
MAX_FRAMES, MAX_TEXT_DIM = 1024, 8192


class KnownAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action that the model was trained on.

    Attributes:
        name: short name, unique in its vocabulary.
        texts: its descriptions; the first is what people are shown.
        vocabulary: whose action it is: a softmax runs over each vocabulary.
        background: whether it is no news to who watches.
    """

    name: str
    texts: tuple[str, ...]
    vocabulary: str = "own"
    background: bool = False

    @property
    def text(self) -> str:
        """Its first description."""
        return self.texts[0]


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well labels that were held out were told from each other, by text alone.

    Attributes:
        above: cosine of the nearest known action from which this band counts, up to the next one's.
        low, mean, high: quartiles and mean of the labels' accuracies.
        labels: how many there were.
    """

    above: float
    low: float
    mean: float
    high: float
    labels: int


class Trusted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a prompt's nearness to the known actions is worth (see `models.heads.Trust`); `bands` are for people."""

    cosines: tuple[float, ...]
    weights: tuple[float, ...]
    unknown_below: float
    bands: tuple[Band, ...] = ()


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model is and how it is to be used.

    Attributes:
        format: version of this format.
        architecture: "streaming" (`models.streaming`), or "method": what a recipe trains (`models.recipe`).
        arguments: of the network; of a recipe's, those of its method.
        recipe, encoder: names of a recipe's method and of its encoder; "" for other networks.
        layout: name of the joint layout of its windows.
        rate_hz, frames: rate and length of its windows.
        text_model, text_dim: name and dimension D of the text model.
        temperature: what a method's scores are divided by before the softmax; calibrated. Without effect on networks
            that give probabilities.
        enter, exit: suggested thresholds of an event's probability.
        bank: the actions that it was trained on.
        trust: what a prompt's nearness to the bank is worth; None for methods that score texts directly.
        background: texts of what is no news.
        texts: the texts whose vectors are shipped, in their order.
        training: data, people, seeds, code version and results, for the record.
        terms: licence of the weights.
        weights_sha256, text_sha256: digests of the two other files.
    """

    format: int
    architecture: str
    arguments: dict[str, int | float]
    recipe: str = ""
    encoder: str = ""
    layout: str
    rate_hz: float
    frames: int
    text_model: str
    text_dim: int
    temperature: float = 1.0
    enter: float
    exit: float
    bank: tuple[KnownAction, ...]
    trust: Trusted | None = None
    background: tuple[str, ...]
    texts: tuple[str, ...]
    training: dict[str, Any]
    terms: str
    weights_sha256: str = ""
    text_sha256: str = ""


def save(
    folder: Path,
    manifest: Manifest,
    weights: Mapping[str, NDArray[Any]],
    text_vectors: Float32Array,
    references: Float32Array | None = None,
) -> Manifest:
    """Write a checkpoint; the manifest last, so that a half-written one is refused by its digests.

    Args:
        folder: made if missing.
        manifest: its digests are filled in.
        weights: the network's state.
        text_vectors: (len(manifest.texts), D) float32, unit norm.
        references: (R, E) float32, unit norm: see `read_references`.

    Returns:
        The manifest as written.
    """
    shipped = {"vectors": text_vectors}
    if references is not None and len(references):
        shipped["references"] = references
    return write_model(folder, manifest, weights, shipped)


def write_model(
    folder: Path, manifest: AnyManifest, weights: Mapping[str, NDArray[Any]], shipped: Mapping[str, Float32Array]
) -> AnyManifest:
    """Write a model of any kind as `save` does; `shipped` are the arrays of the file of texts."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = format_safetensors({name: np.array(value, order="C") for name, value in weights.items()})
    text = format_safetensors({name: np.ascontiguousarray(value, np.float32) for name, value in shipped.items()})
    digests = {"weights_sha256": sha256(tensors).hexdigest(), "text_sha256": sha256(text).hexdigest()}
    write_whole(folder / WEIGHTS, tensors)
    write_whole(folder / TEXT, text)
    return write_manifest(folder, msgspec.structs.replace(manifest, **digests))


def write_manifest(folder: Path, manifest: AnyManifest) -> AnyManifest:
    """Write what a checkpoint says of itself, as given."""
    write_whole(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read and check what a checkpoint says of itself.

    Raises:
        CheckpointError: it is missing, damaged, or of another format.
    """
    path = folder / MANIFEST
    data = read_json(path, MAX_MANIFEST)
    try:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        if (version := fields.get("format")) != FORMAT:
            raise CheckpointError(f"{path}: format {version!r}; this version reads format {FORMAT}")
        # Streaming checkpoints of version 0.1.0 carry it, and never depended on it.
        fields.pop("preprocess", None)
        manifest = msgspec.convert(fields, Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a model manifest ({error})") from error
    if manifest.layout != LAYOUT:
        raise CheckpointError(f"{path}: layout {manifest.layout!r}; expected {LAYOUT!r}, {len(JOINTS)} joints")
    ranges = (
        ("frames", manifest.frames, 2, MAX_FRAMES),
        ("rate_hz", manifest.rate_hz, 1.0, 240.0),
        ("text_dim", manifest.text_dim, 1, MAX_TEXT_DIM),
        ("temperature", manifest.temperature, 1e-3, 1e3),
        ("enter", manifest.enter, 0.0, 1.0),
        ("exit", manifest.exit, 0.0, manifest.enter),
    )
    for name, value, low, high in ranges:
        if not low <= value <= high:
            raise CheckpointError(f"{path}: {name} is {value}; expected {low} to {high}")
    return manifest


def read_json(path: Path, limit: int) -> bytes:
    """The bytes of a JSON file in which no key stands twice.

    Raises:
        CheckpointError: it is missing or too large, or one does.
    """
    data = _read(path, limit)
    try:
        check_unique(data, str(path))
    except InputFileError as error:
        raise CheckpointError(str(error)) from error
    return data


def read_text(folder: Path, manifest: Manifest) -> dict[str, Float32Array]:
    """The shipped text vectors by their text, each (D,) float32.

    Raises:
        CheckpointError: the file is missing, damaged, or does not fit the manifest.
    """
    path = folder / TEXT
    vectors = read_tensors(path, manifest.text_sha256).get("vectors")
    expected = (len(manifest.texts), manifest.text_dim)
    if vectors is None or vectors.shape != expected:
        found = "nothing" if vectors is None else vectors.shape
        raise CheckpointError(f"{path}: holds {found} under 'vectors'; expected {expected}")
    vectors = vectors.astype(np.float32)
    if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-2).all():
        raise CheckpointError(f"{path}: its vectors are not of unit length")
    return dict(zip(manifest.texts, vectors, strict=True))


def read_references(folder: Path, manifest: Manifest) -> Float32Array | None:
    """Embeddings (R, E) float32 of what the model knows, which actions known by examples compete with; None without.

    They are unit vectors, each the mean direction of the windows of one action.

    Raises:
        CheckpointError: the file is missing or damaged, or they are no unit vectors.
    """
    path = folder / TEXT
    references = read_tensors(path, manifest.text_sha256).get("references")
    if references is None:
        return None
    if references.ndim != 2 or not (np.abs(np.linalg.norm(references.astype(float), axis=1) - 1) < 1e-2).all():
        raise CheckpointError(f"{path}: its references {references.shape} are no rows of unit length")
    return references.astype(np.float32)


def load(folder: Path, device: str = "auto", precision: str = "fp32") -> Recogniser:
    """Load a model, ready to encode.

    Args:
        folder: of the checkpoint.
        device: "auto" (what a short measurement finds to be faster), "cpu" or "cuda".
        precision: of the matrix products: "fp32", "bf16", "fp16", or "auto".

    Raises:
        CheckpointError: a file is missing, damaged or does not fit; the message is one line.
        ModelError: the device is not there, or does not compute in this precision.
    """
    from models.recogniser import Recogniser

    manifest = read_manifest(folder)
    text, references = read_text(folder, manifest), read_references(folder, manifest)
    path = folder / WEIGHTS
    weights = read_tensors(path, manifest.weights_sha256)
    return Recogniser(
        manifest, weights, text, references=references, device=device, precision=precision, where=str(path)
    )


def read_tensors(path: Path, digest: str) -> dict[str, NDArray[Any]]:
    """Read a safetensors file that must have the given sha256.

    Raises:
        CheckpointError: it is missing, too large, of another kind, or has another digest.
    """
    data = _read(path, MAX_TENSORS)
    genuine = sha256(data).hexdigest() == digest
    try:
        # What is no safetensors file at all is told to be that, whatever its digest.
        tensors = parse_tensors(data, str(path))[0] if genuine or is_pickle(data) else {}
    except InputFileError as error:
        raise CheckpointError(str(error)) from error
    if not genuine:
        raise CheckpointError(f"{path}: its sha256 is not the one in {MANIFEST}: damaged, cut short or exchanged")
    return tensors


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_limited(path, limit, "a file of a model checkpoint")
    except InputFileError as error:
        raise CheckpointError(str(error)) from error
