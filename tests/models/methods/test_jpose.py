import pytest
import torch
from words_case import DIM, SEEN, make_case

from models.methods import Batch
from models.methods.jpose import JPoSE, hinge, triplets


def test_the_hinge_by_hand():
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    clips = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    labels = torch.tensor([0, 1])
    own = torch.tensor([[True, False, False], [False, True, False]])
    # Clip 0: 0.3 - 1 + 0 < 0 and 0.3 - 1 + 0.6 < 0. Clip 1: 0.3 - 0.8 + 0.6 = 0.1 and 0.3 - 0.8 + 1 = 0.5.
    assert hinge(clips, texts, labels, own).item() == pytest.approx(0.6 / 2)
    # Class 2 has the word of clip 1.
    own[1, 2] = True
    assert hinge(clips, texts, labels, own).item() == pytest.approx(0.1 / 2)


def test_the_triplets_by_hand():
    clips = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    # Cosines: 0-1 0.6, 0-2 0.8, 1-2 0.96. Clips 0 and 1: 0.3 - 0.6 + 0.8 and + 0.96; clip 2, alone: 0.3 - 1 + 0.96.
    assert triplets(clips, same).item() == pytest.approx((0.5 + 0.66 + 0.26) / 3, abs=1e-6)
    assert triplets(clips, torch.ones(3, 3, dtype=torch.bool)).item() == 0


def test_the_loss_is_the_sum_of_its_parts():
    torch.manual_seed(1)
    case = make_case(JPoSE.facets, 1)
    method = JPoSE(DIM)
    x, labels = case.features[:9], case.labels[:9]
    verbs, nouns = torch.tensor([verb for verb, _ in SEEN]), torch.tensor([noun for _, noun in SEEN])
    expected = hinge(method.embed(x), method.anchors(case.texts), labels, torch.eye(6, dtype=torch.bool)[labels])
    for space, words, place in ((method.verb, verbs, 0), (method.noun, nouns, 1)):
        mine = words[labels]
        expected = expected + hinge(
            space.clips(x), space.words(case.texts[:, place]), labels, mine[:, None] == words[None]
        )
        expected = expected + 0.01 * triplets(space.clips(x), mine[:, None] == mine[None])
    assert method.loss(Batch(x, labels, case.texts)).item() == pytest.approx(expected.item(), rel=1e-5)
