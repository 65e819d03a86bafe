"""Where the outputs of a replay go: terminal, file, report, sockets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from models.whole_file import open_new
from stream.errors import PosewireError
from stream.messages import Message
from stream.pipeline import Output
from stream.prompts import Prompt
from stream.publisher import Publisher
from stream.query import PromptInfo
from stream.report import ReportBuilder
from stream.structs import EventData
from stream.types import Event, Example, Scores, SkeletonFrame, Tracked

STDOUT = 1
"""File descriptor of standard output."""


class OutputError(PosewireError):
    """A file cannot be written."""


class WireSink:
    """Turns outputs into numbered messages, once, for all who want them.

    Args:
        publisher: numbers and encodes.
        prompts: in the order of the scores' columns.
        takers: called with each message, in order.
        skeletons: whether anybody wants skeletons and scores too.
    """

    def __init__(
        self,
        publisher: Publisher,
        prompts: Sequence[Prompt | PromptInfo],
        takers: Sequence[Callable[[Message], None]],
        *,
        skeletons: bool,
    ) -> None:
        self._publisher = publisher
        self.set_prompts(prompts)
        self._takers = takers
        self._skeletons = skeletons

    def set_prompts(self, prompts: Sequence[Prompt | PromptInfo]) -> None:
        """Take note that the columns of the scores to come stand for these."""
        self._names = [prompt.name for prompt in prompts]

    def put(self, output: Output) -> None:
        """Publish one output.

        Raises:
            MessageError: it does not fit the contract.
        """
        if isinstance(output, Event):
            self._take(self._publisher.publish_event(output))
        elif isinstance(output, Example):
            self._publisher.keep_example(output)
        elif not self._skeletons:
            return
        elif isinstance(output, Scores):
            self._take(self._publisher.publish_scores(output, self._names))
        else:
            joints, confidence, ids = output.joints, output.confidence, output.track_ids
            frame = SkeletonFrame(output.source, 0, output.t, "kinect_v2", joints, confidence, ids, output.space)
            self._take(self._publisher.publish_skeleton(frame))

    def status(
        self, source: str, state: str, *, detail: str = "", frames: int = 0, dropped: int = 0, rate_hz: float = 0.0
    ) -> None:
        """Publish what became of a source.

        Raises:
            MessageError: it does not fit the contract.
        """
        self._take(
            self._publisher.publish_status(
                source, state, detail=detail, frames=frames, dropped=dropped, rate_hz=min(rate_hz, 1e6)
            )
        )

    def _take(self, message: Message) -> None:
        for take in self._takers:
            take(message)


class ReportSink:
    """Fills a report."""

    def __init__(self, report: ReportBuilder) -> None:
        self._report = report

    def put(self, output: Output) -> None:
        """Add one output to the report."""
        if isinstance(output, Tracked):
            self._report.add_frame(
                output.source, output.t, output.track_ids, output.joints, output.confidence, output.space
            )
        elif isinstance(output, Scores):
            self._report.add_scores(output)
        elif isinstance(output, Event):
            self._report.add_event(output)


class LineFile:
    """A file of envelopes, one JSON object a line; use in a `with` block.

    It has its name only once it is whole: until then it is `NAME.part`, so that nobody reads half of it and a failed
    run leaves the file of the run before. A link is followed. Standard output, a pipe or a device is written to as it
    is.

    Args:
        path: the file.

    Raises:
        OutputError: on entering, if it cannot be written; on leaving, if not all of it could be written (what comes
            after a failed write is left out, so that the rest of the run goes on).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._target = path.resolve()
        self._part: Path | None = None
        self._file: IO[bytes] | None = None
        self._fault: OSError | None = None

    def __enter__(self) -> Self:
        try:
            if is_stdout(self._path):
                self._file = os.fdopen(os.dup(STDOUT), "wb")
            elif self._path.exists() and not self._path.is_file():
                self._file = self._path.open("wb")
            else:
                self._part = self._target.with_name(self._target.name + ".part")
                self._part.unlink(missing_ok=True)  # of a run before, or a link that somebody planted
                self._file = open_new(self._part, 0o600)  # it tells of people
        except OSError as error:
            raise self._error(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        # An interrupt has ended its events: what was written is whole. Any other exception leaves the part.
        whole = kind is None or issubclass(kind, KeyboardInterrupt)
        try:
            self._file.close()
            if self._part is not None and whole and self._fault is None:
                self._part.replace(self._target)
        except OSError as error:
            self._fault = self._fault or error
        if self._fault is not None and whole:
            if self._part is not None:  # a full disk is not helped by half a file
                self._part.unlink(missing_ok=True)
            raise self._error(self._fault) from self._fault

    def take(self, message: Message) -> None:
        """Write the message of an event."""
        if self._file is None:
            raise RuntimeError("the file is not open")
        if self._fault is None and isinstance(message.envelope.data, EventData):
            try:
                self._file.write(message.body + b"\n")
                self._file.flush()
            except OSError as error:
                self._fault = error

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: cannot be written ({error.strerror}); expected a place to write to")


def is_stdout(path: Path) -> bool:
    """Whether a path names this process's standard output, wherever that goes."""
    try:
        return os.path.samestat(path.stat(), os.fstat(STDOUT))
    except OSError:
        return False
