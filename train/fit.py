"""`python -m train fit`: from recordings (and a teacher, if there is one) to a checkpoint, in one command."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.checkpoint import Manifest, load
from models.errors import CheckpointError
from models.streaming import StreamingNetwork
from models.teacher import Teacher
from models.text import TextEmbedder
from train.curves import draw
from train.data import load_data
from train.datasets.described import load_descriptions
from train.datasets.people import Split
from train.datasets.windows import judging_windows
from train.distil import Distiller, DistilSettings
from train.distributed import Group
from train.export import export_streaming, set_thresholds
from train.pool import Pool, PoolSource, fill, joined, load_pool
from train.progress import Progress
from train.reading import read, thresholds
from train.runs import run


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How large the pools are and how they are made.

    Attributes:
        folder: of the three of them.
        data: folder with clips/ and untrimmed/.
        teacher: weights of a published network, or None.
        windows: of the recorded pool; the simulated one has a tenth of it, the one for validation a twentieth.
        workers: processes.
        sets: names of the sets.
    """

    folder: Path
    data: Path
    teacher: Path | None
    windows: int
    workers: int
    sets: tuple[str, ...]


def fill_pools(options: PoolOptions) -> None:
    """Make what is not there yet of the three pools.

    Raises:
        PoolError, DataMissing, CheckpointError: see `train.pool.fill` and `classifier_of`.
    """
    if options.teacher is not None:
        classifier_of(options.teacher)  # refused now, and not when hours were spent on it
    threads = torch.get_num_threads()
    plan = (
        ("recorded", Split.TRAIN, False, options.windows),
        ("simulated", Split.TRAIN, True, options.windows // 10),
        ("validation", Split.VALIDATION, False, options.windows // 20),
    )
    for name, split, simulation, windows in plan:
        source = PoolSource(options.data, options.sets, split, options.teacher, simulation)
        with Progress(None, f"windows ({name})") as progress:
            fill(options.folder / name, source, windows, workers=options.workers, report=progress.shards)
    torch.set_num_threads(threads)  # filling takes one, here and in each worker


def classifier_of(teacher: Path) -> dict[str, Tensor]:
    """The last layer of a published network: weight (K=120, 256) and bias (K,).

    Raises:
        CheckpointError: the file cannot be read, or its classes are not those of NTU RGB+D 120.
    """
    last, classes = Teacher.load(teacher).network.fc, len(load_descriptions("ntu120"))
    if last.out_features != classes:
        raise CheckpointError(f"{teacher}: {last.out_features} classes; expected the {classes} of NTU RGB+D 120")
    return {name: value.clone() for name, value in last.state_dict().items()}


def load_pools(folder: Path) -> tuple[Pool, Pool]:
    """Windows to train on, and to validate by."""
    return joined([load_pool(folder / "recorded"), load_pool(folder / "simulated")]), load_pool(folder / "validation")


def train(
    settings: DistilSettings,
    pools: tuple[Pool, Pool],
    teacher: Path | None,
    folder: Path,
    group: Group,
    *,
    resume: bool,
) -> Distiller:
    """Train one network; with `resume`, from where the folder's run stopped."""
    classifier = None if teacher is None else classifier_of(teacher)
    distiller = Distiller(settings, pools[0], classifier, pools[1], group)
    if not group.first:
        run(distiller, folder, resume=resume, group=group)
        return distiller
    with Progress(settings.steps, "training") as progress:
        run(distiller, folder, resume=resume, report=progress, group=group)
    draw(folder)
    return distiller


def export_run(
    out: Path, distiller: Distiller, pools: tuple[Pool, Pool], data_folder: Path, sets: tuple[str, ...], command: str
) -> Manifest:
    """Measure how the trained network is to be read, and write its checkpoint."""
    settings = distiller.settings
    kept = tuple(name for name in sets if name not in settings.leave)
    data = load_data(data_folder, kept)
    validation = judging_windows(data.validation, gap_step=2.0)
    scores = distiller.judge()  # where it was trained: reading takes the network to the CPU
    reading = read(distiller.average, pools[0].without(settings.leave), validation)
    training = {
        "name": out.name,
        "command": command,
        "seed": settings.seed,
        "windows": settings.windows,
        "steps": settings.steps,
        "batch": settings.batch,
        "pool": len(pools[0]),
        "data": sorted(data.people),
        "held_out": data.people,
        "teacher": distiller.network.taught > 0,
        "validation": {name: round(score, 4) for name, score in scores.items()},
    }
    export_streaming(out, distiller.average, reading, TextEmbedder(), training)
    return set_thresholds(out, thresholds(load(out, "cpu"), validation))


def fit(options: PoolOptions, settings: DistilSettings, folder: Path, out: Path, *, resume: bool, command: str) -> None:
    """Fill the pools, train, calibrate, export; alone or as one of the processes of `torchrun`."""
    with Group() as group:
        if group.first:
            TextEmbedder()  # needed at the very end: better missed now
            fill_pools(options)
        group.barrier()
        pools = load_pools(options.folder)
        distiller = train(settings, pools, options.teacher, folder, group, resume=resume)
        if group.first:
            manifest = export_run(out, distiller, pools, options.data, options.sets, command)
            scores = ", ".join(f"{name} {100 * s:.1f} %" for name, s in manifest.training["validation"].items())
            sys.stdout.write(f"{out}: validation: {scores}; enter {manifest.enter}\n")


def network_of_run(state: Path) -> StreamingNetwork:
    """The averaged network in a run's state, before it was calibrated."""
    saved = torch.load(state, map_location="cpu", weights_only=True)
    weights, settings = saved["average"], saved["settings"]
    network = StreamingNetwork(
        len(weights["own.bias"]), len(weights.get("classes.bias", ())), settings["channels"], settings["hidden"]
    )
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
