"""A progress bar for training."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A bar on the screen; a callable for `train.runs.run`, and `shards` for `train.pool.fill`.

    Args:
        total: steps in all; None until it is known.
        title: what goes on.
    """

    def __init__(self, total: int | None, title: str = "training") -> None:
        self._bar = Bar(
            TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self._task = self._bar.add_task("", total=total)
        self._loss: float | None = None
        self._scores: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, step: int, loss: float, scores: dict[str, float] | None) -> None:
        """Tell of one step."""
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._scores = scores or self._scores
        said = "".join(f", {name} {100 * score:.1f} %" for name, score in self._scores.items())
        self._bar.update(self._task, completed=step, description=f"loss {self._loss:.3f}{said}")

    def shards(self, done: int, total: int) -> None:
        """Tell how many shards are done."""
        self._bar.update(self._task, completed=done, total=total)
