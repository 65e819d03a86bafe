"""Online prototypes: what a prompt looks like here, learned from windows that its text was surest of.

After PGFA's alignment (2025, eqs. 8 to 10: the mean of the features of lowest entropy under each text) and
Skeleton-Cache (a bounded cache of eight), made causal: each window is scored before it is learned from. The text is
never replaced: prototypes only share out anew, among the prompts, what the texts gave to all of them, and those of few
windows have less of a say. It does not matter which head the probabilities are of. A state of other prompts or of
another model is not taken up; whoever takes the file away starts anew. numpy only.
"""

from __future__ import annotations

import bisect
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as format_tensors

from models.errors import ModelError
from models.input_file import InputFileError, parse_tensors, read_limited
from models.whole_file import write_whole

Float32Array = NDArray[np.float32]
FORMAT = "posewire prototypes 1"
FOREIGN = "not a file of prototypes; [prototypes] path must name one, or a new file"
MAX_BYTES = 256 * 2**20
"""Of a file; larger ones are refused unread."""
KEPT = 8
"""Windows that a prototype is the mean of."""
WEIGHT = 0.5
"""Share of the prototypes in a score, once they have `KEPT` windows; in proportion before."""
TEMPERATURE = 0.1
"""Of cosines between a window and the prototypes."""
SLACK = 0.01
"""How much the entropies of a prompt's kept windows rise with each `KEPT` windows that it wins, so that old ones give
way to new ones."""


class OnlinePrototypes:
    """Prototypes of P prompts; not thread safe.

    Args:
        prompts: P.
        dim: E of the embeddings.
        decay: whether kept windows age.

    Attributes:
        prompts: P.
    """

    def __init__(self, prompts: int, dim: int, *, decay: bool = True) -> None:
        self.prompts = prompts
        self._entropy: list[list[float]] = [[] for _ in range(prompts)]
        self._kept: list[list[Float32Array]] = [[] for _ in range(prompts)]
        self._mean = np.zeros((prompts, dim), np.float32)
        self._count = np.zeros(prompts, np.float32)
        self._slack = SLACK / KEPT if decay else 0.0

    def adapt(self, probability: Float32Array, embedding: Float32Array) -> Float32Array:
        """Score one window, then learn from it.

        Args:
            probability: (P,) of the prompts by their texts; what they leave of 1 is none of them.
            embedding: (E,) unit norm.

        Returns:
            (P,) probabilities with the same sum; less where one would be above 1.
        """
        known = self._count > 0
        adapted = probability
        if known.sum() >= 2:
            cosine = self._mean[known] @ embedding
            share = np.exp((cosine - cosine.max()) / TEMPERATURE)
            weight = WEIGHT * self._count[known] / KEPT
            adapted = probability.copy()
            # Each gives up its weighted part, and the prototypes share out the sum of what was given up.
            given = weight * probability[known]
            adapted[known] += share * weight / (share * weight).sum() * given.sum() - given
            # Prompts of one meaning are likely together: their sum may be more than one of them can have.
            np.minimum(adapted, 1.0, out=adapted)
        self._learn(adapted, embedding)
        return adapted

    def _learn(self, probability: Float32Array, embedding: Float32Array) -> None:
        rest = max(0.0, 1.0 - float(probability.sum()))
        best = int(probability.argmax()) if len(probability) else 0
        if not len(probability) or probability[best] <= rest:
            return
        every = np.append(probability, rest) / max(float(probability.sum()) + rest, 1e-9)
        entropy = float(-(every * np.log(np.maximum(every, 1e-9))).sum())
        entropies, kept = self._entropy[best], self._kept[best]
        if self._slack:
            entropies[:] = [value + self._slack for value in entropies]
        if len(kept) == KEPT and entropy >= entropies[-1]:
            return
        at = bisect.bisect(entropies, entropy)
        entropies.insert(at, entropy)
        kept.insert(at, np.asarray(embedding, np.float32).copy())
        del entropies[KEPT:], kept[KEPT:]
        mean = np.mean(kept, axis=0)
        self._mean[best] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        self._count[best] = len(kept)

    def save(self, path: Path, digest: str) -> None:
        """Write the state, whole or not at all; `digest` is of the prompts that it belongs to.

        Raises:
            OSError: the file cannot be written.
        """
        tensors: dict[str, NDArray[Any]] = {
            "kept": np.array([k for kept in self._kept for k in kept], np.float32).reshape(-1, self._mean.shape[1]),
            "entropy": np.array([e for entropies in self._entropy for e in entropies], np.float64),
            "count": np.array([len(kept) for kept in self._kept], np.int64),
        }
        write_whole(path, format_tensors(tensors, metadata={"format": FORMAT, "digest": digest}), mode=0o600)

    def restore(self, path: Path, digest: str) -> bool:
        """Read what `save` wrote; False, and nothing changed, if it is missing or of other prompts.

        Raises:
            ModelError: there is a file that `save` did not write, which it must not overwrite.
        """
        if not path.exists():
            return False
        try:
            tensors, found = parse_tensors(read_limited(path, MAX_BYTES, "a file of prototypes"), str(path))
        except InputFileError as error:
            raise ModelError(f"{error}; {FOREIGN}") from error
        if found.get("format") != FORMAT or set(tensors) != {"kept", "entropy", "count"}:
            raise ModelError(f"{path}: {FOREIGN}")
        if found.get("digest") != digest:
            return False
        kept, entropy, count = (tensors[name] for name in ("kept", "entropy", "count"))
        fits = (
            count.shape == self._count.shape
            and kept.shape == (int(count.sum()), self._mean.shape[1])
            and entropy.shape == kept.shape[:1]
            and count.dtype.kind == "i"
            and bool(
                np.isfinite(entropy).all() and (count >= 0).all() and (count <= KEPT).all() and np.isfinite(kept).all()
            )
        )
        if not fits:
            return False
        stop = np.cumsum(count)
        for prompt, (low, high) in enumerate(zip(stop - count, stop, strict=True)):
            self._kept[prompt] = list(kept[low:high])
            self._entropy[prompt] = entropy[low:high].tolist()
            if high > low:
                mean = kept[low:high].mean(axis=0)
                self._mean[prompt] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        self._count[:] = count
        return True
