import pytest
import torch
from circle_case import CLASSES, DIM, SEEN, accuracy, circle, fit

from models.methods import Batch, Method, method_class

STEPS = {"devise": 200, "relationnet": 200, "revise": 200, "smie": 100, "pgfa": 100}
pytestmark = pytest.mark.parametrize("kind", [method_class(name) for name in STEPS], ids=list(STEPS))


@pytest.fixture
def steps(kind: type[Method]) -> int:
    return next(count for name, count in STEPS.items() if method_class(name) is kind)


def test_it_learns_to_name_classes_that_it_has_not_seen(kind: type[Method], steps: int) -> None:
    torch.manual_seed(0)
    method = kind(DIM)
    fit(method, steps)
    assert accuracy(method, 0, SEEN) > 0.9
    assert accuracy(method, SEEN, CLASSES) > 0.9


def test_it_is_deterministic_and_can_be_saved(kind: type[Method]) -> None:
    torch.manual_seed(0)
    method, again = kind(DIM).eval(), kind(DIM).eval()
    texts, features, _ = circle(3, 0)
    scores = method.matcher(texts)(features)
    torch.testing.assert_close(scores, method.matcher(texts)(features), rtol=0, atol=0)
    assert not torch.equal(scores, again.matcher(texts)(features))
    again.load_state_dict(method.state_dict())
    torch.testing.assert_close(scores, again.matcher(texts)(features), rtol=0, atol=0)


def test_one_class_and_no_clips(kind: type[Method]) -> None:
    method = kind(DIM)
    texts, features, _ = circle(3, 0)
    assert method.matcher(texts[:1])(features).shape == (24, 1)
    assert method.matcher(texts)(features[:0]).shape == (0, CLASSES)
    assert method.embed(features[:0]).shape[0] == 0
    masked = features[4:8] if method.needs_masked else None
    loss = method.loss(Batch(features[:4], torch.zeros(4, dtype=torch.int64), texts[:1], masked))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)
