"""The prompts that are watched for, and what they compete with.

Similarity has no absolute zero, so a prompt's score is its share against the other prompts and a *background*: texts
for what people do when nothing is to be reported, and the known actions of the model's bank that no prompt means. A
window that is best described by something unwatched then starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from stream.types import Float32Array, Severity

Embed = Callable[[Sequence[str]], Float32Array]
"""Texts to unit vectors (K, D) float32."""

SAME_SENTENCE = 0.9
"""Cosine between two texts from which they say the same in other words ("stands still" and "stands up" are at 0.86)."""
SAME_MEANING = 0.7
"""Cosine between two texts from which a bank label counts as meant by a prompt or background text and is left out."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One action to watch for.

    Attributes:
        name: short name, unique; a level of the topics.
        text: the description that is embedded.
        severity: above INFO it is published as an alarm.
        enter, exit: thresholds of this prompt, or None for the defaults.
    """

    name: str
    text: str
    severity: Severity = Severity.INFO
    enter: float | None = None
    exit: float | None = None


class PromptSet:
    """Prompts and background as one matrix; scoring a batch of features is one matrix product.

    Args:
        prompts: the K prompts to watch for.
        background: texts that compete and are never reported.
        bank: the model's known actions.
        embed: gives the unit vectors of texts.
        temperature: divides the similarities before the softmax; the model's calibrated one.
        model_digest: digest of the weights that the scores come from.
        compete: whether the bank's actions compete too, but for those near a prompt or a background text in
            meaning.

    Attributes:
        prompts: the prompts, in the order of the scores' columns.
        background: all texts that compete, the bank's included.
        familiarity: for each prompt, the highest cosine of its text with one of the bank's; under `SAME_MEANING` the
            model was not trained on what the prompt means.
        digest: changes whenever a score could.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        background: Sequence[str],
        bank: Sequence[str],
        embed: Embed,
        *,
        temperature: float,
        model_digest: str,
        compete: bool = True,
    ) -> None:
        self.prompts = tuple(prompts)
        texts = [prompt.text for prompt in self.prompts]
        rivals = [text for text in dict.fromkeys([*background, *(bank if compete else ())]) if text not in texts]
        vectors = embed([*texts, *rivals, *bank])
        prompt_vectors, rival_vectors, bank_vectors = np.split(vectors, [len(texts), len(texts) + len(rivals)])
        self.familiarity = tuple((prompt_vectors @ bank_vectors.T).max(axis=1, initial=-1.0).tolist())
        # Explicit background stays whatever it means; a bank label that a prompt means must not compete with it, and
        # one that an explicit text means would only stand there twice.
        given = np.array([text in background for text in rivals], bool)
        meant = (rival_vectors @ prompt_vectors.T).max(axis=1, initial=-1.0) >= SAME_MEANING
        twice = (rival_vectors @ rival_vectors[given].T).max(axis=1, initial=-1.0) >= SAME_SENTENCE
        keep = given | ~(meant | twice)
        self.background = tuple(text for text, kept in zip(rivals, keep, strict=True) if kept)
        self._vectors = np.concatenate([prompt_vectors, rival_vectors[keep]]).astype(np.float32)
        self._temperature = temperature
        self.digest = self._digest(model_digest)

    def _digest(self, model_digest: str) -> str:
        parts = [model_digest, repr(self._temperature), *(repr(prompt) for prompt in self.prompts), *self.background]
        return sha256("\n".join(parts).encode()).hexdigest()[:16]

    def score(self, features: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Score N windows.

        Args:
            features: (N, D) float32, unit norm.

        Returns:
            similarity, probability and margin, each (N, K) float32 (see `stream.types.Scores`).
        """
        similarity = features @ self._vectors.T
        logits = similarity / self._temperature
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        probability = weights / weights.sum(axis=1, keepdims=True)
        prompts = len(self.prompts)
        # Without any background the best rival is unrelated to the window: cosine 0.
        best = similarity[:, prompts:].max(axis=1, keepdims=True) if self.background else np.float32(0.0)
        own = similarity[:, :prompts]
        return own, probability[:, :prompts], (own - best).astype(np.float32)
