import pytest
import torch
from straightforward import as_plain, plain_copy
from torch import Tensor

from models.stgcn import STGCN, Block, Dropout


def unlike_new(network: STGCN) -> STGCN:
    """Weights and statistics as after some training, so that none of them hides at 0 or 1."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and any(part in name for part in ("norm", "shortcut.1", "importance")):
                value.add_(0.2 * torch.rand_like(value))
    return network


def test_it_has_the_papers_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in STGCN().parameters()) == 821_380


def test_shapes_of_clips_and_of_several_bodies() -> None:
    network = STGCN().eval()
    one = torch.randn(2, 3, 50, 25)
    with torch.inference_mode():
        assert network(one).shape == (2, 256)
        both = network(torch.stack((one, one.flip(2)), dim=4))
        expected = (network(one) + network(one.flip(2))) / 2
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-6)


def test_a_body_that_is_not_there_counts_for_nothing() -> None:
    network = STGCN().eval()
    alone = torch.randn(2, 3, 50, 25, 1)
    with torch.inference_mode():
        padded = torch.cat((alone, torch.zeros_like(alone)), dim=4)
        padded[1] = padded[1].flip(3)  # the second clip's is in the second place
        torch.testing.assert_close(network(padded), network(alone), rtol=1e-4, atol=1e-6)
        assert network(torch.zeros(1, 3, 50, 25, 2)).isfinite().all()


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    y = Dropout(0.25)(torch.ones(100, 1001))
    assert abs(float((y == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(y.mean()) - 1) < 0.02
    torch.testing.assert_close(y[y > 0], torch.full_like(y[y > 0], 4 / 3))
    assert torch.equal(Dropout(0.5).eval()(y), y)


@pytest.mark.parametrize(("stride", "frames"), [(1, 50), (2, 25)])
def test_a_block_is_its_definition(stride: int, frames: int) -> None:
    """Against loops over subsets, joints and the kernel's frames."""
    torch.manual_seed(0)
    block = Block(4, 6, stride, 0.0, residual=False).double().eval()
    x = torch.randn(2, 4, 50, 25, dtype=torch.float64)
    with torch.inference_mode():
        torch.nn.init.normal_(block.spatial.importance)
        graph = block.spatial.get_buffer("adjacency") * block.spatial.importance
        weight, bias = block.spatial.mix.weight[:, :, 0], block.spatial.bias
        y = torch.zeros(2, 6, 50, 25, dtype=torch.float64)
        for k in range(3):
            mixed = torch.einsum("oc,nctv->notv", weight[:, :, k], x) + bias[:, k, None, None]
            for w in range(25):
                y[:, :, :, w] += (mixed * graph[k, :, w]).sum(dim=3)
        y = torch.relu(block.spatial_norm(y))
        expected = torch.zeros(2, 6, frames, 25, dtype=torch.float64)
        assert block.temporal.bias is not None
        for t in range(frames):
            for tap in range(9):
                source = t * stride + tap - 4
                if 0 <= source < 50:
                    taps = block.temporal.weight[:, :, tap, 0]
                    expected[:, :, t] += torch.einsum("oc,ncv->nov", taps, y[:, :, source])
            expected[:, :, t] += block.temporal.bias[:, None]
        expected = torch.relu(block.temporal_norm(expected))
        torch.testing.assert_close(block(x), expected)


def test_features_are_those_of_a_straightforward_reading_of_the_papers() -> None:
    ours = unlike_new(STGCN()).eval()
    x = torch.randn(3, 3, 50, 25, 2)
    with torch.inference_mode():
        expected = plain_copy(ours)(x)
        assert expected.std() > 0.01
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4)


def test_gradients_and_running_statistics_are_those_of_a_straightforward_reading() -> None:
    ours = unlike_new(STGCN(dropout=0.0)).double().train()
    plain = plain_copy(ours)
    x = torch.randn(2, 3, 50, 25, 2, dtype=torch.float64)
    towards = torch.randn(2, 256, dtype=torch.float64)
    for network in (ours, plain):
        (network(x) * towards).sum().backward()

    def gradients(network: torch.nn.Module) -> dict[str, Tensor]:
        return {name: value.grad for name, value in network.named_parameters() if value.grad is not None}

    mine, expected = as_plain(gradients(ours)), gradients(plain)
    assert mine.keys() == expected.keys()
    for name, gradient in expected.items():
        # Features are pooled into float32; biases before a batch norm have gradients of 0 but for rounding.
        torch.testing.assert_close(mine[name], gradient, rtol=1e-5, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}")
    for name, value in as_plain(ours.state_dict()).items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-6, atol=1e-6)


def test_each_clip_is_on_its_own_in_a_batch_of_clips_with_one_two_and_no_bodies() -> None:
    ours = unlike_new(STGCN()).eval()
    x = torch.randn(4, 3, 50, 25, 2)
    x[1, ..., 1], x[2, ..., 0], x[3] = 0, 0, 0
    with torch.inference_mode():
        together = ours(x)
        alone = torch.cat([ours(clip[None]) for clip in x])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together[2], ours(x[2:3, ..., 1])[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together[3], ours(torch.zeros(1, 3, 50, 25))[0], rtol=1e-4, atol=1e-5)
