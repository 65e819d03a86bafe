"""The network that a recipe trains: one of the papers' encoders, and one of their methods on top of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from models.backend import CPU, Backend
from models.encoders import make_encoder
from models.methods import Method, method_class
from models.methods.method import FEATURES
from models.stgcn import STGCN, fold


class RecipeNetwork(nn.Module):
    """Encoder and method together, so that they are saved, checked and moved as one.

    Args:
        encoder: clips (N, 3, 50, V, M) to features (N, 256).
        method: what matches features with texts.
    """

    def __init__(self, encoder: nn.Module, method: Method) -> None:
        super().__init__()
        self.encoder = encoder
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.encoder(x)
        return features.float()

    @torch.no_grad()
    def embedding_dim(self) -> int:
        """E, the dimension of what the method compares features by; in eval mode."""
        device = next(self.method.parameters(), torch.zeros(())).device
        return self.method.embed(torch.zeros(1, FEATURES, device=device)).shape[1]


class ServedRecipe:
    """A trained network, ready to serve: batch norms and adjacencies folded, where its encoder has any.

    Args:
        network: in evaluation mode; it is changed, and moved to the backend's device.
        backend: where it runs, and in what numbers the encoder's products are; what the method does is float32.
    """

    def __init__(self, network: RecipeNetwork, backend: Backend = CPU) -> None:
        if isinstance(network.encoder, STGCN):
            fold(network.encoder)
        self._network, self._backend = network.to(backend.device), backend

    def __call__(self, clips: Tensor) -> Tensor:
        """Clips (N, 3, 50, V, M) to features (N, 256) float32."""
        device, dtype = self._backend.device, self._backend.dtype
        # On CUDA convolutions would round to 10 bits without being asked to.
        exact = torch.backends.cudnn.flags(allow_tf32=False) if device == "cuda" else nullcontext()
        with exact, torch.autocast(device, dtype, enabled=dtype != torch.float32):
            features: Tensor = self._network(clips.to(device))
        return features


def make_recipe(recipe: str, encoder: str, text_dim: int, arguments: Mapping[str, int | float]) -> RecipeNetwork:
    """A new network, untrained.

    Args:
        recipe: name of the method, see `models.methods.METHODS`.
        encoder: name of the encoder, see `models.encoders.make_encoder`.
        text_dim: D of the text vectors.
        arguments: of the method besides D.

    Raises:
        ModelError: there is no such method or encoder.
        TypeError, ValueError: the method takes no such arguments.
    """
    return RecipeNetwork(make_encoder(encoder), method_class(recipe)(text_dim, **arguments))
