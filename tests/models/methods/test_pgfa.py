import math

import pytest
import torch
from circle_case import DIM, circle

from models.methods import Batch
from models.methods.pgfa import PGFA, contrast


def test_the_loss_by_hand() -> None:
    # Each clip lies on its own text: cosines 1 and 0, over 0.07; aimed at are the shares of logits 10 and 0.
    unit = torch.eye(2, dtype=torch.float64)
    right = 1 / (1 + math.exp(-10))
    found = 1 / (1 + math.exp(-1 / 0.07))
    divergence = right * math.log(right / found) + (1 - right) * math.log((1 - right) / (1 - found))
    assert float(contrast(unit, unit, torch.tensor([0, 1]))) == pytest.approx(divergence, rel=1e-3)
    # Of one class: all pairs are alike, and equal shares are aimed at and found.
    assert float(contrast(unit[[0, 0]], unit[[0, 0]], torch.tensor([3, 3]))) == pytest.approx(0, abs=1e-6)


@torch.no_grad()
def test_the_loss_is_its_definition() -> None:
    torch.manual_seed(0)
    method = PGFA(DIM)
    texts, features, _ = circle(1, 0)
    labels = torch.tensor([2, 0, 0, 5, 2, 1])
    clips = [method.projection(v) for v in features[:6]]
    clips = [z / z.norm() for z in clips]
    scores = [[float(z @ texts[int(y), 0]) / 0.07 for y in labels] for z in clips]
    same = [[10.0 * float(a == b) for b in labels] for a in labels]

    def softmax(row: list[float]) -> list[float]:
        total = sum(math.exp(value) for value in row)
        return [math.exp(value) / total for value in row]

    def divergence(wanted: list[float], found: list[float]) -> float:
        return sum(q * math.log(q / p) for q, p in zip(softmax(wanted), softmax(found), strict=True))

    total = sum(divergence(same[i], scores[i]) + divergence(same[i], [row[i] for row in scores]) for i in range(6))
    assert float(method.loss(Batch(features[:6], labels, texts))) == pytest.approx(total / 12, abs=1e-4)


@torch.no_grad()
def test_scores_are_cosines_with_the_texts() -> None:
    method = PGFA(DIM)
    texts, features, _ = circle(2, 0)
    torch.testing.assert_close(method.anchors(2 * texts), texts[:, 0])
    wanted = torch.cosine_similarity(method.projection(features)[:, None], texts[None, :, 0], dim=2)
    torch.testing.assert_close(method.matcher(texts)(features), wanted)
    torch.testing.assert_close(method.embed(features).norm(dim=1), torch.ones(16))
    assert method.end_to_end
