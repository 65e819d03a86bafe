"""The parts that a configuration names, loaded and joined: model, prompts, pipeline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.text import TextCache, TextEmbedder, embed
from stream.config import Config
from stream.pipeline import Pipeline, PipelineSettings
from stream.prompts import PromptSet
from stream.types import Float32Array

if TYPE_CHECKING:
    from models.recogniser import Recogniser

SHIPPED_MODELS = Path(__file__).parents[1] / "models" / "weights"


@dataclass(frozen=True, slots=True)
class Service:
    """What `load_service` gives.

    Attributes:
        pipeline: ready to take frames.
        prompts: what it watches for.
        settings: of the pipeline, the model's suggestions filled in.
        recogniser: the model.
        description: one line on the model, for people.
    """

    pipeline: Pipeline
    prompts: PromptSet
    settings: PipelineSettings
    recogniser: Recogniser
    description: str


def load_service(config: Config, *, salt: str = "") -> Service:
    """Load the model and embed the prompts; `salt` sets the event ids of one run apart from those of others.

    Raises:
        ModelError: the model or the text model cannot be used.
    """
    import torch

    # One worker, one thread: two threads beside a busy neighbour were measured to be eight times slower than one.
    torch.set_num_threads(config.model.threads)
    recogniser = load_model(config)
    prompts = make_prompts(config, recogniser)
    settings = config.pipeline(
        frames=recogniser.frames, rate_hz=recogniser.rate_hz, enter=recogniser.enter, exit=recogniser.exit
    )
    name = recogniser.manifest.training.get("name", config.model.path)
    description = f"{name} ({recogniser.manifest.architecture}) on {recogniser.device}"
    return Service(Pipeline(recogniser, prompts, settings, salt=salt), prompts, settings, recogniser, description)


def load_model(config: Config) -> Recogniser:
    """Load the configured checkpoint.

    Raises:
        ModelError: it cannot be used.
    """
    from models.checkpoint import load

    folder = SHIPPED_MODELS / "default" if config.model.path == "default" else Path(config.model.path)
    return load(folder, config.model.device)


def make_prompts(config: Config, recogniser: Recogniser) -> PromptSet:
    """Embed the configured prompts and what they compete with.

    Raises:
        ModelError: a text is new and no text model is installed.
    """
    return PromptSet(
        [entry.prompt() for entry in config.prompts],
        config.background.texts,
        [action.text for action in recogniser.bank],
        lambda texts: embed_texts(texts, recogniser),
        temperature=recogniser.temperature,
        model_digest=recogniser.digest,
        compete=config.background.bank,
    )


def embed_texts(texts: Sequence[str], recogniser: Recogniser) -> Float32Array:
    """Unit vectors (K, D) of texts in the space of a model's features.

    Raises:
        ModelError: a text is new and no text model is installed.
    """
    return embed(
        texts,
        shipped=recogniser.text,
        cache=TextCache(cache_folder() / "text", recogniser.text_model, recogniser.text_dim),
        embedder=lambda: TextEmbedder(recogniser.text_model),
        dim=recogniser.text_dim,
    )


def cache_folder() -> Path:
    """Where vectors of new texts are kept: `$XDG_CACHE_HOME/posewire` or `~/.cache/posewire`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "posewire"
