import pytest
import torch
from circle_case import circle
from torch import Tensor

from models.methods import Batch, method_class
from models.methods.relationnet import RelationNet


def relation(method: RelationNet, v: Tensor, a: Tensor) -> Tensor:
    """Of one clip and one text of unit norm, before the sigmoid, by a concatenation and the layers one by one."""
    x = torch.cat([v, method.text(a)])
    for layer in (method.relation.first, *method.relation.rest):
        x = layer(x)
    return x[0]


@torch.no_grad()
def test_the_loss_and_the_scores_are_their_definitions() -> None:
    torch.manual_seed(0)
    method = RelationNet(16)
    texts, features, labels = circle(2, 0)
    wanted = torch.tensor([[float(relation(method, v, a[0])) for a in texts] for v in features])
    torch.testing.assert_close(method.matcher(texts)(features), wanted, rtol=0, atol=1e-5)
    total = 0.0
    for i in range(16):
        for k in range(8):
            total += (float(torch.sigmoid(wanted[i, k])) - float(labels[i] == k)) ** 2
    assert float(method.loss(Batch(features, labels, texts))) == pytest.approx(total / 128, abs=1e-6)


def test_texts_have_no_place_among_features() -> None:
    method = method_class("relationnet")(16)
    texts, features, _ = circle(2, 0)
    assert method.anchors(texts) is None
    torch.testing.assert_close(method.embed(features), torch.nn.functional.normalize(features, dim=1))
