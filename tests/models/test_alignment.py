import math

import numpy as np
import pytest
import torch

from models.alignment import align

Z = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
SCORES = torch.tensor([[2.0, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, 0, 0]])
"""Clips 0, 1 and 3 are taken for class 0, surest first, clip 2 for class 1, and none for class 2."""
ANCHORS = torch.tensor([[0.0, -1.0], [0.0, 1.0], [-1.0, 0.0]])
ROOT = math.sqrt(5)


def test_a_case_worked_out_by_hand() -> None:
    # Of class 0's three clips floor(0.7 * 3) = 2 are kept: their mean (0.8, 0.4) is (2, 1) / sqrt(5). Of class 1's one
    # none is kept, so that its text stays, as does that of class 2.
    aligned = align(Z, SCORES, ANCHORS, alpha=0.7)
    expected = [[2 / ROOT, 0, -1], [2 / ROOT, 0.8, -0.6], [1 / ROOT, 1, 0], [2.2 / ROOT, 0.6, -0.8]]
    torch.testing.assert_close(aligned, torch.tensor(expected))


def test_with_alpha_1_every_clip_of_a_class_makes_its_prototype() -> None:
    aligned = align(Z, SCORES, ANCHORS, alpha=1.0)
    mean = (Z[0] + Z[1] + Z[3]) / 3
    torch.testing.assert_close(aligned[:, 0], Z @ (mean / mean.norm()))
    torch.testing.assert_close(aligned[:, 1], Z @ Z[2])


def test_with_alpha_0_the_texts_stay() -> None:
    torch.testing.assert_close(align(Z, SCORES, ANCHORS, alpha=0.0), Z @ ANCHORS.T)


def test_without_anchors_a_class_keeps_a_clip_and_one_of_no_clip_is_never_named() -> None:
    aligned = align(Z, SCORES, None, alpha=0.7)
    torch.testing.assert_close(aligned[:, 1], Z @ Z[2])  # floor(0.7 * 1) = 0, but for want of a text
    assert torch.equal(aligned[:, 2], torch.full((4,), -1.0))
    assert aligned.argmax(dim=1).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("alpha", [0.4, 0.9, 1.0])
def test_it_is_its_definition_on_random_clips(alpha: float) -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=(60, 8))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    anchors = random.normal(size=(5, 8))
    anchors /= np.linalg.norm(anchors, axis=1, keepdims=True)
    anchors[4] = -z.mean(axis=0) / np.linalg.norm(z.mean(axis=0))  # hardly anybody's
    scores = z @ anchors.T
    expected = np.empty_like(scores)
    for k in range(5):
        members = []
        for i in range(60):
            if max(range(5), key=lambda j, i=i: scores[i, j]) == k:
                p = np.exp(scores[i]) / np.exp(scores[i]).sum()
                members.append((-(p * np.log(p)).sum(), i))
        kept = [i for _, i in sorted(members)][: math.floor(alpha * len(members))]
        centre = z[kept].sum(axis=0) if kept else anchors[k]
        expected[:, k] = z @ (centre / np.linalg.norm(centre))
    aligned = align(
        torch.from_numpy(z).float(), torch.from_numpy(scores).float(), torch.from_numpy(anchors).float(), alpha
    )
    np.testing.assert_allclose(aligned.numpy(), expected, atol=1e-5)


def test_no_clips_at_all() -> None:
    assert align(torch.zeros(0, 2), torch.zeros(0, 3), ANCHORS, 0.9).shape == (0, 3)


@pytest.mark.parametrize(
    ("z", "scores", "anchors", "alpha"),
    [
        (Z[0], SCORES, ANCHORS, 0.5),
        (Z[:3], SCORES, ANCHORS, 0.5),
        (Z, SCORES, ANCHORS[:2], 0.5),
        (Z, SCORES, ANCHORS, 1.1),
        (Z, SCORES, ANCHORS, math.nan),
    ],
)
def test_what_does_not_fit_is_refused(
    z: torch.Tensor, scores: torch.Tensor, anchors: torch.Tensor, alpha: float
) -> None:
    with pytest.raises(ValueError, match="expected"):
        align(z, scores, anchors, alpha)
