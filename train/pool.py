"""The pool that the streaming encoder learns from: windows, and what a teacher thinks of them, kept in shards.

The teacher is asked once for each window; training runs over the pool as often as it likes. The first shards hold one
window of every stretch of every recording: a survey, by which rarer actions are then drawn more often.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Sequence as Items
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.normaliser import INPUTS
from models.teacher import Teacher
from models.whole_file import replacing
from train.data import load_data
from train.datasets.labels import load_actions, use_labels_of
from train.datasets.pairs import PairSampler
from train.datasets.people import Split
from train.datasets.sequences import Sequence
from train.datasets.windows import FRAMES

SHARD = 2000
"""Windows in a shard."""
ABOUT = "pool.json"


class PoolError(Exception):
    """A folder is no pool, or one of other data."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool is made of; two pools of the same settings are equal.

    Attributes:
        windows: how many, in whole shards (and at least one of every stretch).
        sets: names of the sets.
        people: digest of the sequences that it is drawn from.
        simulation: whether it shows simulated actions.
        actions: number of the own actions.
        labels: digest of what they are called and which labels mean them.
        teacher: sha256 of the teacher's file; "" without one.
        seed: of the drawing.
    """

    windows: int
    sets: tuple[str, ...]
    people: str
    simulation: bool
    actions: int
    labels: str
    teacher: str
    seed: int


@dataclass(frozen=True, slots=True)
class Shard:
    """N pooled windows.

    Attributes:
        inputs: (N, T=50, `INPUTS`) float16, as from `models.normaliser`.
        features: (N, 256) float16, the teacher's; (N, 0) without a teacher.
        action: (N,) int16, index of the own action, or `UNKNOWN`.
        set: (N,) int8, index into the names of the sets.
        place: (N,) int32, index into the places.
    """

    inputs: NDArray[np.float16]
    features: NDArray[np.float16]
    action: NDArray[np.int16]
    set: NDArray[np.int8]
    place: NDArray[np.int32]

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        with replacing(path) as file:
            np.savez(
                file, inputs=self.inputs, features=self.features, action=self.action, set=self.set, place=self.place
            )

    @classmethod
    def load(cls, path: Path) -> Shard:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{name: archive[name] for name in ("inputs", "features", "action", "set", "place")})


@dataclass(frozen=True, slots=True)
class Pool:
    """N windows in memory: the arrays of its shards, one after the other (see `Shard`).

    Attributes:
        sets: names that `set` counts in.
        actions: number of the own actions.
    """

    inputs: NDArray[np.float16]
    features: NDArray[np.float16]
    action: NDArray[np.int64]
    set: NDArray[np.int8]
    sets: tuple[str, ...]
    actions: int

    def __len__(self) -> int:
        return len(self.inputs)

    def without(self, names: Items[str]) -> Pool:
        """The windows of all sets but these."""
        if not names:
            return self
        rows = ~np.isin(self.set, [self.sets.index(name) for name in names])
        return Pool(self.inputs[rows], self.features[rows], self.action[rows], self.set[rows], self.sets, self.actions)


def joined(pools: Items[Pool]) -> Pool:
    """Several pools of the same sets as one."""
    return Pool(
        np.concatenate([pool.inputs for pool in pools]),
        np.concatenate([pool.features for pool in pools]),
        np.concatenate([pool.action for pool in pools]),
        np.concatenate([pool.set for pool in pools]),
        pools[0].sets,
        pools[0].actions,
    )


def load_pool(folder: Path) -> Pool:
    """Read a pool.

    Raises:
        PoolError: there is none, or it is not complete.
    """
    settings = _settings(folder)
    if settings is None:
        raise PoolError(f"{folder}: no pool; `python -m train fit` makes one")
    shards = [Shard.load(path) for path in sorted(folder.glob("[0-9]*.npz"))]
    held = sum(len(shard.action) for shard in shards)
    if held < settings.windows:
        raise PoolError(f"{folder}: {held} of {settings.windows} windows; run `python -m train fit` to its end")
    return Pool(
        np.concatenate([shard.inputs for shard in shards]),
        np.concatenate([shard.features for shard in shards]),
        np.concatenate([shard.action for shard in shards]).astype(np.int64),
        np.concatenate([shard.set for shard in shards]),
        settings.sets,
        settings.actions,
    )


def _settings(folder: Path) -> PoolSettings | None:
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return PoolSettings(**{**found, "sets": tuple(found["sets"])})
    except (ValueError, TypeError, KeyError) as error:
        raise PoolError(f"{path}: not a pool of this version ({error}); delete it, or choose another") from error


@dataclass(frozen=True, slots=True)
class PoolSource:
    """Where a pool's windows come from.

    Attributes:
        data: folder with clips/ and untrimmed/.
        sets: names of the sets.
        split: whose recordings.
        teacher: weights of a published network, or None.
        simulation: whether the windows show simulated actions (`train.datasets.falls`).
    """

    data: Path
    sets: tuple[str, ...]
    split: Split
    teacher: Path | None
    simulation: bool = False

    def sequences(self) -> list[Sequence]:
        """Read them."""
        return getattr(load_data(self.data, self.sets), self.split.value)  # type: ignore[no-any-return]


def fill(
    folder: Path,
    source: PoolSource,
    windows: int,
    *,
    seed: int = 0,
    workers: int = 1,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Make the shards that are not there yet; what was there is kept, so that it can be stopped and resumed.

    Args:
        folder: made if missing.
        source: what windows are drawn from.
        windows: how many, in whole shards; at least one of every stretch.
        seed: of the drawing.
        workers: processes.
        report: called with the number of shards made and of all.

    Raises:
        PoolError: the folder holds another pool.
        DataMissing, CheckpointError: the data or the teacher cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    filler = _Filler(folder, source, windows, seed)
    if (before := _settings(folder)) is not None and before != filler.settings:
        raise PoolError(f"{folder}: holds a pool of other settings; choose another folder, or delete it")
    (folder / ABOUT).write_text(json.dumps(asdict(filler.settings), indent=1) + "\n", encoding="utf-8")
    for part in (range(filler.survey), range(filler.survey, filler.shards)):
        todo = [number for number in part if not filler.path(number).exists()]
        if not todo:
            continue
        if workers == 1:
            for number in todo:
                filler.make(number)
                if report is not None:
                    report(number + 1, filler.shards)
            continue
        with ProcessPoolExecutor(workers, get_context("spawn"), _start, (folder, source, windows, seed)) as processes:
            for done, _ in enumerate(processes.map(_make, todo), start=part.stop - len(todo) + 1):
                if report is not None:
                    report(done, filler.shards)


class _Filler:
    """Makes shards, each from its number alone (and from the survey, where that is done)."""

    def __init__(self, folder: Path, source: PoolSource, windows: int, seed: int) -> None:
        torch.set_num_threads(1)
        use_labels_of(source.data)
        sequences = source.sequences()
        self._folder, self._seed = folder, seed
        self._sampler = PairSampler(sequences, source.sets, simulation=source.simulation)
        self._teacher = Teacher.load(source.teacher, device=_device()) if source.teacher else None
        stretches = len(self._sampler.places)
        self._order = np.random.default_rng([seed]).permutation(stretches)
        self.survey = -(-stretches // SHARD)
        self.shards = max(self.survey, self.survey + -(-(windows - stretches) // SHARD))
        people = sha256("\n".join(f"{s.set_name} {s.person} {s.name} {len(s.times)}" for s in sequences).encode())
        self.settings = PoolSettings(
            windows=stretches + (self.shards - self.survey) * SHARD,
            sets=tuple(source.sets),
            people=people.hexdigest(),
            simulation=source.simulation,
            actions=len(load_actions()),
            labels=sha256(repr([(one.name, one.labels) for one in load_actions()]).encode()).hexdigest()[:16],
            teacher=self._teacher.digest if self._teacher else "",
            seed=seed,
        )
        self._weighed = False

    def path(self, number: int) -> Path:
        """File of a shard."""
        return self._folder / f"{number:04d}.npz"

    def make(self, number: int) -> None:
        """Make one shard."""
        if number < self.survey:
            rows = self._order[number * SHARD : (number + 1) * SHARD]
        else:
            self._weigh()
            chances = self._sampler.chances
            rows = np.random.default_rng([self._seed, number, 1]).choice(len(chances), SHARD, p=chances)
        make_shard(self._sampler, rows, self._teacher, (self._seed, number)).save(self.path(number))

    def _weigh(self) -> None:
        """Draw what the teacher calls by a rare name in the survey more often."""
        if self._weighed or self._teacher is None:
            return
        best = np.full(len(self._sampler.places), -1)
        classify = self._teacher.network.fc
        for number in range(self.survey):
            shard = Shard.load(self.path(number))
            with torch.inference_mode():
                features = torch.from_numpy(shard.features.astype(np.float32)).to(classify.weight.device)
                best[shard.place] = classify(features).argmax(1).cpu().numpy()
        self._sampler.weigh(best)
        self._weighed = True


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


_filler: list[_Filler] = []
"""A worker process's own."""


def _start(folder: Path, source: PoolSource, windows: int, seed: int) -> None:
    _filler.append(_Filler(folder, source, windows, seed))


def _make(number: int) -> None:
    _filler[0].make(number)


def make_shard(sampler: PairSampler, rows: NDArray[np.int64], teacher: Teacher | None, seed: tuple[int, ...]) -> Shard:
    """Draw windows at the given stretches, and ask the teacher."""
    rng = np.random.default_rng(seed)
    inputs = np.empty((len(rows), FRAMES, INPUTS), np.float16)
    features, actions, sets = [], [], []
    for start in range(0, len(rows), 64):
        clips, student, action, names = sampler.draw(rows[start : start + 64], rng)
        inputs[start : start + 64] = student
        actions.append(action)
        sets.append(names)
        if teacher is not None:
            features.append(teacher.judge(list(clips)).features.astype(np.float16))
    return Shard(
        inputs,
        np.concatenate(features) if features else np.zeros((len(rows), 0), np.float16),
        np.concatenate(actions),
        np.concatenate(sets),
        rows.astype(np.int32),
    )
