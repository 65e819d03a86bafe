"""The experiments of a table, one after another or in processes side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from threading import RLock
from typing import Any

from rich.progress import Progress, TaskID

from models.errors import ModelError
from stream.commands.outputs import saving
from stream.commands.train import Experiment, embedder
from stream.commands.train_view import training_bar
from stream.errors import PosewireError
from train.papers.recipes import LARGE
from train.processes import end_with_parent, end_workers, starting_workers

Found = list[tuple[str, dict[str, Any] | str]] | str
"""Of each experiment of a group the row's key, and its figures or why there are none; or why there are none of any."""


@dataclass(frozen=True, slots=True)
class Group:
    """Experiments on one split with one seed: they share the pretrained encoder, so one process does them in turn."""

    column: str
    split: str
    seed: int
    experiments: tuple[tuple[str, Experiment], ...]


class Failed(Exception):
    """What another process says went wrong, in one line."""


def run_groups(groups: Sequence[Group], jobs: int, run: Path) -> Iterator[tuple[Group, Found]]:
    """Every group with what it found, in the order in which they end.

    Args:
        groups: what to run; what is done already is only read.
        jobs: processes.
        run: folder of all experiments.

    Raises:
        PosewireError, ModelError: an experiment cannot be done as it is asked for, whatever data there is.
    """
    with training_bar() as progress:
        task = progress.add_task("experiments", total=sum(len(group.experiments) for group in groups))
        _prepare(groups, jobs, run, progress)
        if jobs == 1:
            for group in groups:
                yield group, _work(group)
                progress.advance(task, len(group.experiments))
            return
        pool = ProcessPoolExecutor(min(jobs, max(len(groups), 1)), get_context("spawn"), end_with_parent)
        waiting: dict[Future[Found], Group] = {}
        try:
            with starting_workers():
                waiting.update((pool.submit(_work_apart, group), group) for group in groups)
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    group = waiting.pop(future)
                    yield group, future.result()
                    progress.advance(task, len(group.experiments))
        except Failed as error:
            raise PosewireError(str(error)) from error
        except BrokenProcessPool as error:
            raise PosewireError("a process that trained died; run it again to go on, with fewer --jobs") from error
        finally:
            if waiting:  # nobody wants the rest any more; the same command goes on with it
                end_workers()
            pool.shutdown(cancel_futures=True)


def _prepare(groups: Sequence[Group], jobs: int, run: Path, progress: Progress) -> None:
    """Check all options, and read each raw dataset once, before any process trains."""
    for group in groups:
        for _, experiment in group.experiments:
            experiment.options()
    first = {group.experiments[0][1].dataset: group.experiments[0][1] for group in reversed(groups)}
    for dataset, experiment in first.items():
        if dataset in LARGE:
            task = progress.add_task(f"reading {dataset}", total=None)
            with suppress(PosewireError), saving(run):  # what cannot be read is told by the groups that need it
                experiment.division(partial(_tell, progress, task), workers=jobs)
            progress.remove_task(task)


def _tell(progress: Progress, task: TaskID, done: int, total: int) -> None:
    progress.update(task, total=total, completed=done)


def _work(group: Group) -> Found:
    """Run the experiments of a group."""
    import torch

    from models.methods import method_class
    from train.papers.experiment import run
    from train.runs import ResumeError

    first = group.experiments[0][1]
    torch.set_num_threads(first.threads)
    try:
        with saving(first.run):
            division = first.division()
    except PosewireError as error:
        return str(error)
    found: list[tuple[str, dict[str, Any] | str]] = []
    for row, experiment in group.experiments:
        if division.train.inputs.ndim == 2 and method_class(experiment.recipe).end_to_end:
            found.append((row, f"{experiment.data} has features; it is trained on clips, so give the raw data"))
            continue
        try:
            with saving(experiment.run):
                found.append((row, run(division, experiment.options(), embedder(experiment.text_model))))
        except ResumeError as error:
            raise PosewireError(str(error)) from error
    return found


def _work_apart(group: Group) -> Found:
    """`_work` in a process of its own: errors come back as the line that tells them."""
    with suppress(ImportError):  # it comes with the text model, which will be missed if it is not there
        # Its own is shared between processes, for nothing: a semaphore that would outlive a process that is ended.
        import_module("tqdm").tqdm.set_lock(RLock())
    try:
        return _work(group)
    except (PosewireError, ModelError) as error:
        raise Failed(str(error)) from None
