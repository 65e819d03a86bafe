"""A loaded model: windows in, features out, and the head that makes scores of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.backend import TRIED, Backend, backends, choose
from models.causal import STRIDE
from models.checkpoint import KnownAction, Manifest
from models.errors import CheckpointError, ModelError
from models.frame50 import frame50
from models.graph import JOINTS
from models.heads import BankHead, Head, Trust
from models.matrices import Matrices
from models.method_head import MethodHead
from models.methods.method import FEATURES
from models.normaliser import NormaliserState, normalise
from models.recipe import RecipeNetwork, ServedRecipe, make_recipe
from models.streaming import StreamingNetwork
from models.tensors import check_tensors
from models.track_states import MOST, TrackStates

Float32Array = NDArray[np.float32]
ARCHITECTURES = ("streaming", "method")
"""The first gives probabilities of the bank's actions, the second features that a method of the papers scores."""


class Recogniser:
    """Encodes windows with a trained network. Use `models.checkpoint.load` to make one.

    Not thread safe; sets no number of threads (that is the process's business).

    Args:
        manifest: what the model is.
        weights: the network's state.
        text: shipped text vectors.
        references: embeddings of what it knows, see `models.checkpoint.read_references`.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32", "bf16" or "fp16": of the matrix products.
        where: named in errors.

    Attributes:
        rate_hz, frames: rate and length T of the windows that it takes.
        text_model, text_dim: name and dimension of the text model of its texts.
        enter, exit: see `models.checkpoint.Manifest`.
        bank, background: the actions that it knows, and the texts of what is no news.
        text: shipped text vectors, (D,) float32 each.
        embedding_dim: E of its embeddings.
        references: (R, E) float32; R may be 0.
        head: makes scores of its features.
        digest: sha256 of the weights.
        choice: where it runs and in what numbers, and why.

    Raises:
        CheckpointError: weights do not fit the architecture, or are not finite.
        ModelError: the device is not there, or does not compute in this precision.
    """

    def __init__(
        self,
        manifest: Manifest,
        weights: Mapping[str, NDArray[Any]],
        text: Mapping[str, Float32Array],
        *,
        references: Float32Array | None = None,
        device: str = "auto",
        precision: str = "fp32",
        where: str = "weights",
    ) -> None:
        self.rate_hz, self.frames = manifest.rate_hz, manifest.frames
        self.text_model, self.text_dim = manifest.text_model, manifest.text_dim
        self.enter, self.exit = manifest.enter, manifest.exit
        self.bank: tuple[KnownAction, ...] = manifest.bank
        self.background = manifest.background
        self.text = dict(text)
        self.digest = manifest.weights_sha256
        self.manifest = manifest
        candidates = backends(device, precision)
        with torch.device("meta"):  # takes no memory, whatever sizes the manifest asks for
            check_tensors(_build(manifest, where), weights, where)
        self._network = _build(manifest, where)
        self._network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        self._network.eval().requires_grad_(False)
        self.choice = choose(candidates, self._trial)
        self._matrices: Matrices | None = None
        if isinstance(self._network, StreamingNetwork):
            self._matrices = Matrices(self._network, self.choice.backend)
            self.head: Head = _bank_head(manifest, self.text, self._network.get_buffer("usual").cpu().numpy(), where)
            self.embedding_dim = len(self._network.get_buffer("centre"))
            self._features = len(self.bank) + self.embedding_dim
        else:
            self._recipe = ServedRecipe(self._network, self.choice.backend)
            name = f"{manifest.recipe} {sorted(manifest.arguments.items())} {manifest.text_model}"
            self.head = MethodHead(self._network.method, manifest.temperature, name)
            self.embedding_dim, self._features = self._network.embedding_dim(), FEATURES
        self.references = np.zeros((0, self.embedding_dim), np.float32) if references is None else references
        if self.references.shape[1] != self.embedding_dim:
            raise CheckpointError(f"{where}: references {self.references.shape}; expected (R, {self.embedding_dim})")

    @property
    def kind(self) -> str:
        """What kind of model it is, for people."""
        manifest = self.manifest
        return f"recipe {manifest.recipe}, {manifest.encoder}" if manifest.recipe else manifest.architecture

    def encode(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        """Encode windows.

        Args:
            x: (N, 3, T, V) float32, metres in camera axes, canonical layout, at `rate_hz`.
            mask: (N, T, V) float32, confidence; 0 where nothing was seen.

        Returns:
            (N, F) float32, what `head` and `embedding` take.

        Raises:
            ValueError: the shapes do not fit.
        """
        if x.shape[1:] != (3, self.frames, len(JOINTS)) or mask.shape != (len(x), self.frames, len(JOINTS)):
            raise ValueError(f"expected windows (N, 3, {self.frames}, {len(JOINTS)}), got {x.shape} and {mask.shape}")
        return self.encode_clips(x, mask)

    def encode_clips(self, x: Float32Array, mask: Float32Array) -> Float32Array:
        """`encode` for clips of any one length of at least `frames`: the whole of each is one window.

        Raises:
            ValueError: the shapes do not fit.
        """
        if x.shape[2] < self.frames or mask.shape != (len(x), x.shape[2], len(JOINTS)):
            raise ValueError(
                f"expected clips (N, 3, T >= {self.frames}, {len(JOINTS)}), got {x.shape} and {mask.shape}"
            )
        if len(x) == 0:
            return np.zeros((0, self._features), np.float32)
        with torch.inference_mode():
            if self._matrices is None:
                clips = frame50(x[..., None], (mask > 0)[..., None])
                return np.asarray(self._recipe(torch.from_numpy(clips)).cpu().numpy(), np.float32)
            inputs = normalise(x.transpose(0, 2, 3, 1), mask, NormaliserState.new(len(x)), self.rate_hz)
            judged = self._matrices(torch.from_numpy(inputs), whole=x.shape[2] > self.frames)
            return np.asarray(judged.cpu().numpy(), np.float32)

    def track_states(self, frames: int, batch: int = 1) -> TrackStates | None:
        """What encodes tracks step by step; None of models that know whole windows alone.

        Its features are of the same kind as those of `encode`: of a track's whole past rather than of one window.

        Args:
            frames: of each step.
            batch: tracks in one step, at most.
        """
        if self._matrices is None:
            return None
        return TrackStates(self._matrices, frames, rate_hz=self.rate_hz, most=max(MOST, batch))

    def warm_up(self, most: int) -> None:
        """Encode a batch of each size up to `most`.

        Torch keeps memory for each size that it has met: a process that meets them all at its start does not grow.
        """
        x = np.zeros((most, 3, self.frames, len(JOINTS)), np.float32)
        mask = np.ones((most, self.frames, len(JOINTS)), np.float32)
        for size in range(1, most + 1):
            self.encode(x[:size], mask[:size])

    def _trial(self, backend: Backend) -> Callable[[], object]:
        """What is timed of a backend: a step, or windows, of as many people as a busy turn has."""
        network = deepcopy(self._network)
        if isinstance(network, StreamingNetwork):
            states = TrackStates(Matrices(network, backend), STRIDE, rate_hz=self.rate_hz)
            x = np.zeros((TRIED, STRIDE, len(JOINTS), 3), np.float32)
            return lambda: states.step(range(TRIED), x, x[..., 0])
        recipe, clips = ServedRecipe(network, backend), torch.zeros(TRIED, 3, self.frames, len(JOINTS), 1)
        return torch.inference_mode()(lambda: recipe(clips).cpu())

    def embedding(self, features: Float32Array) -> Float32Array:
        """What features are compared with each other by: (N, F) to (N, E), unit norm."""
        if not isinstance(self._network, RecipeNetwork):
            return features[:, len(self.bank) :]
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(features)).to(self.choice.backend.device)
            embedded = self._network.method.embed(given)
        return np.asarray(embedded.cpu().numpy(), np.float32)


def _build(manifest: Manifest, where: str) -> StreamingNetwork | RecipeNetwork:
    arguments, kind = manifest.arguments, manifest.architecture
    if kind not in ARCHITECTURES:
        raise CheckpointError(f"{where}: architecture {kind!r}; known: {', '.join(ARCHITECTURES)}")
    if not manifest.bank or not all(action.texts for action in manifest.bank):
        raise CheckpointError(f"{where}: {'an action without text' if manifest.bank else 'no actions'} in its bank")
    if kind == "streaming" and arguments.get("own", 0) + arguments.get("taught", 0) != len(manifest.bank):
        raise CheckpointError(f"{where}: own + taught is not {len(manifest.bank)}, the number of actions in the bank")
    try:
        if kind == "streaming":
            return StreamingNetwork(**arguments)  # type: ignore[arg-type]  # numbers, which it checks
        return make_recipe(manifest.recipe, manifest.encoder, manifest.text_dim, arguments)
    except ModelError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        name = manifest.recipe or kind
        raise CheckpointError(f"{where}: arguments {arguments} do not fit {name} ({reason})") from error


def _bank_head(manifest: Manifest, text: Mapping[str, Float32Array], average: Float32Array, where: str) -> BankHead:
    missing = [t for action in manifest.bank for t in action.texts if t not in text]
    if missing or manifest.trust is None:
        what = f"no vector of {missing[0]!r}" if missing else "no trust"
        raise CheckpointError(f"{where}: {what}; a streaming model is shipped with both for its whole bank")
    trust = manifest.trust
    if len(trust.cosines) != len(trust.weights) or not trust.cosines or list(trust.cosines) != sorted(trust.cosines):
        raise CheckpointError(f"{where}: trust needs as many weights as increasing cosines")
    names = list(dict.fromkeys(action.vocabulary for action in manifest.bank))
    return BankHead(
        bank=tuple(np.stack([text[t] for t in action.texts]) for action in manifest.bank),
        vocabulary=np.array([names.index(action.vocabulary) for action in manifest.bank]),
        trust=Trust(trust.cosines, trust.weights, trust.unknown_below),
        average=average,
    )
