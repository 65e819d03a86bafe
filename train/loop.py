"""Training of the papers' encoder against texts: seeded by step, resumable, selected on people held out for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.preprocess import Centre, PreprocessOptions, preprocess
from models.stgcn import TextAlignedSTGCN
from train.datasets.texts import ActionTexts
from train.datasets.windows import Batch, Case, WindowSampler
from train.losses import alignment_loss
from train.metrics import selection_score
from train.runs import follow, read_state, write_state

Float32Array = NDArray[np.float32]
WARM_UP = 0.06
"""Share of the steps in which the learning rate rises."""
YAW_NOISE = 8.0
"""Degrees; how wrong a shoulder line may be."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How to train.

    Attributes:
        steps, batch: number of optimisation steps and windows in each.
        learning_rate, weight_decay: of AdamW; the rate follows a cosine after the warm-up.
        dropout: in the network's blocks.
        average: decay of the running average of the weights, which is what is judged and kept.
        judge_every: steps between validations.
        seed: of everything random.
        centre: see `PreprocessOptions`.
        bf16: whether the network computes in bfloat16 (twice as fast on CPUs with AMX).
    """

    steps: int = 800
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.0
    average: float = 0.99
    judge_every: int = 100
    seed: int = 0
    centre: Centre = "height"
    bf16: bool = True


class Trainer:
    """Trains one network; `save` and `restore` carry everything that the next step depends on.

    Args:
        settings: see `LoopSettings`.
        sampler: draws training windows.
        texts: the actions' sentences.
        validation: windows and cases of held-out people.
    """

    def __init__(
        self,
        settings: LoopSettings,
        sampler: WindowSampler,
        texts: ActionTexts,
        validation: tuple[Batch, list[Case]],
    ) -> None:
        self.settings, self._sampler, self._texts, self._validation = settings, sampler, texts, validation
        torch.manual_seed(settings.seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = TextAlignedSTGCN(texts.bank.shape[1], settings.dropout).to(self.device)
        self.average = TextAlignedSTGCN(texts.bank.shape[1]).to(self.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.step_number = 0
        self.best = -1.0
        self.best_weights = self._copy()

    def step(self) -> float:
        """One optimisation step; returns its loss. All randomness comes from the seed and the step's number."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self.step_number])
        torch.manual_seed(int(rng.integers(2**31)))
        batch = self._sampler.draw(settings.batch, rng)
        x = torch.from_numpy(preprocess(batch.x, batch.mask, PreprocessOptions(settings.centre)))
        x = turned(x, torch.from_numpy(rng.normal(0, np.radians(YAW_NOISE), len(x)).astype(np.float32)))
        texts = torch.from_numpy(self._texts.draw(batch.action, rng)).to(self.device)
        self._optimiser.param_groups[0]["lr"] = settings.learning_rate * self._schedule()
        self.network.train()
        with torch.autocast(self.device, torch.bfloat16, enabled=settings.bf16):
            features = self.network(x.to(self.device))
        loss = alignment_loss(features.float(), texts, torch.from_numpy(batch.action).to(self.device))
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._optimiser.step()
        self.step_number += 1
        follow(self.average, self.network, self.settings.average, self.step_number)
        return float(loss.detach())

    def judge(self) -> dict[str, float]:
        """Validate the averaged network, and keep it if it is the best so far."""
        batch, cases = self._validation
        score = selection_score(cases, self.similarity(batch))
        if score > self.best:
            self.best, self.best_weights = score, self._copy()
        return {"validation": score}

    def similarity(self, batch: Batch) -> Float32Array:
        """Cosine of each window with each action of the bank, (N, K), by the averaged network."""
        features = encode(self.average, batch, PreprocessOptions(self.settings.centre), bf16=self.settings.bf16)
        return features @ self._texts.bank.T

    def _schedule(self) -> float:
        done = self.step_number / self.settings.steps
        if done < WARM_UP:
            return (done + 1 / self.settings.steps) / WARM_UP
        return float(0.5 * (1 + np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP))))

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().clone() for name, value in self.average.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write the state that `restore` reads, whole or not at all."""
        state = {
            "settings": asdict(self.settings),
            "step": self.step_number,
            "best": self.best,
            "best_weights": self.best_weights,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        write_state(path, state)

    def restore(self, path: Path) -> None:
        """Continue where `save` left off.

        Raises:
            ResumeError: it was written with other settings.
        """
        state = read_state(path, asdict(self.settings), self.device)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step_number, self.best, self.best_weights = state["step"], state["best"], state["best_weights"]


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Turn normalised windows (N, 3, T, V) about y by angles (N,) in radians."""
    cos, sin = torch.cos(angles)[:, None, None], torch.sin(angles)[:, None, None]
    return torch.stack((cos * x[:, 0] + sin * x[:, 2], x[:, 1], cos * x[:, 2] - sin * x[:, 0]), dim=1)


@torch.no_grad()
def encode(network: nn.Module, batch: Batch, options: PreprocessOptions, *, bf16: bool, size: int = 64) -> Float32Array:
    """Features (N, D) of raw windows."""
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(batch.x), size):
        x = preprocess(batch.x[start : start + size], batch.mask[start : start + size], options)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            parts.append(network(torch.from_numpy(x).to(device)).float().cpu().numpy())
    return np.concatenate(parts)
