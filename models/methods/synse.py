"""SynSE: CADA-VAE with half of the latent for the text's verb and half for its noun.

Source: Gupta et al., "Syntactically guided generative embeddings for zero-shot skeleton action recognition", ICIP 2021.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from models.errors import ModelError
from models.methods.method import Batch, Facet
from models.methods.vae import CodeMethod, LinearVAE, divergence, error, kl_weight, sample, scaled


class SynSE(CodeMethod):
    """A text's code is that of its verb and that of its noun, joined.

    Args:
        text_dim: D of the texts.
        latent: dimension of a clip's code; even.

    Raises:
        ModelError: `latent` is odd.
    """

    facets: ClassVar[tuple[Facet, ...]] = ("verb", "noun")

    def __init__(self, text_dim: int, latent: int = 100) -> None:
        if latent % 2:
            raise ModelError(f"latent {latent}: expected an even number, half for the verb and half for the noun")
        super().__init__(text_dim, latent)
        self.verb = LinearVAE(text_dim, latent // 2)
        self.noun = LinearVAE(text_dim, latent // 2)

    def loss(self, batch: Batch) -> Tensor:
        """Reconstructions and divergences of clip, verb and noun.

        Verb and noun are reconstructed from their half of the clip's code as well, and the clip from the joined codes
        of both words.
        """
        x = scaled(batch.features)
        verbs, nouns = scaled(batch.texts[:, 0])[batch.labels], scaled(batch.texts[:, 1])[batch.labels]
        clip, verb, noun = self.clip(x), self.verb(verbs), self.noun(nouns)
        z_clip, z_verb, z_noun = sample(*clip), sample(*verb), sample(*noun)
        verb_half, noun_half = z_clip.chunk(2, dim=1)
        own = (
            error(self.clip.decode(z_clip), x)
            + error(self.verb.decode(z_verb), verbs)
            + error(self.noun.decode(z_noun), nouns)
        )
        cross = (
            error(self.clip.decode(torch.cat([z_verb, z_noun], dim=1)), x)
            + error(self.verb.decode(verb_half), verbs)
            + error(self.noun.decode(noun_half), nouns)
        )
        return own + cross + kl_weight(batch.progress) * (divergence(*clip) + divergence(*verb) + divergence(*noun))

    def codes(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Of verb and noun, joined."""
        verb, noun = self.verb(scaled(texts[:, 0])), self.noun(scaled(texts[:, 1]))
        return torch.cat([verb[0], noun[0]], dim=1), torch.cat([verb[1], noun[1]], dim=1)
