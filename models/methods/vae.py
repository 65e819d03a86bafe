"""What the generative methods share: linear variational auto-encoders, and a classifier trained on sampled latents."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.methods.method import FEATURES, Matcher, Method

KL_WEIGHT = 0.25
"""What the divergence from the prior counts at the end of its warm-up, about as in CADA-VAE."""
WARM_UP = 0.9
"""Share of the training in which its weight rises (CADA-VAE: 90 of 100 epochs)."""
SAMPLES = 500
"""Latents drawn of each class."""
STEPS, AT_ONCE, RATE = 300, 1024, 1e-2
"""Of the classifier's training."""


class LinearVAE(nn.Module):
    """A variational auto-encoder whose encoder and decoder are linear, as SynSE's are.

    Args:
        dim: of what is encoded.
        latent: dimension L of the code.
    """

    def __init__(self, dim: int, latent: int) -> None:
        super().__init__()
        self.mu = nn.Linear(dim, latent)
        self.logvar = nn.Linear(dim, latent)
        self.decode = nn.Linear(latent, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (N, L) of the codes of x (N, dim)."""
        return self.mu(x), self.logvar(x)


def scaled(x: Tensor) -> Tensor:
    """Features or texts (N, D) with mean 0 and variance 1 each, so that both weigh alike in an error."""
    return functional.layer_norm(x, x.shape[1:], eps=1e-8)


def sample(mu: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
    """Codes drawn from N(mu, exp(logvar)); `noise` of a unit normal may be given, of the same shape."""
    if noise is None:
        noise = torch.randn_like(mu)
    return mu + torch.exp(logvar / 2) * noise


def divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)): summed over the latent, mean over the batch."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1).mean()


def error(made: Tensor, x: Tensor) -> Tensor:
    """Squared error of a reconstruction: summed over dimensions, mean over the batch."""
    return (made - x).square().sum(dim=1).mean()


def kl_weight(progress: float) -> float:
    """What the divergence counts when the share `progress` of the training is over."""
    return KL_WEIGHT * min(progress / WARM_UP, 1.0)


def latent_classifier(mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """A linear softmax classifier of K classes, trained on `SAMPLES` codes that are drawn from each.

    Its randomness is its own, so that the same classes give the same classifier and no global generator is touched. It
    trains whether or not the caller has gradients switched off.

    Args:
        mu, logvar: (K, L) of the classes.

    Returns:
        Weight (K, L) and bias (K,).
    """
    count = len(mu)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((SAMPLES, *mu.shape), generator=generator)
    places = torch.randint(SAMPLES * count, (STEPS, AT_ONCE), generator=generator)
    with torch.inference_mode(False), torch.enable_grad():
        # Of an inference tensor, a copy made here is an ordinary one.
        means, spreads = mu.detach().clone().float(), logvar.detach().clone().float()
        codes = sample(means, spreads, noise.to(means)).flatten(0, 1)
        labels = torch.arange(count, device=means.device).repeat(SAMPLES)
        weight = torch.zeros_like(means, requires_grad=True)
        bias = torch.zeros(count, device=means.device, requires_grad=True)
        optimiser = torch.optim.Adam([weight, bias], RATE)
        for rows in places.to(means.device):
            loss = functional.cross_entropy(functional.linear(codes[rows], weight, bias), labels[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return weight.detach(), bias.detach()


class CodeMethod(Method):
    """A classifier of the codes of texts, applied to the codes of features.

    Args:
        text_dim: D of the texts.
        latent: dimension L of a clip's code.
    """

    def __init__(self, text_dim: int, latent: int) -> None:
        super().__init__(text_dim)
        self.clip = LinearVAE(FEATURES, latent)

    @abstractmethod
    def codes(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (K, L) of the codes of texts (K, F, D)."""

    def matcher(self, texts: Tensor) -> Matcher:
        """Log-probabilities of a linear softmax classifier that is trained on codes drawn from each text."""
        weight, bias = latent_classifier(*self.codes(texts))
        return lambda features: functional.log_softmax(functional.linear(self._code(features), weight, bias), dim=1)

    def embed(self, features: Tensor) -> Tensor:
        """The direction of the code's mean, E = L."""
        return functional.normalize(self._code(features), dim=1)

    def anchors(self, texts: Tensor) -> Tensor:
        """The directions of the texts' codes."""
        return functional.normalize(self.codes(texts)[0], dim=1)

    def _code(self, features: Tensor) -> Tensor:
        code: Tensor = self.clip.mu(scaled(features))
        return code
