import math

import pytest
import torch
from words_case import DIM, make_case

from models.methods import Batch
from models.methods.cada_vae import CADAVAE
from models.methods.vae import KL_WEIGHT, WARM_UP, divergence, kl_weight, latent_classifier


def test_the_loss_clip_by_clip():
    torch.manual_seed(1)
    case = make_case(CADAVAE.facets, 1)
    method = CADAVAE(DIM, latent=5)
    x, labels = case.features[:3], case.labels[:3]
    torch.manual_seed(2)
    loss = method.loss(Batch(x, labels, case.texts, progress=0.45))
    torch.manual_seed(2)
    noise = torch.randn(3, 5), torch.randn(3, 5)
    expected = 0.0
    for row in range(3):
        clip, text = standard(x[row]), standard(case.texts[labels[row], 0])
        m, v = method.clip(clip)
        n, w = method.text(text)
        a, b = m + (v / 2).exp() * noise[0][row], n + (w / 2).exp() * noise[1][row]
        for code in (a, b):
            expected += ((method.clip.decode(code) - clip) ** 2).sum() + ((method.text.decode(code) - text) ** 2).sum()
        for mean, logvar in ((m, v), (n, w)):
            # Half of the warm-up is over.
            expected += 0.5 * KL_WEIGHT * 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum()
    assert loss.item() == pytest.approx(expected.item() / 3, rel=1e-5)


def standard(vector):
    return (vector - vector.mean()) / vector.std(correction=0)


def test_the_divergence_by_hand():
    # Of N(2, 1) from N(0, 1): 2^2 / 2 = 2. Of N(0, e^2): (e^2 - 1 - 2) / 2.
    mu, logvar = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert divergence(mu, logvar).item() == pytest.approx(2 + (math.e**2 - 3) / 2, rel=1e-6)
    assert divergence(torch.zeros(4, 3), torch.zeros(4, 3)).item() == 0


def test_the_divergence_warms_up():
    assert kl_weight(0.0) == 0
    assert kl_weight(WARM_UP / 2) == pytest.approx(KL_WEIGHT / 2)
    assert kl_weight(WARM_UP) == kl_weight(1.0) == KL_WEIGHT


def test_the_classifier_finds_the_middle_between_two_codes():
    mu = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    weight, bias = latent_classifier(mu, torch.full((2, 2), -2.0))
    # Symmetric classes: the border is the plane half way between them.
    direction = weight[1] - weight[0]
    assert direction[0] > 10 * direction[1].abs()
    assert abs((bias[1] - bias[0]) / direction[0]) < 0.1


def test_the_classifier_of_many_classes():
    torch.manual_seed(0)
    mu = torch.randn(40, 100)
    weight, bias = latent_classifier(mu, torch.full((40, 100), -1.0))
    assert ((mu @ weight.T + bias).argmax(dim=1) == torch.arange(40)).all()


def test_scores_are_log_probabilities():
    torch.manual_seed(0)
    case = make_case(CADAVAE.facets, 0)
    scores = CADAVAE(DIM).eval().matcher(case.new_texts)(case.new_features)
    assert torch.allclose(scores.exp().sum(dim=1), torch.ones(len(scores)), atol=1e-5)


def test_the_latent_is_as_wide_as_asked_for():
    assert CADAVAE(DIM, latent=200).embed(torch.rand(2, 256)).shape == (2, 200)
