import pytest
import torch
from circle_case import circle

from models.methods import Batch, method_class
from models.methods.devise import DeViSE, hinge_rank


def test_the_hinge_by_hand() -> None:
    scores = torch.tensor([[1.0, 0.5, 0.95], [0.2, 0.0, 0.2]], dtype=torch.float64)
    # Margin 0.1, own columns 0 and 1: (0 + 0.05) / 2 and (0.3 + 0.3) / 2.
    assert float(hinge_rank(scores, torch.tensor([0, 1]), 0.1)) == pytest.approx((0.025 + 0.3) / 2)
    assert float(hinge_rank(scores[:, :1], torch.tensor([0, 0]), 0.1)) == 0


@torch.no_grad()
def test_the_loss_and_the_scores_are_their_definitions() -> None:
    torch.manual_seed(0)
    method = DeViSE(16)
    texts, features, labels = circle(2, 0)
    weight = method.projection.weight
    dots = torch.tensor([[float((weight @ v) @ a[0]) for a in texts] for v in features])
    torch.testing.assert_close(method.matcher(texts)(features), dots, rtol=0, atol=1e-5)
    terms = [
        max(0.0, 0.1 - float(dots[i, labels[i]]) + float(dots[i, k]))
        for i in range(16)
        for k in range(8)
        if k != labels[i]
    ]
    assert float(method.loss(Batch(features, labels, texts))) == pytest.approx(sum(terms) / len(terms), abs=1e-5)


def test_features_and_texts_meet_in_the_space_of_texts() -> None:
    method = method_class("devise")(16)
    texts, features, _ = circle(2, 0)
    anchors = method.anchors(2 * texts)
    torch.testing.assert_close(anchors, texts[:, 0])
    found = method.embed(features) @ anchors.T
    assert torch.equal(found.argmax(dim=1), method.matcher(texts)(features).argmax(dim=1))
    torch.testing.assert_close(method.embed(features).norm(dim=1), torch.ones(16))
