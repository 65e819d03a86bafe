"""The prompts that are watched for, and what they compete with.

The scores of the papers' methods have no absolute zero: there a prompt's score is its share against the other prompts
and a *background*, texts for what people do when nothing is to be reported and the known actions that no prompt means.
A model that routes through the actions that it knows needs no such contest.

Beside the texts there are recorded examples of actions: `ExampleSet`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from models.examples import Examples, scorer
from models.heads import BankHead, Head, columns_of, familiarity
from stream.events import Overrides
from stream.query import PromptInfo
from stream.types import Float32Array, Severity

Embed = Callable[[Sequence[str]], Float32Array]
"""Texts to unit vectors (K, D) float32."""

ScoreArrays = tuple[Float32Array, Float32Array, Float32Array]
"""Similarity, probability and margin, each (N, K) float32."""

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
        also: more descriptions of the same; their vectors are averaged.
        own: what else it has for itself of the settings of events.
    """

    name: str
    text: str
    severity: Severity = Severity.INFO
    enter: float | None = None
    exit: float | None = None
    also: tuple[str, ...] = ()
    own: Overrides = field(default_factory=Overrides)

    @property
    def texts(self) -> tuple[str, ...]:
        """All its descriptions."""
        return (self.text, *self.also)


def prompt_infos(prompts: Sequence[Prompt]) -> list[PromptInfo]:
    """Prompts as snapshots tell of them."""
    return [PromptInfo(prompt.name, prompt.text, prompt.severity.value) for prompt in prompts]


@dataclass(frozen=True, slots=True, eq=False)
class ExampleSet:
    """Actions known by recorded examples, and what is needed to find them.

    Attributes:
        actions: any number of them, all by the same model.
        embedding: gives embeddings (N, E) of features (N, F).
        references: (R, E), see `models.examples.scorer`.
    """

    actions: tuple[Examples, ...]
    embedding: Callable[[Float32Array], Float32Array]
    references: Float32Array


class PromptSet:
    """Prompts and what they compete with, scored at once; and actions known by examples.

    Args:
        prompts: the K prompts to watch for.
        background: texts that are never reported.
        bank: the texts of each of the model's known actions.
        embed: gives the unit vectors of texts.
        head: how the model's features become scores.
        model_digest: digest of the weights that the scores come from.
        compete: whether the bank's actions compete too, but for those near a prompt or a background text in meaning;
            without effect on a head that routes through the bank.

    Attributes:
        prompts: the prompts, in the order of the scores' columns; after those with texts the actions known by examples,
            but for those named like a prompt with a text, which then scores by whichever of the two is surer.
        background: all texts that compete, the bank's included.
        familiarity: for each prompt, the cosine of its texts with the known action nearest in meaning; 1 with examples.
        model_digest: see above.
        digest: changes whenever a score could.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        background: Sequence[str],
        bank: Sequence[Sequence[str]],
        embed: Embed,
        *,
        head: Head,
        model_digest: str,
        compete: bool = True,
    ) -> None:
        self.prompts = self._texts = tuple(prompts)
        texts = [text for prompt in self.prompts for text in prompt.texts]
        names = [known[0] for known in bank] if compete and not isinstance(head, BankHead) else []
        rivals = [text for text in dict.fromkeys([*background, *names]) if text not in texts]
        parts = [part for text in (*texts, *rivals) for part in head.facet_texts(text)]
        every = list(dict.fromkeys([*texts, *rivals, *parts, *(text for known in bank for text in known)]))
        vectors = dict(zip(every, embed(every), strict=True))

        def stacked(several: Sequence[str]) -> Float32Array:
            return np.stack([vectors[text] for text in several])

        columns, known = [stacked(prompt.texts) for prompt in self.prompts], [stacked(one) for one in bank]
        self.familiarity = self._familiarity = tuple(familiarity(columns, known).tolist())
        self.background = _competing(rivals, frozenset(background), texts, vectors)
        groups = [*(prompt.texts for prompt in self.prompts), *((text,) for text in self.background)]
        self._scorer = head.scorer(columns_of(head, groups, stacked)) if groups else None
        self._routed = isinstance(head, BankHead)
        self.model_digest = model_digest
        told = [model_digest, head.digest, *(repr(prompt) for prompt in self.prompts), *self.background]
        self.digest = self._digest = sha256("\n".join(told).encode()).hexdigest()[:16]
        self._by_example: Callable[[Float32Array], ScoreArrays] | None = None
        self._places: tuple[int, ...] = ()

    def with_examples(self, examples: ExampleSet) -> PromptSet:
        """The same prompts with these actions known by examples, and no others; no text is embedded again."""
        new = copy(self)
        actions = examples.actions
        names = {prompt.name for prompt in self._texts}
        added = [Prompt(one.name, one.text, Severity(one.severity)) for one in actions if one.name not in names]
        new.prompts = (*self._texts, *added)
        places = {prompt.name: column for column, prompt in enumerate(new.prompts)}
        new._places = tuple(places[action.name] for action in actions)
        familiar = (*self._familiarity, *(1.0 for _ in added))
        new.familiarity = tuple(1.0 if column in new._places else cosine for column, cosine in enumerate(familiar))
        new.digest, new._by_example = self._digest, None
        if actions:
            parts = [self._digest, *(action.digest for action in actions)]
            references = np.ascontiguousarray(examples.references).tobytes()
            new.digest = sha256("\n".join(parts).encode() + references).hexdigest()[:16]
            compare = scorer([action.embeddings for action in actions], examples.references)
            new._by_example = lambda features: compare(examples.embedding(features))
        return new

    def score(self, features: Float32Array) -> ScoreArrays:
        """Score N windows.

        Args:
            features: (N, F) float32, the model's.

        Returns:
            similarity, probability and margin, each (N, K) float32 (see `stream.types.Scores`).
        """
        told = self._by_text(features)
        if self._by_example is None:
            return told
        shown = self._by_example(features)
        room = ((0, 0), (0, len(self.prompts) - len(self._texts)))
        similarity, probability, margin = (np.pad(array, room, constant_values=-1.0) for array in told)
        for action, place in enumerate(self._places):
            surer = shown[1][:, action] > probability[:, place]
            for array, other in zip((similarity, probability, margin), shown, strict=True):
                array[surer, place] = other[surer, action]
        return similarity, probability, margin

    def _by_text(self, features: Float32Array) -> ScoreArrays:
        prompts = len(self._texts)
        if self._scorer is None:
            empty = np.zeros((len(features), 0), np.float32)
            return empty, empty, empty
        similarity, probability = self._scorer(features)
        scale = probability if self._routed else similarity
        # Without any background the best rival has nothing in common with the window: it scores the least there is.
        least = np.float32(0.0 if self._routed else -1.0)
        best = scale[:, prompts:].max(axis=1, keepdims=True) if self.background else least
        margin = (scale[:, :prompts] - best).astype(np.float32, copy=False)
        return similarity[:, :prompts], probability[:, :prompts], margin


def _competing(
    rivals: Sequence[str], given: frozenset[str], prompts: Sequence[str], vectors: Mapping[str, Float32Array]
) -> tuple[str, ...]:
    """Rivals without the bank's labels that a prompt means, or that one of the given texts says already."""
    if not rivals:
        return ()
    stack = np.stack([vectors[text] for text in rivals])
    told = np.array([text in given for text in rivals], bool)
    meant = np.zeros(len(rivals), bool)
    if prompts:
        meant = (stack @ np.stack([vectors[text] for text in prompts]).T).max(axis=1) >= SAME_MEANING
    twice = (stack @ stack[told].T).max(axis=1, initial=-1.0) >= SAME_SENTENCE
    # Explicit background stays whatever it means; a bank label that a prompt means must not compete with it.
    return tuple(text for text, kept in zip(rivals, told | ~(meant | twice), strict=True) if kept)
