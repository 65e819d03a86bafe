import pytest
import torch

from models.stgcn import STGCN, Block, TextAlignedSTGCN


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


def test_features_in_the_text_space_are_of_unit_length() -> None:
    network = TextAlignedSTGCN(384).eval()
    with torch.inference_mode():
        z = network(torch.randn(3, 3, 50, 25))
    assert z.shape == (3, 384)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(("stride", "frames"), [(1, 50), (2, 25)])
def test_a_block_is_its_definition(stride: int, frames: int) -> None:
    """Against loops over subsets, joints and the kernel's frames."""
    torch.manual_seed(0)
    block = Block(4, 6, stride, 0.0, residual=False).double().eval()
    x = torch.randn(2, 4, 50, 25, dtype=torch.float64)
    with torch.inference_mode():
        graph = block.get_buffer("adjacency") * block.importance
        weight, bias = block.spatial.weight[:, :, 0, 0], block.spatial.bias
        assert bias is not None
        y = torch.zeros(2, 6, 50, 25, dtype=torch.float64)
        for k in range(3):
            mixed = torch.einsum("oc,nctv->notv", weight[6 * k : 6 * k + 6], x) + bias[6 * k : 6 * k + 6, None, None]
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
