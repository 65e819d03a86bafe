"""What is minimised: which rows of what reach the networks, and by what a model is judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoders import make_encoder
from models.methods import Batch, Matcher, Method
from models.methods.pgfa import PGFA
from train.papers import objectives
from train.papers.objectives import EndToEnd, OnFeatures, Pretraining, encode, top1
from train.papers.parts import Part

TEXTS = functional.normalize(torch.randn(3, 1, 256, generator=torch.Generator().manual_seed(0)), dim=2)


class Noting(Method):
    """Keeps what it is given; its scores are dot products of features and texts."""

    def __init__(self) -> None:
        super().__init__(256)
        self.batches: list[Batch] = []

    def loss(self, batch: Batch) -> Tensor:
        self.batches.append(batch)
        return batch.features.sum()

    def matcher(self, texts: Tensor) -> Matcher:
        return lambda features: features @ texts[:, 0].T


def clips(number: int) -> Part:
    random = np.random.default_rng(0)
    return Part(random.normal(0, 0.3, (number, 3, 50, 25, 1)).astype(np.float32), np.arange(number) % 3)


def features(number: int) -> Part:
    """Feature i is i everywhere."""
    return Part(np.repeat(np.arange(number, dtype=np.float32)[:, None], 256, axis=1), np.arange(number) % 3)


def test_pretraining_is_the_cross_entropy_of_the_rows() -> None:
    torch.manual_seed(0)
    encoder, part = make_encoder("stgcn").eval(), clips(5)
    objective = Pretraining(encoder, part, clips(2), classes=3)
    assert objective.size == 5
    loss = objective.loss(np.array([1, 3, 4]), progress=0.0)
    classifier = objective.model.get_submodule("classifier")
    with torch.no_grad():
        p = torch.softmax(classifier(encoder(torch.from_numpy(part.inputs[[1, 3, 4]]))), dim=1).double().numpy()
    assert loss.item() == pytest.approx(-np.log([p[0, 1], p[1, 0], p[2, 1]]).mean(), rel=1e-4)
    loss.backward()
    assert all(value.grad is not None for value in objective.model.parameters())


def test_pretraining_is_judged_on_held_out_clips() -> None:
    torch.manual_seed(0)
    encoder = make_encoder("stgcn").eval()
    objective = Pretraining(encoder, clips(1), Part(clips(4).inputs, np.array([2, 2, 2, 0])), classes=3)
    classifier = objective.model.get_submodule("classifier")
    assert isinstance(classifier, nn.Linear)
    nn.init.zeros_(classifier.weight)
    classifier.bias.data = torch.tensor([0.0, 0.0, 1.0])
    with torch.inference_mode():
        assert objective.accuracy() == 0.75


def test_a_method_on_features_sees_the_rows_shuffled_but_together() -> None:
    part, method = features(9), Noting()
    objective = OnFeatures(method, part, part, -np.asarray(part.inputs), TEXTS)
    assert objective.size == 9
    orders = []
    for seed in range(5):
        torch.manual_seed(seed)
        objective.loss(np.array([1, 2, 4, 5, 8]), progress=0.25)
        batch = method.batches[-1]
        row = batch.features[:, 0].long()
        orders.append(row.tolist())
        assert batch.masked is not None
        assert torch.equal(batch.masked, -batch.features)
        assert torch.equal(batch.labels, row % 3)
        assert batch.texts is TEXTS
        assert batch.progress == 0.25
    assert all(sorted(order) == [1, 2, 4, 5, 8] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_a_method_on_features_without_masked_ones_and_its_accuracy() -> None:
    method = Noting()
    held = Part(TEXTS[[0, 1, 2, 2], 0].numpy(), np.array([0, 1, 2, 0]))
    objective = OnFeatures(method, features(3), held, None, TEXTS)
    objective.loss(np.arange(3), 0.0)
    assert method.batches[0].masked is None
    assert objective.accuracy() == 0.75


def test_end_to_end_is_the_methods_loss_of_the_encoders_features() -> None:
    torch.manual_seed(0)
    encoder, method, part = make_encoder("stgcn").eval(), PGFA(256), clips(5)
    objective = EndToEnd(encoder, method, part, clips(3), TEXTS)
    loss = objective.loss(np.array([0, 2, 3]), progress=0.0)
    with torch.no_grad():
        batch = Batch(encoder(torch.from_numpy(part.inputs[[0, 2, 3]])), torch.tensor([0, 2, 0]), TEXTS)
        torch.testing.assert_close(loss.detach(), method.loss(batch))
        scores = method.matcher(TEXTS)(torch.from_numpy(encode(encoder, clips(3).inputs)))
        assert objective.accuracy() == top1(scores, np.arange(3))
    loss.backward()
    assert all(value.grad is not None for value in objective.model.parameters())


def test_end_to_end_compares_in_float32_where_the_encoder_computes_in_bfloat16() -> None:
    torch.manual_seed(0)
    method = Noting()
    objective = EndToEnd(make_encoder("stgcn").eval(), method, clips(2), clips(2), TEXTS)
    with torch.autocast("cpu", torch.bfloat16):
        objective.loss(np.arange(2), 0.0)
        assert method.batches[0].features.dtype == torch.float32


def test_clips_are_encoded_in_pieces_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder, x = make_encoder("stgcn").eval(), clips(5).inputs
    whole = encode(encoder, x)
    monkeypatch.setattr(objectives, "AT_ONCE", 2)
    np.testing.assert_allclose(encode(encoder, x), whole, rtol=1e-4, atol=1e-6)
    assert encode(encoder, x[:0]).shape == (0, 256)
    assert whole.shape == (5, 256)


def test_top1_counts_clips() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert top1(scores, np.array([1, 1, 1])) == pytest.approx(2 / 3)
    assert top1(scores[:0], np.zeros(0, np.int64)) == 0.0
