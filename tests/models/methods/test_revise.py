import math

import pytest
import torch
from circle_case import circle

from models.methods import Batch, method_class
from models.methods.revise import ReViSE, jacobian_norm, mmd


def test_the_contraction_is_the_norm_of_the_jacobian() -> None:
    torch.manual_seed(0)
    encode = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Sigmoid()).double()
    x = torch.randn(4, 5, dtype=torch.float64)
    slow = sum(float(torch.autograd.functional.jacobian(encode, row).square().sum()) for row in x) / 4
    found = jacobian_norm(encode(x), encode[0].weight)
    assert found.item() == pytest.approx(slow)


def test_the_discrepancy_by_hand() -> None:
    x, y = torch.tensor([[0.0], [0.1]], dtype=torch.float64), torch.tensor([[0.2], [0.2]], dtype=torch.float64)

    def kernel(d: float) -> float:
        return math.exp(-32 * d * d)

    within = (2 + 2 * kernel(0.1)) / 4
    between = (2 * kernel(0.2) + 2 * kernel(0.1)) / 4
    assert float(mmd(x, y)) == pytest.approx(within + 1 - 2 * between)
    assert float(mmd(x, x)) == pytest.approx(0)


@torch.no_grad()
def test_the_loss_is_the_sum_of_its_parts() -> None:
    torch.manual_seed(0)
    method = ReViSE(16).double()
    texts, features, labels = circle(2, 0)
    texts, features = texts.double(), features.double() - 0.5
    total = 0.0
    codes, places, own = [], [], [method.encode_text(a[0]) for a in texts]
    for v in features:
        x = torch.tensor([math.log(1 + max(float(value), 0.0)) for value in v], dtype=torch.float64)
        code = torch.sigmoid(method.encode_clip(x))
        slopes = code * (1 - code)
        total += float((method.decode_clip(code) - x).norm() ** 2) / 16
        total += 1e-4 * float((slopes[:, None] * method.encode_clip.weight).norm() ** 2) / 16
        codes.append(code)
        places.append(method.clip_head(code))
    for a, code in zip(texts, own, strict=True):
        total += float((method.decode_text(code) - a[0]).norm() ** 2) / 8
    paired = [own[int(y)] for y in labels]
    for sign, first, second in ((1, codes, codes), (1, paired, paired), (-2, codes, paired)):
        total += sign * sum(math.exp(-32 * float((p - q).norm()) ** 2) for p in first for q in second) / 256
    scores = [[float(place @ method.text_head(code)) for code in own] for place in places]
    for i, y in enumerate(labels.tolist()):
        total += sum(max(0.0, 0.3 - scores[i][y] + scores[i][k]) for k in range(8) if k != y) / 7 / 16
    assert float(method.loss(Batch(features, labels, texts))) == pytest.approx(total, abs=1e-6)
    torch.testing.assert_close(method.matcher(texts)(features), torch.tensor(scores, dtype=torch.float64))


def test_features_and_texts_meet_in_the_joint_space() -> None:
    method = method_class("revise")(16)
    texts, features, _ = circle(2, 0)
    anchors = method.anchors(texts)
    assert anchors is not None
    assert anchors.shape == (8, 50)
    torch.testing.assert_close(anchors.norm(dim=1), torch.ones(8))
    torch.testing.assert_close(method.embed(features).norm(dim=1), torch.ones(16))
    torch.testing.assert_close(method.embed(-features), method.embed(0 * features))
