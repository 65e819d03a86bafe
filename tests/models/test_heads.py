from dataclasses import replace

import numpy as np
import pytest

from models.heads import BankHead, TextHead, Trust, familiarity
from models.routing import likeness, shares

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


def test_a_text_head_shares_out_one_among_its_columns() -> None:
    similarity, probability = TextHead(0.1).scorer([A[None], np.stack([B, B])])(np.stack([A, unit(A + B)]))
    np.testing.assert_allclose(similarity, [[1, 0], [np.sqrt(0.5)] * 2], atol=1e-6)
    np.testing.assert_allclose(probability, [[1, 0], [0.5, 0.5]], atol=1e-4)


def test_digests_tell_heads_apart(head: BankHead) -> None:
    other = replace(head, trust=Trust((0.2, 0.8), (0.0, 0.9), 0.5))
    average = replace(head, average=head.average / 2)
    assert len({head.digest, other.digest, average.digest, TextHead(0.1).digest, TextHead(0.2).digest}) == 5


def test_what_is_often_a_little_likely_is_chosen_less(head: BankHead) -> None:
    columns = [A[None], B[None], C[None]]
    np.testing.assert_allclose(head.usual(columns), [0.46, 0.11, 0.11], atol=1e-5)
    similarity, _ = head.scorer(columns)(np.array([[0.5, 0.2, 0.5, 0.2]], np.float32))
    assert similarity[0].argmax() == 0
    assert (similarity[0] / head.usual(columns)).argmax() > 0
    np.testing.assert_array_equal(TextHead(0.1).usual(columns), 1)
