import pytest
import torch
from words_case import DIM, make_case

from models.errors import ModelError
from models.methods import Batch
from models.methods.synse import SynSE
from models.methods.vae import KL_WEIGHT


def test_the_loss_clip_by_clip():
    torch.manual_seed(1)
    case = make_case(SynSE.facets, 1)
    method = SynSE(DIM, latent=6)
    x, labels = case.features[:3], case.labels[:3]
    torch.manual_seed(2)
    loss = method.loss(Batch(x, labels, case.texts, progress=1.0))
    torch.manual_seed(2)
    noise = torch.randn(3, 6), torch.randn(3, 3), torch.randn(3, 3)
    expected = 0.0
    for row in range(3):
        clip, verb, noun = (standard(v) for v in (x[row], case.texts[labels[row], 0], case.texts[labels[row], 1]))
        codes = []
        for part, vector, draw in zip((method.clip, method.verb, method.noun), (clip, verb, noun), noise, strict=True):
            mean, logvar = part(vector)
            codes.append(mean + (logvar / 2).exp() * draw[row])
            expected += ((part.decode(codes[-1]) - vector) ** 2).sum()
            expected += KL_WEIGHT * 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum()
        expected += ((method.verb.decode(codes[0][:3]) - verb) ** 2).sum()
        expected += ((method.noun.decode(codes[0][3:]) - noun) ** 2).sum()
        expected += ((method.clip.decode(torch.cat(codes[1:])) - clip) ** 2).sum()
    assert loss.item() == pytest.approx(expected.item() / 3, rel=1e-5)


def standard(vector):
    return (vector - vector.mean()) / vector.std(correction=0)


def test_each_word_has_its_half():
    torch.manual_seed(0)
    case = make_case(SynSE.facets, 0)
    method = SynSE(DIM, latent=8).eval()
    changed = case.texts.clone()
    changed[:, 1] = changed[:, 1].flip(1)
    before, after = method.codes(case.texts)[0], method.codes(changed)[0]
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).any()


def test_an_odd_latent_cannot_be_halved():
    with pytest.raises(ModelError, match="latent 7: expected an even number"):
        SynSE(DIM, latent=7)
