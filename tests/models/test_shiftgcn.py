import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.shiftgcn import BLOCK, ShiftGCN, SpatialShift, TemporalShift, V, shift_index


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in evaluation, with parameters and statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            continue
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0, generator=generator)
        elif name.endswith("ypos"):
            value.uniform_(-5, 5, generator=generator)
        elif not name.endswith("xpos"):
            value.add_(torch.randn(value.shape, generator=generator) * 0.1)
    return module.eval().requires_grad_(False)


def slow_shift(x: Tensor, delays: list[float], stride: int) -> Tensor:
    """The published operation, written out: x (C, V, N, T)."""
    frames = x.shape[3]
    out = torch.zeros(*x.shape[:3], frames // stride)
    for c, delay in enumerate(delays):
        late = delay + (0.5 if stride > 1 else 0.0)
        whole = math.floor(late)
        share = late - whole
        for t in range(frames // stride):
            for source, weight in ((t * stride + whole, 1 - share), (t * stride + whole + 1, share)):
                if 0 <= source < frames:
                    out[c, :, :, t] += weight * x[c, :, :, source]
    return out


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [4, BLOCK, 2 * BLOCK + 12])
def test_temporal_shift_is_the_published_operation(stride: int, frames: int) -> None:
    delays = [0.0, 1.0, -1.0, 0.25, -0.75, 7.9, -7.9, 100.0]
    shift = TemporalShift(len(delays), stride)
    shift.ypos.data[:] = torch.tensor(delays)
    x = torch.randn(len(delays), 2, 3, frames)
    torch.testing.assert_close(shift(x).detach(), slow_shift(x, delays, stride), atol=1e-5, rtol=0)


def test_temporal_shift_learns_its_delays() -> None:
    shift = TemporalShift(3)
    shift(torch.randn(3, 2, 2, 12)).pow(2).sum().backward()
    assert shift.ypos.grad is not None
    assert (shift.ypos.grad != 0).all()


@pytest.mark.parametrize(("channels", "direction"), [(3, 1), (64, 1), (64, -1)])
def test_shift_index_is_the_published_formula(channels: int, direction: int) -> None:
    size = V * channels
    published = [(v * channels + c + direction * c * channels) % size for v in range(V) for c in range(channels)]
    assert shift_index(channels, direction).tolist() == published


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (8, 8)])
def test_spatial_shift_is_the_published_operation(inputs: int, outputs: int) -> None:
    module = randomised(SpatialShift(inputs, outputs))
    assert isinstance(module, SpatialShift)
    n, t = 2, 3
    x = torch.randn(n, inputs, t, V)
    flat = x.permute(0, 2, 3, 1).reshape(n * t, V * inputs)
    y = torch.empty_like(flat)
    for place, source in enumerate(module.shift_in.tolist()):
        y[:, place] = flat[:, source]
    y = y.view(n * t, V, inputs) * (torch.tanh(module.Feature_Mask) + 1)
    y = torch.einsum("nvc,cd->nvd", y, module.Linear_weight) + module.Linear_bias
    flat = y.reshape(n * t, V * outputs)
    y = torch.empty_like(flat)
    for place, source in enumerate(module.shift_out.tolist()):
        y[:, place] = flat[:, source]
    y = module.bn(y).view(n, t, V, outputs).permute(0, 3, 1, 2)
    if module.down is not None:
        conv, norm = module.down
        x0 = nn.functional.conv2d(x, conv.weight, conv.bias)
        x0 = nn.functional.batch_norm(x0, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    expected = torch.relu(y + (x if module.down is None else x0))
    found = module(x.permute(1, 3, 0, 2).contiguous())
    torch.testing.assert_close(found.permute(2, 0, 3, 1), expected, atol=1e-5, rtol=1e-5)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(value.numel() for value in ShiftGCN(120).parameters()) == 772_602
    assert sum(value.numel() for value in ShiftGCN(60).parameters()) == 757_182
    assert len(ShiftGCN().state_dict()) == 302


def test_a_clip_does_not_depend_on_its_batch_nor_on_who_is_missing_in_it() -> None:
    network = randomised(ShiftGCN(7))
    x = torch.randn(4, 3, 16, V, 2) * 0.3
    x[:3, ..., 1] = 0
    x[2] = 0
    together = network(x)
    apart = torch.cat([network(x[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)
    barely = x.clone()
    barely[:3, :, 0, 0, 1] = 1e-12  # keeps the short cut for missing bodies from being taken
    torch.testing.assert_close(together, network(barely), atol=1e-4, rtol=1e-4)
    assert (apart[0] - apart[3]).abs().max() > 1e-3


def test_all_of_it_learns() -> None:
    torch.manual_seed(0)
    network = ShiftGCN(5).train()
    nn.functional.cross_entropy(network(torch.randn(2, 3, 8, V, 2)), torch.tensor([1, 4])).backward()
    idle = [name for name, value in network.named_parameters() if value.requires_grad and value.grad is None]
    assert idle == []


@pytest.mark.parametrize("shape", [(1, 3, 63, 25, 2), (1, 3, 0, 25, 2), (1, 3, 64, 20, 2), (1, 3, 64, 25, 1)])
def test_clips_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected clips"):
        ShiftGCN(2)(torch.from_numpy(np.zeros(shape, np.float32)))
