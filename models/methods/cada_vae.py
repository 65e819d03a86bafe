"""CADA-VAE: one latent space of features and texts, by reconstructing each from the other's code.

Source: Schönfeld et al., "Generalized zero- and few-shot learning via aligned variational autoencoders", CVPR 2019, as
Gupta et al. (SynSE, ICIP 2021) have it for skeletons: linear encoders and decoders, and no distribution alignment (they
weigh its Wasserstein distance 0), so that cross reconstruction alone ties the two. Squared errors are theirs, too; the
paper of 2019 has absolute ones.
"""

from __future__ import annotations

from torch import Tensor

from models.methods.method import Batch
from models.methods.vae import CodeMethod, LinearVAE, divergence, error, kl_weight, sample, scaled


class CADAVAE(CodeMethod):
    """One code of a text as a whole, in the space of the clips' codes.

    Args:
        text_dim: D of the texts.
        latent: dimension of the codes.
    """

    def __init__(self, text_dim: int, latent: int = 100) -> None:
        super().__init__(text_dim, latent)
        self.text = LinearVAE(text_dim, latent)

    def loss(self, batch: Batch) -> Tensor:
        """Reconstructions, of each from its own code and from the other's, and the divergence of both codes."""
        x, t = scaled(batch.features), self._scaled(batch.texts)[batch.labels]
        clip, text = self.clip(x), self.text(t)
        z_clip, z_text = sample(*clip), sample(*text)
        own = error(self.clip.decode(z_clip), x) + error(self.text.decode(z_text), t)
        cross = error(self.clip.decode(z_text), x) + error(self.text.decode(z_clip), t)
        return own + cross + kl_weight(batch.progress) * (divergence(*clip) + divergence(*text))

    def codes(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Of each text as a whole."""
        mu, logvar = self.text(self._scaled(texts))
        return mu, logvar

    def _scaled(self, texts: Tensor) -> Tensor:
        return scaled(texts.mean(dim=1))
