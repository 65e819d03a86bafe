"""Training of the streaming encoder from the pool: like the teacher, and by the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.normaliser import POSE, TRAVEL
from models.streaming import POOLED, StreamingNetwork, padded
from train.datasets.pairs import UNKNOWN
from train.distributed import Group
from train.pool import Pool
from train.runs import follow, read_state, write_state

STREAM = 8
"""Windows that follow each other in one stream, so that the encoder learns to forget what was before."""
IN_STREAMS = 2 / 3
"""Share of a batch in such streams; the rest are windows that begin a stream."""
SOFTNESS = 2.0
"""Temperature at which the teacher's opinion is imitated."""
WARM_UP = 100
"""Steps in which the learning rate rises."""
JUDGED = 2000
"""Windows of a validation."""
YAW_NOISE = 10.0
"""Degrees; how wrong the running mean of the shoulder line may be."""


@dataclass(frozen=True, slots=True)
class DistilSettings:
    """How to train.

    Attributes:
        windows: how many the network is to see in all; each of the pool is seen several times.
        batch: windows of a step, over all processes.
        learning_rate, weight_decay: of AdamW; the rate follows a cosine after the warm-up.
        average: decay of the running average of the weights, which is what is kept.
        judge_every: steps between validations.
        seed: of everything random.
        channels, hidden: width of the encoder.
        teaching: weight of the teacher's opinion; 0 trains by labels alone.
        leave: names of sets that are left out.
        bf16: whether the network computes in bfloat16.
    """

    windows: int = 1_500_000
    batch: int = 96
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    average: float = 0.998
    judge_every: int = 250
    seed: int = 0
    channels: int = 192
    hidden: int = 320
    teaching: float = 1.0
    leave: tuple[str, ...] = ()
    bf16: bool = True

    @property
    def steps(self) -> int:
        """Optimisation steps."""
        return max(1, self.windows // self.batch)


@dataclass(frozen=True, slots=True)
class Losses:
    """Parts of the loss of N windows; all but `labels` are zero without a teacher."""

    opinion: Tensor
    distance: Tensor
    direction: Tensor
    labels: Tensor

    def total(self, teaching: float) -> Tensor:
        """4 KL + feature MSE / 2 + cosine, and the cross entropy of the labels."""
        return teaching * (4 * self.opinion + 0.5 * self.distance + self.direction) + self.labels


class Distiller:
    """Trains one network; `save` and `restore` carry all that the next step depends on.

    Args:
        settings: see `DistilSettings`.
        pool: windows, and what the teacher said of them.
        classifier: the teacher's own, weight (K, 256) and bias (K,); None without a teacher.
        validation: windows of people held out, from the same teacher.
        group: the processes that train together.
    """

    def __init__(
        self,
        settings: DistilSettings,
        pool: Pool,
        classifier: Mapping[str, Tensor] | None,
        validation: Pool,
        group: Group,
    ) -> None:
        self.settings, self._pool, self._validation, self._group = (
            settings,
            pool.without(settings.leave),
            validation,
            group,
        )
        if len(self._pool) == 0:
            raise ValueError("the pool holds no window of the sets to train on")
        torch.manual_seed(settings.seed)
        self.device = group.device
        self.network = self._network(pool.actions, classifier)
        self.average = self._network(pool.actions, classifier).eval().requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self._module = group.wrap(_Batch(self.network))
        self._optimiser = torch.optim.AdamW(
            [p for p in self.network.parameters() if p.requires_grad],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        occurring = np.unique(self._pool.action[self._pool.action != UNKNOWN])
        self._known = torch.from_numpy(occurring).to(self.device)
        self._column = torch.full((pool.actions,), -1, dtype=torch.int64, device=self.device)
        self._column[self._known] = torch.arange(len(occurring), device=self.device)
        self._scale = (
            float(np.std(self._pool.features[:20000].astype(np.float32), axis=0).mean()) if classifier else 1.0
        )
        self.step_number = 0
        self._epoch, self._permutation = -1, np.zeros(0, np.int64)

    def _network(self, actions: int, classifier: Mapping[str, Tensor] | None) -> StreamingNetwork:
        taught = len(classifier["bias"]) if classifier else 0
        network = StreamingNetwork(actions, taught, self.settings.channels, self.settings.hidden)
        if network.classes is not None and classifier is not None:
            network.classes.load_state_dict(dict(classifier))
            network.classes.requires_grad_(False)
        return network.to(self.device)

    def step(self) -> float:
        """One optimisation step; returns its loss. All randomness comes from the seed and the step's number."""
        settings = self.settings
        torch.manual_seed(settings.seed * 1_000_003 + self.step_number)
        rng = np.random.default_rng([settings.seed, self.step_number, self._group.rank])
        rows = self._rows()
        x = _turned(torch.from_numpy(self._pool.inputs[rows].astype(np.float32)), rng).to(self.device)
        self._optimiser.param_groups[0]["lr"] = settings.learning_rate * self._schedule()
        self.network.train()
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=settings.bf16):
            mine, own = self._module(x)
        losses = self._losses(mine.float(), own.float(), rows)
        loss = losses.total(settings.teaching)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._optimiser.step()
        self.step_number += 1
        follow(self.average, self.network, self.settings.average, self.step_number)
        return self._group.mean(float(loss.detach()))

    def _rows(self) -> NDArray[np.int64]:
        """This process's share of the step's windows: the pool in an order drawn anew for each pass."""
        size, batch = len(self._pool), self.settings.batch
        first = self.step_number * batch
        rows = np.empty(batch, np.int64)
        for epoch in range(first // size, (first + batch - 1) // size + 1):
            order = self._order(epoch)
            at = np.arange(max(first, epoch * size), min(first + batch, (epoch + 1) * size))
            rows[at - first] = order[at - epoch * size]
        return rows[self._group.rank :: self._group.size]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if self._epoch != epoch:
            self._epoch = epoch
            self._permutation = np.random.default_rng([self.settings.seed, epoch, 7]).permutation(len(self._pool))
        return self._permutation

    def _losses(self, mine: Tensor, own: Tensor, rows: NDArray[np.int64]) -> Losses:
        """Losses of the pool's windows `rows`, from what the network makes of them (see `_Batch`)."""
        action = torch.from_numpy(self._pool.action[rows]).to(self.device)
        opinion = distance = direction = mine.sum() * 0
        if self.network.classes is not None:
            theirs = torch.from_numpy(self._pool.features[rows].astype(np.float32)).to(self.device)
            opinion = functional.kl_div(
                functional.log_softmax(self.network.classes(mine) / SOFTNESS, 1),
                functional.log_softmax(self.network.classes(theirs) / SOFTNESS, 1),
                reduction="batchmean",
                log_target=True,
            )
            distance = ((mine - theirs) / self._scale).square().mean()
            direction = 1 - functional.cosine_similarity(mine, theirs).mean()
        column = self._column[action.clamp(min=0)]
        told = (action != UNKNOWN) & (column >= 0)
        labels = own.sum() * 0
        if told.any():
            labels = functional.cross_entropy(own[told][:, self._known], column[told], label_smoothing=0.05)
        return Losses(opinion, distance, direction, labels)

    @torch.no_grad()
    def judge(self) -> dict[str, float]:
        """Validate the averaged network: agreement with the teacher's best class, and top-1 of the labels."""
        agreed, right = [], []
        judged = np.linspace(0, len(self._validation) - 1, min(JUDGED, len(self._validation))).astype(np.int64)
        for start in range(0, len(judged), 256):
            rows = judged[start : start + 256]
            x = torch.from_numpy(self._validation.inputs[rows].astype(np.float32)).to(self.device)
            features = self.average(x)
            logits, own = self.average.logits(features)
            if self.average.classes is not None:
                theirs = torch.from_numpy(self._validation.features[rows].astype(np.float32)).to(self.device)
                agreed.append(logits.argmax(1) == self.average.classes(theirs).argmax(1))
            action = torch.from_numpy(self._validation.action[rows]).to(self.device)
            told = (action != UNKNOWN) & (self._column[action.clamp(min=0)] >= 0)
            right.append(self._known[own[:, self._known].argmax(1)][told] == action[told])
        return {
            "agreement": float(torch.cat(agreed).float().mean()) if agreed else 0.0,
            "labels": float(torch.cat(right).float().mean()) if sum(map(len, right)) else 0.0,
        }

    def _schedule(self) -> float:
        rise = min(1.0, (self.step_number + 1) / WARM_UP)
        return float(rise * 0.5 * (1 + np.cos(np.pi * self.step_number / self.settings.steps)))

    def save(self, path: Path) -> None:
        """Write the state that `restore` reads, whole or not at all."""
        state = {
            "settings": asdict(self.settings),
            "step": self.step_number,
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
        self.step_number = state["step"]


class _Batch(nn.Module):
    """A batch, part of it as streams of `STREAM` windows, the rest one by one.

    Gives the teacher's features as the network sees them (N, 256), or (N, 0) without a teacher, and the logits of the
    own actions (N, K), in the windows' order.
    """

    def __init__(self, network: StreamingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        missing = padded(x.shape[1])
        x = torch.cat((x[:, :1].expand(-1, missing, -1), x), dim=1)
        n, t, c = x.shape
        streams = int(n * IN_STREAMS) // STREAM
        streamed = STREAM * streams
        parts = []
        if streams:
            outputs = self.network.encoder(x[:streamed].reshape(streams, STREAM * t, c)).float()
            windows = outputs.view(streams, outputs.shape[1], STREAM, -1)[..., -POOLED:].mean(-1)
            parts.append(windows.transpose(1, 2).reshape(streamed, -1))
        if streamed < n:
            parts.append(self.network(x[streamed:]))
        features = torch.cat(parts)
        own = self.network.own(features)
        return (features[:, :0] if self.network.classes is None else self.network.teacher_features(features)), own


def _turned(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn normalised windows (N, T, `INPUTS`) a little about y."""
    angle = torch.from_numpy(rng.normal(0, np.radians(YAW_NOISE), (len(x), 1, 1)).astype(np.float32))
    cos, sin = torch.cos(angle), torch.sin(angle)
    turned = x.clone()
    pose = x[..., POSE].reshape(*x.shape[:2], -1, 3)
    turned[..., POSE] = torch.stack(
        (cos * pose[..., 0] + sin * pose[..., 2], pose[..., 1], cos * pose[..., 2] - sin * pose[..., 0]), dim=-1
    ).flatten(2)
    at = TRAVEL.start
    turned[..., at] = cos[..., 0] * x[..., at] + sin[..., 0] * x[..., at + 2]
    turned[..., at + 2] = cos[..., 0] * x[..., at + 2] - sin[..., 0] * x[..., at]
    return turned
