import pytest
import torch

from models.encoders import SHIFT_FRAMES, make_encoder
from models.errors import ModelError


@pytest.mark.parametrize("name", ["stgcn", "shiftgcn"])
@pytest.mark.parametrize("bodies", [1, 2])
def test_clips_of_one_and_of_two_bodies_become_features(name: str, bodies: int) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(name).eval()
    with torch.inference_mode():
        features = encoder(torch.randn(2, 3, 50, 25, bodies))
    assert features.shape == (2, 256)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


def test_shift_gcn_sees_a_missing_body_as_zeros_and_50_frames_as_64() -> None:
    torch.manual_seed(0)
    encoder = make_encoder("shiftgcn").eval()
    alone = torch.randn(2, 3, 50, 25, 1)
    padded = torch.cat((alone, torch.zeros_like(alone)), dim=4)
    assert SHIFT_FRAMES == 64
    longer = torch.zeros(2, 3, SHIFT_FRAMES, 25, 2)
    for i in range(SHIFT_FRAMES):  # pixel centres aligned
        place = min(max((i + 0.5) * 50 / SHIFT_FRAMES - 0.5, 0), 49)
        low, high = int(place), min(int(place) + 1, 49)
        longer[:, :, i] = padded[:, :, low] + (place - low) * (padded[:, :, high] - padded[:, :, low])
    with torch.inference_mode():
        torch.testing.assert_close(encoder(alone), encoder(padded))
        torch.testing.assert_close(encoder(alone), encoder.network.features(longer), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["stgcn", "shiftgcn"])
def test_every_weight_that_learns_is_reached(name: str) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(name, 0.0).train()
    encoder(torch.randn(2, 3, 50, 25, 1)).square().sum().backward()
    learning = [(key, value.grad) for key, value in encoder.named_parameters() if value.requires_grad]
    assert [key for key, gradient in learning if gradient is None or not gradient.isfinite().all()] == []


def test_an_unknown_encoder_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"^encoder 'lstm': expected stgcn or shiftgcn$"):
        make_encoder("lstm")
