import numpy as np
import pytest
import torch

from models.causal import RECEPTIVE_FIELD, STRIDE, CausalEncoder
from models.normaliser import INPUTS
from models.streaming import StreamingNetwork


@pytest.fixture(scope="module")
def encoder() -> CausalEncoder:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    encoder = CausalEncoder(channels=32, hidden=48, features=40).eval()
    for module in encoder.modules():  # norms that do something, as after training
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias)
    return encoder.requires_grad_(False)


def test_stepping_gives_what_the_whole_clip_gives(encoder: CausalEncoder) -> None:
    x = torch.randn(3, 96, INPUTS)
    whole = encoder(x)
    for size in (4, 12, 32):
        state, parts = encoder.init(3), []
        for start in range(0, 96, size):
            features, state = encoder.step(x[:, start : start + size], state)
            parts.append(features)
        torch.testing.assert_close(torch.cat(parts, dim=2), whole, atol=1e-5, rtol=1e-5)


def test_an_output_sees_its_receptive_field_and_nothing_later(encoder: CausalEncoder) -> None:
    x = torch.randn(1, 120, INPUTS)
    before = encoder(x)
    at = 24  # of frames 96 to 99
    newest = at * STRIDE + STRIDE - 1
    later, earlier, first = x.clone(), x.clone(), x.clone()
    later[:, newest + 1 :] += 1
    earlier[:, : newest - RECEPTIVE_FIELD + 1] += 1
    first[:, newest - RECEPTIVE_FIELD + 1] += 1
    assert torch.equal(encoder(later)[:, :, at], before[:, :, at])
    torch.testing.assert_close(encoder(earlier)[:, :, at], before[:, :, at])
    assert not torch.equal(encoder(first)[:, :, at], before[:, :, at])


def test_frames_come_in_fours(encoder: CausalEncoder) -> None:
    with pytest.raises(ValueError, match="50 frames; expected a multiple of 4"):
        encoder(torch.randn(1, 50, INPUTS))


def test_the_opinions_of_two_vocabularies() -> None:
    torch.manual_seed(0)
    network = StreamingNetwork(own=5, taught=7, channels=16, hidden=16, features=12).eval()
    network.quiet[:] = torch.tensor([1.0, 1, 0, 0, 0])
    with torch.inference_mode():
        features = network(torch.randn(3, 50, INPUTS))
        judged = network.judge(features).numpy()
    assert judged.shape == (3, 7 + 5 + 12)
    own = judged[:, 7:12]
    np.testing.assert_allclose(own.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(judged[:, :7].sum(1), 1 - own[:, :2].sum(1), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(judged[:, 12:], axis=1), 1, atol=1e-5)


def test_a_network_without_a_teacher() -> None:
    network = StreamingNetwork(own=5, taught=0, channels=16, hidden=16, features=12).eval()
    with torch.inference_mode():
        assert network.judge(network(torch.randn(2, 52, INPUTS))).shape == (2, 5 + 12)
    with pytest.raises(ValueError, match="no teacher"):
        network.teacher_features(torch.zeros(1, 12))
