"""The encoders that `posewire eval anomaly` judges, with what makes their prompts of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.anomaly import AnomalyEncoder
from models.text import TextCache, TextEmbedder, embed
from stream.config import Config
from stream.service import SHIPPED_MODELS, load_model
from stream.stored import cache_folder
from stream.types import Float32Array

POINTS, GRAPH, BOTH = "points", "graph", "both"
ENCODERS = (POINTS, GRAPH, BOTH)


@dataclass(frozen=True, slots=True)
class Seer:
    """An encoder, and what embeds texts for it.

    Attributes:
        encoder: see `models.anomaly`.
        texts: the vectors that came with it.
        text_model, text_dim: what embeds others.
    """

    encoder: AnomalyEncoder
    text_model: str
    text_dim: int
    texts: Mapping[str, Float32Array] = field(repr=False)

    def prompts(self, texts: Sequence[str]) -> object:
        """What the encoder takes for texts.

        Raises:
            ModelError: a text is new and no text model is installed.
        """
        vectors = embed(
            texts,
            shipped=self.texts,
            cache=TextCache(cache_folder() / "text", self.text_model, self.text_dim),
            embedder=lambda: TextEmbedder(self.text_model),
            dim=self.text_dim,
        )
        return self.encoder.prompts(vectors)


def load_seers(encoder: str, config: Config, model: Path | None, points: Sequence[Path]) -> dict[str, list[Seer]]:
    """The encoders that are asked for by kind, loaded, one for each seed.

    Args:
        encoder: one of `ENCODERS`.
        config: names the checkpoint, and the threads.
        model, points: folders of a checkpoint and of point sets, instead of the configured and the shipped one.

    Raises:
        PosewireError, ModelError: one cannot be used.
    """
    import torch

    torch.set_num_threads(config.model.threads)
    found = {}
    if encoder != GRAPH:
        found[POINTS] = [point_seer(folder) for folder in points or (SHIPPED_MODELS / "pointset",)]
    if encoder != POINTS:
        found[GRAPH] = [graph_seer(_with_model(config, model))]
    return found


def point_seer(folder: Path) -> Seer:
    """A point set."""
    from models.pointset_model import load_pointset

    model = load_pointset(folder)
    return Seer(model, model.text_model, model.text_dim, model.text)


def graph_seer(config: Config) -> Seer:
    """The configured recogniser as an anomaly encoder."""
    from models.graph_anomaly import GraphAnomaly

    recogniser = load_model(config)
    return Seer(GraphAnomaly(recogniser), recogniser.text_model, recogniser.text_dim, recogniser.text)


def _with_model(config: Config, folder: Path | None) -> Config:
    if folder is None:
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"path": str(folder)})})
