from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cosine_head import Cosine, cosine_head
from torch import Tensor

from models.heads import SMALLEST_AVERAGE, BankHead, Trust, columns_of, familiarity
from models.method_head import MethodHead
from models.methods import Matcher
from models.routing import TEMPERATURE, likeness, shares

TRUST = Trust((0.2, 0.8), (0.0, 1.0), unknown_below=0.5)
A, B, C = np.eye(8, dtype=np.float32)[:3]


def unit(v: np.ndarray) -> np.ndarray:
    return (v / np.linalg.norm(v)).astype(np.float32)


@pytest.fixture
def head() -> BankHead:
    """Two vocabularies of two actions: A and B; A again and C."""
    return BankHead(
        tuple(v[None] for v in (A, B, A, C)), np.array([0, 0, 1, 1]), TRUST, np.array([0.5, 0.1, 0.4, 0.1], np.float32)
    )


def test_a_prompt_is_as_likely_as_the_actions_that_mean_it(head: BankHead) -> None:
    scorer = head.scorer([A[None], B[None], C[None]])
    features = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0.5, 0.5, 1, 0], [0, 0, 0, 0]], np.float32)
    similarity, probability = scorer(np.concatenate([features, np.ones((4, 3), np.float32)], axis=1))
    np.testing.assert_allclose(similarity[0], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(similarity[1], [0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(similarity[2], [0.75, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(similarity[3], 0)
    # What the surer vocabulary says; none is trusted with what it has nothing like.
    np.testing.assert_allclose(probability, [[1, 0, 0], [0, 1, 1], [1, 0.5, 0], [0, 0, 0]], atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_plain_formula(seed: int) -> None:
    """With the actions of a vocabulary together or scattered, in one vocabulary or three."""
    rng = np.random.default_rng(seed)
    vocabulary = [np.repeat([0, 1, 2], [6, 3, 4]), rng.integers(0, 3, 13), np.zeros(13, int), np.arange(13) % 2][seed]
    means, texts = (np.stack([unit(v) for v in rng.normal(size=(n, 8)) + 1]) for n in (13, 9))
    posterior = rng.dirichlet(np.ones(13), 5).astype(np.float32)
    head = BankHead(tuple(v[None] for v in means), vocabulary, TRUST, posterior.mean(axis=0))
    cosine = texts @ means.T
    share = shares(cosine)
    most = sum(np.where(vocabulary == v, share, 0).max(axis=1) for v in np.unique(vocabulary))
    claims = []
    for v in np.unique(vocabulary):
        of_it = np.where(vocabulary == v, cosine, -np.inf)
        nearest = of_it.max(axis=1, keepdims=True)
        claims.append(posterior @ (np.exp((of_it - nearest) / TEMPERATURE) * TRUST.weight(nearest)).T)
    columns = [v[None] for v in texts]
    similarity, probability = head.scorer(columns)(np.pad(posterior, ((0, 0), (0, 3))))
    np.testing.assert_allclose(similarity, posterior @ (share / most[:, None]).T, atol=1e-6)
    np.testing.assert_allclose(probability, np.max(claims, axis=0), atol=1e-6)
    np.testing.assert_allclose(head.usual(columns), similarity.mean(axis=0) + SMALLEST_AVERAGE, atol=1e-6)
    assert similarity.dtype == probability.dtype == head.usual(columns).dtype == np.float32


def test_sums_of_rounded_numbers_are_no_more_than_one(head: BankHead) -> None:
    similarity, probability = head.scorer([A[None], C[None]])(np.array([[1 + 1e-6, 0, 1 + 1e-6, 0]], np.float32))
    np.testing.assert_array_equal((similarity[0, 0], probability[0, 0]), (1, 1))


def test_a_prompt_far_from_all_known_actions_is_not_believed(head: BankHead) -> None:
    far = unit(A + 3 * np.eye(8, dtype=np.float32)[5])
    scorer = head.scorer([far[None], A[None]])
    similarity, probability = scorer(np.array([[1, 0, 1, 0]], np.float32))
    cosine = float(far @ A)
    assert probability[0, 0] == pytest.approx(similarity[0, 0] * (cosine - 0.2) / 0.6, abs=1e-5)
    assert probability[0, 1] == pytest.approx(1)


def test_several_descriptions_count_as_their_mean() -> None:
    cosine = likeness([np.stack([A, B])], [A[None], C[None]])
    np.testing.assert_allclose(cosine, [[np.sqrt(0.5), 0]], atol=1e-6)
    np.testing.assert_allclose(shares(np.array([[0.9, 0.9, 0.1]], np.float32)), [[0.5, 0.5, 0]], atol=1e-6)


def test_familiarity() -> None:
    np.testing.assert_allclose(familiarity([A[None], unit(A + B)[None]], [A[None]]), [1, np.sqrt(0.5)], atol=1e-6)
    np.testing.assert_array_equal(familiarity([A[None]], []), [-1])


def test_a_method_shares_out_one_among_its_columns() -> None:
    similarity, probability = cosine_head(0.1).scorer([A[None], np.stack([B, B])])(np.stack([A, unit(A + B)]))
    half = np.sqrt(0.5) / (1 + np.sqrt(0.5))
    np.testing.assert_allclose(similarity, [[0.5, 0], [half, half]], atol=1e-6)
    np.testing.assert_allclose(probability, [[1, 0], [0.5, 0.5]], atol=1e-4)


def test_scores_without_bounds_become_similarities_with_bounds_in_the_same_order() -> None:
    class Large(Cosine):
        def matcher(self, texts: Tensor) -> Matcher:
            cosine = super().matcher(texts)
            return lambda features: 1e30 * (cosine(features) - 0.5) ** 3

    columns = [A[None], unit(A + 0.3 * B)[None], B[None]]
    similarity, probability = MethodHead(Large(1), 0.01, "large").scorer(columns)(A[None])
    assert np.isfinite(similarity).all()
    assert np.abs(similarity).max() <= 1
    assert (np.diff(similarity[0]) <= 0).all()
    np.testing.assert_allclose(probability.sum(), 1, rtol=1e-6)


def test_a_method_of_two_facets_is_given_both_of_every_text() -> None:
    seen: list[Tensor] = []

    class Two(Cosine):
        facets = ("verb", "noun")

        def matcher(self, texts: Tensor) -> Matcher:
            seen.append(texts)
            return super().matcher(texts)

    head = MethodHead(Two(1), 0.1, "two")
    parts = head.facet_texts("a person throws a ball")
    assert len(parts) == 2
    vectors = dict(zip(parts, (A, B), strict=True))
    asked: list[list[str]] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.append(list(texts))
        return np.stack([vectors.get(text, C) for text in texts])

    columns = columns_of(head, [["a person throws a ball"], ["a person throws a ball"] * 2], embed)
    assert [column.shape for column in columns] == [(2, 8), (4, 8)]
    assert asked == [list(parts)]
    head.scorer(columns)
    np.testing.assert_allclose(seen[0].numpy(), [[A, B], [A, B]], atol=1e-6)


def test_digests_tell_heads_apart(head: BankHead) -> None:
    other = replace(head, trust=Trust((0.2, 0.8), (0.0, 0.9), 0.5))
    average = replace(head, average=head.average / 2)
    assert len({head.digest, other.digest, average.digest, cosine_head(0.1).digest, cosine_head(0.2).digest}) == 5


def test_what_is_often_a_little_likely_is_chosen_less(head: BankHead) -> None:
    columns = [A[None], B[None], C[None]]
    np.testing.assert_allclose(head.usual(columns), [0.46, 0.11, 0.11], atol=1e-5)
    similarity, _ = head.scorer(columns)(np.array([[0.5, 0.2, 0.5, 0.2]], np.float32))
    assert similarity[0].argmax() == 0
    assert (similarity[0] / head.usual(columns)).argmax() > 0
    np.testing.assert_array_equal(cosine_head(0.1).usual(columns), 1)
