"""Actions known by a few recorded examples: one safetensors file for each, and scores by their mean.

Nearest class mean on a fixed embedding (Mensink et al., "Distance-Based Image Classification: Generalizing to New
Classes at Near-Zero Cost", PAMI 2013; Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017).
numpy only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as format_safetensors

from models.errors import ModelError
from models.input_file import InputFileError, parse_tensors, read_limited
from models.whole_file import write_whole

Float32Array = NDArray[np.float32]
FORMAT = "posewire examples 1"
SUFFIX = ".safetensors"
MAX_EXAMPLES = 10
MAX_BYTES = 2**20
"""Of a file; larger ones are refused unread."""
MAX_TEXT = 300
SEVERITIES = ("info", "alert", "critical")
TEMPERATURE = 0.07
"""Of cosines between a window and the means of examples."""
STRANGER = 0.6
"""Cosine of something that nobody knows: what is less like an action's examples than this is not that action."""
SAME_ACTION = 0.7
"""Cosine from which a known action is the one that the examples show, and does not compete with it."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ExamplesError(ModelError):
    """Examples of an action, or the file that holds them, cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """An action as its examples show it.

    Attributes:
        name: short name; that of its file.
        text: what people are told that it is; not embedded.
        severity: one of `SEVERITIES`.
        model: sha256 of the weights that the embeddings come from; they mean nothing to others.
        embeddings: (n, E) float32, unit norm, n from 1 to `MAX_EXAMPLES`.

    Raises:
        ExamplesError: something of it is not so.
    """

    name: str
    text: str
    severity: str
    model: str
    embeddings: Float32Array

    def __post_init__(self) -> None:
        rows = self.embeddings
        shown = self.name[:80]
        if not _NAME.fullmatch(self.name):
            raise ExamplesError(f"name {shown!r}: expected 1 to 64 of the characters A-Z a-z 0-9 _ . -")
        if not self.text.strip() or len(self.text) > MAX_TEXT or not self.text.isprintable():
            raise ExamplesError(f"{shown}: text {self.text[:80]!r}: expected one line of 1 to {MAX_TEXT} characters")
        if self.severity not in SEVERITIES:
            raise ExamplesError(f"{shown}: severity {self.severity[:80]!r}: expected {', '.join(SEVERITIES)}")
        if not _DIGEST.fullmatch(self.model):
            raise ExamplesError(f"{shown}: model {self.model[:80]!r}: expected the sha256 of a model's weights")
        if rows.dtype != np.float32 or rows.ndim != 2 or not 1 <= len(rows) <= MAX_EXAMPLES or rows.shape[1] == 0:
            raise ExamplesError(
                f"{shown}: embeddings {rows.dtype} {rows.shape}: expected float32 (1..{MAX_EXAMPLES}, E)"
            )
        if not (np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1) < 1e-2).all():
            raise ExamplesError(f"{shown}: its embeddings are not of unit length")

    @property
    def digest(self) -> str:
        """Changes whenever anything of it does."""
        head = repr((self.name, self.text, self.severity, self.model, self.embeddings.shape))
        return sha256(head.encode() + self.embeddings.tobytes()).hexdigest()


def path_of(folder: Path, name: str) -> Path:
    """The file of an action's examples."""
    return folder / f"{name}{SUFFIX}"


def save(folder: Path, examples: Examples) -> Path:
    """Write the file of an action, in place of one of that name; it is whole or not there.

    Raises:
        ExamplesError: it cannot be written.
    """
    metadata = {"format": FORMAT, "text": examples.text, "severity": examples.severity, "model": examples.model}
    data = format_safetensors({"embeddings": np.ascontiguousarray(examples.embeddings)}, metadata)
    path = path_of(folder, examples.name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, data, mode=0o600)
    except OSError as error:
        raise ExamplesError(f"{path}: cannot be written ({error.strerror}); expected a place to write to") from error
    return path


def load(path: Path) -> Examples:
    """Read and check the file of an action.

    Raises:
        ExamplesError: it is missing, too large, damaged or something else; the message is one line with its path.
    """
    try:
        tensors, metadata = parse_tensors(read_limited(path, MAX_BYTES, "the examples of an action"), str(path))
    except InputFileError as error:
        raise ExamplesError(str(error)) from error
    if metadata.get("format") != FORMAT or set(tensors) != {"embeddings"}:
        raise ExamplesError(f"{path}: not the examples of an action; expected a file of the format {FORMAT!r}")
    text, severity, model = (str(metadata.get(key, "")) for key in ("text", "severity", "model"))
    try:
        return Examples(path.name.removesuffix(SUFFIX), text, severity, model, tensors["embeddings"])
    except ExamplesError as error:
        raise ExamplesError(f"{path}: {error}") from error


def class_means(embeddings: Float32Array, labels: NDArray[np.int64]) -> Float32Array:
    """The mean direction of each class.

    Args:
        embeddings: (N, E) unit norm.
        labels: (N,) classes 0 to C - 1; each must occur.

    Returns:
        (C, E) float32, unit norm. Their products with embeddings are the scores: the nearest is the class.
    """
    return np.stack([mean_of(embeddings[labels == one]) for one in range(int(labels.max()) + 1)])


def mean_of(embeddings: Float32Array) -> Float32Array:
    """Mean direction (E,) of (n, E) embeddings, unit norm; zero where they cancel out."""
    mean = embeddings.mean(axis=0)
    direction: Float32Array = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
    return direction


ExampleScorer = Callable[[Float32Array], tuple[Float32Array, Float32Array, Float32Array]]
"""Embeddings (N, E) to cosines, probabilities and margins over the best rival, each (N, A)."""


def scorer(actions: Sequence[Float32Array], references: Float32Array) -> ExampleScorer:
    """A scorer of A actions, each given by its embeddings (n, E).

    An action's probability is its share in a softmax of cosines / `TEMPERATURE` over its own mean, those of the other
    actions, the references that are not the same action, and a stranger at a constant cosine: with nothing else it is
    a logistic of the cosine. Its margin is over the best reference or the stranger.

    Args:
        actions: A of them, at least one.
        references: (R, E) unit embeddings of what the model knows; may be none.

    Raises:
        ValueError: the dimensions differ.
    """
    means = np.stack([mean_of(action) for action in actions])
    if references.ndim != 2 or references.shape[1] != means.shape[1]:
        raise ValueError(f"expected references (R, {means.shape[1]}), got {references.shape}")
    rivals = means @ references.T < SAME_ACTION  # (A, R)

    def score(embeddings: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        own = np.clip(embeddings @ means.T, -1.0, 1.0)
        known = np.clip(embeddings @ references.T, -1.0, 1.0)
        best = np.where(rivals, known[:, None], -1.0).max(axis=2, initial=STRANGER)  # (N, A)
        weights = np.exp((own - 1) / TEMPERATURE)
        others = np.exp((known - 1) / TEMPERATURE) @ rivals.T + np.exp((STRANGER - 1) / TEMPERATURE)
        probability = weights / (weights.sum(axis=1, keepdims=True) + others)
        return own.astype(np.float32), probability.astype(np.float32), (own - best).astype(np.float32)

    return score
