import math

import pytest
import torch
from circle_case import circle
from torch import Tensor

from models.methods import Batch, method_class
from models.methods import smie as module
from models.methods.smie import SMIE


def score(method: SMIE, v: Tensor, a: Tensor) -> float:
    """T(v, a) of one clip and one text of unit norm, by a concatenation and the layers one by one."""
    v = (v - v.mean()) / (v.var(unbiased=False) + 1e-5).sqrt()
    x = torch.cat([v, a])
    for layer in (method.estimator.first, *method.estimator.rest):
        x = layer(x)
    return float(x[0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("beta", [0.0, 5.0])
@torch.no_grad()
def test_the_loss_is_its_definition(beta: float) -> None:
    torch.manual_seed(0)
    method = SMIE(16, beta=beta)
    texts, features, _ = circle(1, 0)
    v, y, hidden = features[:5], torch.tensor([2, 0, 0, 5, 1]), features[:5].flip(1)
    a = texts[y, 0]

    def information(clips: Tensor) -> float:
        first = [-softplus(-score(method, clips[i], a[i])) for i in range(5)]
        second = [softplus(score(method, v[i - 1], a[i])) for i in range(5)]
        return sum(first) / 5 - sum(second) / 5

    m, without = information(v), information(hidden)
    assert float(method.loss(Batch(v, y, texts))) == pytest.approx(-m, abs=1e-5)
    wanted = -m + 0.5 * max(0.0, beta - (m - without))
    assert float(method.loss(Batch(v, y, texts, hidden))) == pytest.approx(wanted, abs=1e-5)


@torch.no_grad()
def test_scores_are_those_of_every_pair_by_itself_in_any_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    method = SMIE(16)
    texts, features, _ = circle(2, 0)
    wanted = torch.tensor([[score(method, v, a[0]) for a in texts] for v in features])
    torch.testing.assert_close(method.matcher(texts)(features), wanted, rtol=0, atol=1e-5)
    monkeypatch.setattr(module, "AT_ONCE", 3 * 8 * 1024)
    torch.testing.assert_close(method.matcher(texts)(features), wanted, rtol=0, atol=1e-5)


def test_the_scale_of_a_feature_does_not_matter_and_texts_have_no_place_among_features() -> None:
    method = method_class("smie")(16)
    texts, features, _ = circle(2, 0)
    match = method.matcher(texts)
    torch.testing.assert_close(match(features), match(3 * features + 1), rtol=0, atol=1e-4)
    torch.testing.assert_close(method.embed(features).norm(dim=1), torch.ones(16))
    assert method.anchors(texts) is None
    assert method.needs_masked
    assert not method.end_to_end


def test_the_constraint_teaches_what_the_key_frames_tell() -> None:
    """What is gone from the masked clips is worth something only to a method that is made to look at it."""
    texts, features, labels = circle(8, 1)
    hidden = features.clone()
    hidden[:, :128] = 1.0

    def gain(constrained: bool) -> float:
        torch.manual_seed(0)
        method = SMIE(16, beta=2.0)
        optimiser = torch.optim.Adam(method.parameters(), 1e-3)
        for _ in range(25):
            rows = torch.randperm(len(labels))
            masked = hidden[rows] if constrained else None
            optimiser.zero_grad()
            method.loss(Batch(features[rows], labels[rows], texts, masked)).backward()
            optimiser.step()
        own = labels[:, None]
        match = method.matcher(texts)
        return float((match(features).gather(1, own) - match(hidden).gather(1, own)).detach().mean())

    assert gain(True) > gain(False)
