"""Prompts compete with each other and with the background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from cosine_head import cosine_head

from models.heads import BankHead, Trust
from stream.prompts import Prompt, PromptSet

AXES = {"fall": 0, "wave": 1, "stand": 2, "clap": 3}


def embed(texts: Sequence[str]) -> np.ndarray:
    """One axis for each word; "near WORD" lies 0.8 along its axis, "same WORD" 0.96."""
    vectors = np.zeros((len(texts), 5), np.float32)
    for row, text in enumerate(texts):
        axis = AXES[text.split()[-1]]
        vectors[row, [axis, 4]] = {"near": (0.8, 0.6), "same": (0.96, 0.28)}.get(text[:4], (1.0, 0.0))
    return vectors


def make(prompts: list[str], background: list[str], bank: list[str], temperature: float = 0.1) -> PromptSet:
    entries = [Prompt(text.replace(" ", "_"), text) for text in prompts]
    return PromptSet(
        entries, background, [(text,) for text in bank], embed, head=cosine_head(temperature), model_digest="m"
    )


def test_scores_are_a_softmax_over_prompts_and_background() -> None:
    prompts = make(["fall", "wave"], ["stand"], [])
    feature = np.array([[0.6, 0.0, 0.8, 0.0, 0.0]], np.float32)
    similarity, probability, margin = prompts.score(feature)
    np.testing.assert_allclose(similarity, [[0.6 / 1.6, 0.0]], atol=1e-6)
    weights = np.exp(np.array([6.0, 0.0, 8.0]))
    np.testing.assert_allclose(probability, [weights[:2] / weights.sum()], rtol=1e-5)
    np.testing.assert_allclose(margin, [[0.6 / 1.6 - 0.8 / 1.8, -0.8 / 1.8]], atol=1e-6)


def test_a_bank_label_that_a_prompt_means_does_not_compete_with_it() -> None:
    prompts = make(["fall"], [], ["near fall", "clap", "fall"])
    assert prompts.background == ("clap",)


def test_explicit_background_competes_whatever_it_means() -> None:
    assert make(["fall"], ["near fall"], []).background == ("near fall",)


def test_a_bank_label_that_a_background_text_means_does_not_stand_there_twice() -> None:
    # ... but one that is only near in meaning does: "stands up" is not "stands still".
    assert make(["fall"], ["stand"], ["same stand", "near stand", "clap"]).background == ("stand", "near stand", "clap")


def test_without_a_background_the_rival_scores_the_least_there_is() -> None:
    similarity, probability, margin = make(["fall"], [], []).score(embed(["fall"]))
    assert (similarity[0, 0], probability[0, 0], margin[0, 0]) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize(
    "other",
    [
        make(["wave"], ["stand"], []),
        make(["fall"], ["clap"], []),
        make(["fall"], ["stand"], ["clap"]),
        make(["fall"], ["stand"], [], temperature=0.2),
    ],
)
def test_the_digest_changes_whenever_a_score_could(other: PromptSet) -> None:
    same = make(["fall"], ["stand"], [])
    assert same.digest == make(["fall"], ["stand"], []).digest
    assert same.digest != other.digest


def test_a_model_that_routes_needs_no_rivals_from_its_bank() -> None:
    trust = Trust((0.0,), (1.0,), unknown_below=0.5)
    known = [("fall",), ("wave",), ("stand",)]
    head = BankHead(tuple(embed(texts) for texts in known), np.zeros(3, np.int64), trust, np.zeros(3, np.float32))
    prompts = PromptSet(
        [Prompt("fall", "fall", also=("near fall",))], ["stand"], known, embed, head=head, model_digest="m"
    )
    assert prompts.background == ("stand",)
    similarity, probability, margin = prompts.score(np.array([[0.7, 0.2, 0.1], [0.0, 0.1, 0.9]], np.float32))
    np.testing.assert_allclose(probability[:, 0], [0.7, 0.0], atol=1e-4)
    np.testing.assert_allclose(similarity, probability, atol=1e-6)
    np.testing.assert_allclose(margin[:, 0], [0.6, -0.9], atol=1e-4)
    assert prompts.familiarity[0] > 0.9
