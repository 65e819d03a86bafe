"""The parts that a configuration names, loaded and joined: model, prompts, pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.prototypes import OnlinePrototypes
from models.text import Embedder, TextCache, TextEmbedder, embed
from stream.anomaly_file import Anomalies
from stream.config import Config
from stream.errors import PosewireError
from stream.example_folder import ExampleFolder
from stream.pipeline import Pipeline, PipelineSettings
from stream.prompts import ExampleSet, Prompt, PromptSet
from stream.stored import cache_folder
from stream.types import Event, Example, Float32Array

if TYPE_CHECKING:
    from models.recogniser import Recogniser

SHIPPED_MODELS = Path(__file__).parents[1] / "models" / "weights"


class TextsMissing(PosewireError):
    """Texts have no vectors yet.

    Attributes:
        texts: those texts.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__(f"texts that are not embedded yet: {len(texts)}; expected them to be embedded first")
        self.texts = tuple(texts)


class _NoEmbedder:
    """Stands where loading a text model would keep frames waiting."""

    def embed(self, texts: Sequence[str]) -> Float32Array:
        raise TextsMissing(texts)


@dataclass(frozen=True, slots=True)
class Service:
    """What `load_service` gives.

    Attributes:
        pipeline: ready to take frames.
        prompts: what it watches for.
        settings: of the pipeline, the model's suggestions filled in.
        recogniser: the model.
        description: one line on the model and what it knows of anomalies, for people.
        examples: the folder of actions known by examples.
        unused: one line for each file in it that cannot be used.
        prototypes: the pipeline's, or None where they are switched off or of no use.
        prototypes_path: where they are kept, or None.
        texts_digest: of the prompts with texts, which the prototypes belong to.
        anomalies: what is watched for beside the prompts, or None where that is switched off.
        model: the model's name, kind and device, for people.
    """

    pipeline: Pipeline
    prompts: PromptSet
    settings: PipelineSettings
    recogniser: Recogniser
    description: str
    examples: ExampleFolder
    unused: tuple[str, ...]
    prototypes: OnlinePrototypes | None
    prototypes_path: Path | None
    texts_digest: str
    anomalies: Anomalies | None = None
    model: str = ""

    def warm_up(self, most: int) -> None:
        """Encode a batch of each size up to `most`, as the pipeline will: a process that met them all does not grow."""
        from models.track_states import TrackStates

        states = self.pipeline.states
        (states if isinstance(states, TrackStates) else self.recogniser).warm_up(most)

    def keep_prototypes(self) -> None:
        """Write the prototypes where they are kept, if they are.

        Raises:
            OSError: the file cannot be written.
        """
        if self.prototypes is not None and self.prototypes_path is not None:
            self.prototypes.save(self.prototypes_path, self.texts_digest)

    def revised(self, config: Config) -> Service:
        """The same with the prompts and thresholds of another configuration; see `put_in_force`.

        The texts must have been embedded before: this takes milliseconds.

        Raises:
            TextsMissing: some were not.
            ModelError: the head takes no such prompts.
        """
        recogniser = self.recogniser
        texts = make_prompts(config, recogniser, embedder=_NoEmbedder)
        prompts, unused = _with_examples(texts, self.examples, recogniser)
        settings = pipeline_settings(config, recogniser)
        prototypes = self.prototypes
        if texts.digest != self.texts_digest:  # they belong to the prompts that they were learned with
            prototypes = make_prototypes(config, recogniser, len(config.prompts))
        return replace(
            self,
            prompts=prompts,
            settings=settings,
            unused=tuple(unused),
            prototypes=prototypes,
            texts_digest=texts.digest,
        )

    def put_in_force(self) -> list[Event | Example]:
        """Have the pipeline go on with these prompts and thresholds; returns what that ends."""
        # The examples may have changed since this was made.
        prompts, _ = _with_examples(self.prompts, self.examples, self.recogniser)
        self.pipeline.prototypes = self.prototypes
        if self.anomalies is not None:
            self.anomalies.watch.follow(self.settings.events)
        return self.pipeline.exchange(prompts, self.settings.events, self.settings.rulebook)

    def refresh(self) -> tuple[PromptSet, list[str]] | None:
        """If the examples changed: the pipeline's prompts with those of now, and one line for each unused file."""
        if not self.examples.changed():
            return None
        return _with_examples(self.pipeline.prompts, self.examples, self.recogniser)


def load_service(config: Config, *, salt: str = "") -> Service:
    """Load the model and embed the prompts; `salt` sets the event ids of one run apart from those of others.

    Raises:
        ModelError: the model or the text model cannot be used.
    """
    import torch

    # One worker, one thread: two threads beside a busy neighbour were measured to be eight times slower than one.
    torch.set_num_threads(config.model.threads)
    recogniser = load_model(config)
    examples = example_folder(config, recogniser)
    examples.changed()
    texts = make_prompts(config, recogniser)
    prompts, unused = _with_examples(texts, examples, recogniser)
    settings = pipeline_settings(config, recogniser)
    name = recogniser.manifest.training.get("name", config.model.path)
    description = model = f"{name} ({recogniser.kind}) on {recogniser.choice}"
    prototypes = make_prototypes(config, recogniser, len(config.prompts))
    path = Path(config.prototypes.path) if prototypes is not None and config.prototypes.path else None
    if prototypes is not None and path is not None:
        prototypes.restore(path, texts.digest)
    pipeline = Pipeline(
        recogniser,
        prompts,
        settings,
        salt=salt,
        embedding=recogniser.embedding,
        prototypes=prototypes,
        states=recogniser.track_states(settings.window.stride, settings.max_batch),
    )
    anomalies = None
    if config.anomaly.enabled:
        from stream.anomaly_parts import make_anomalies

        anomalies = make_anomalies(config, recogniser, settings, embed_texts(config.anomaly.prompts, recogniser))
        description += f"; anomalies by {config.anomaly.encoder}: {anomalies.refresh()}"
        pipeline.watch = anomalies.watch
    return Service(
        pipeline,
        prompts,
        settings,
        recogniser,
        description,
        examples,
        tuple(unused),
        prototypes,
        path,
        texts.digest,
        anomalies,
        model,
    )


def pipeline_settings(config: Config, recogniser: Recogniser) -> PipelineSettings:
    """Settings of the pipeline, the model's suggestions filled in."""
    return config.pipeline(
        frames=recogniser.frames, rate_hz=recogniser.rate_hz, enter=recogniser.enter, exit=recogniser.exit
    )


def make_prototypes(config: Config, recogniser: Recogniser, prompts: int) -> OnlinePrototypes | None:
    """Prototypes of so many prompts with texts; there must be two to share between."""
    if not config.prototypes.enabled or prompts < 2:
        return None
    return OnlinePrototypes(prompts, recogniser.embedding_dim)


def load_model(config: Config) -> Recogniser:
    """Load the configured checkpoint.

    Raises:
        ModelError: it cannot be used.
    """
    from models.checkpoint import load

    return load(model_folder(config), config.model.device, config.model.precision)


def model_folder(config: Config) -> Path:
    """The folder of the configured checkpoint."""
    return SHIPPED_MODELS / "default" if config.model.path == "default" else Path(config.model.path)


def example_folder(config: Config, recogniser: Recogniser) -> ExampleFolder:
    """The configured folder of actions known by examples."""
    path = Path(config.examples.path) if config.examples.path else None
    return ExampleFolder(path, recogniser.digest, recogniser.embedding_dim)


def make_prompts(
    config: Config,
    recogniser: Recogniser,
    prompts: Sequence[Prompt] | None = None,
    embedder: Callable[[], Embedder] | None = None,
) -> PromptSet:
    """Embed prompts, by default the configured ones, and what they compete with; no actions known by examples.

    `embedder` makes what embeds new texts, by default the model's text model.

    Raises:
        ModelError: a text is new and no text model is installed.
    """
    return PromptSet(
        [entry.prompt() for entry in config.prompts] if prompts is None else prompts,
        config.background.texts,
        [action.texts for action in recogniser.bank],
        lambda texts: embed_texts(texts, recogniser, embedder),
        head=recogniser.head,
        model_digest=recogniser.digest,
        compete=config.background.bank,
    )


def _with_examples(prompts: PromptSet, folder: ExampleFolder, recogniser: Recogniser) -> tuple[PromptSet, list[str]]:
    actions, unused = folder.read()
    examples = ExampleSet(tuple(actions), recogniser.embedding, recogniser.references)
    return prompts.with_examples(examples), unused


def embed_texts(
    texts: Sequence[str], recogniser: Recogniser, embedder: Callable[[], Embedder] | None = None
) -> Float32Array:
    """Unit vectors (K, D) of texts in the space of a model's features.

    Raises:
        ModelError: a text is new and no text model is installed.
    """
    return embed(
        texts,
        shipped=recogniser.text,
        cache=TextCache(cache_folder() / "text", recogniser.text_model, recogniser.text_dim),
        embedder=embedder or (lambda: TextEmbedder(recogniser.text_model)),
        dim=recogniser.text_dim,
    )
