import pytest
import torch
from safetensors.torch import load_file, save_file
from words_case import DIM, accuracy, fit, make_case

from models.methods import Batch, method_class

METHODS = ["jpose", "cada-vae", "synse"]
pytestmark = pytest.mark.parametrize("kind", [method_class(name) for name in METHODS], ids=METHODS)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_names_new_pairs_of_known_words(kind, seed):
    torch.manual_seed(seed)
    case = make_case(kind.facets, seed)
    method = kind(DIM)
    fit(method, case)
    assert accuracy(method, case) > 0.85
    nearest = (method.embed(case.new_features) @ method.anchors(case.new_texts).T).argmax(dim=1)
    assert (nearest == case.new_labels).float().mean() > 0.85


def test_a_matcher_is_always_the_same_and_leaves_the_generator_alone(kind):
    torch.manual_seed(0)
    case = make_case(kind.facets, 0)
    method = kind(DIM).eval()
    state = torch.get_rng_state()
    scores = method.matcher(case.new_texts)(case.new_features)
    with torch.no_grad():
        again = method.matcher(case.new_texts)(case.new_features)
    with torch.inference_mode():
        third = method.matcher(case.new_texts.clone())(case.new_features)
    assert torch.equal(scores, again)
    assert torch.equal(scores, third.clone())
    assert torch.equal(torch.get_rng_state(), state)
    assert not again.requires_grad


@pytest.mark.parametrize("classes", [1, 2, 7])
@pytest.mark.parametrize("clips", [0, 1, 3])
def test_any_number_of_clips_and_classes(kind, classes, clips):
    torch.manual_seed(0)
    method = kind(DIM).eval()
    texts = torch.nn.functional.normalize(torch.randn(classes, len(method.facets), DIM), dim=2)
    with torch.no_grad():
        scores = method.matcher(texts)(torch.rand(clips, 256))
        places, anchors = method.embed(torch.rand(clips, 256)), method.anchors(texts)
    assert scores.shape == (clips, classes)
    assert scores.isfinite().all()
    assert places.shape == (clips, anchors.shape[1])
    assert torch.allclose(places.norm(dim=1), torch.ones(clips))
    assert torch.allclose(anchors.norm(dim=1), torch.ones(classes))


def test_weights_are_all_that_a_method_is(kind, tmp_path):
    torch.manual_seed(0)
    case = make_case(kind.facets, 0)
    method, other = kind(DIM).eval(), kind(DIM).eval()
    save_file(method.state_dict(), tmp_path / "method.safetensors")
    other.load_state_dict(load_file(tmp_path / "method.safetensors"))
    assert torch.equal(
        method.matcher(case.new_texts)(case.new_features), other.matcher(case.new_texts)(case.new_features)
    )


@pytest.mark.parametrize("clips", [1, 2])
def test_the_loss_of_a_small_batch_is_finite(kind, clips):
    torch.manual_seed(0)
    case = make_case(kind.facets, 0)
    loss = kind(DIM).loss(Batch(case.features[:clips], case.labels[:clips], case.texts, progress=0.0))
    assert loss.ndim == 0
    assert loss.isfinite()
    loss.backward()
