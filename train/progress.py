"""A progress bar for training."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Shows steps, loss and the last validation; a callable for `train.loop.run`.

    Args:
        steps: in all.
    """

    def __init__(self, steps: int) -> None:
        self._bar = Bar(
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self._task = self._bar.add_task("", total=steps)
        self._loss: float | None = None
        self._score: float | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, step: int, loss: float, score: float | None) -> None:
        """Tell of one step."""
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._score = self._score if score is None else score
        said = "" if self._score is None else f", validation {100 * self._score:.1f} %"
        self._bar.update(self._task, completed=step, description=f"loss {self._loss:.3f}{said}")
