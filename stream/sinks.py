"""Where the outputs of a replay go: terminal, file, report, sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from stream.errors import PosewireError
from stream.messages import Message
from stream.pipeline import Output, Tracked
from stream.prompts import Prompt
from stream.publisher import Publisher
from stream.report import ReportBuilder
from stream.structs import EventData
from stream.types import Event, Scores, SkeletonFrame


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
        prompts: Sequence[Prompt],
        takers: Sequence[Callable[[Message], None]],
        *,
        skeletons: bool,
    ) -> None:
        self._publisher = publisher
        self._names = [prompt.name for prompt in prompts]
        self._takers = takers
        self._skeletons = skeletons

    def put(self, output: Output) -> None:
        """Publish one output.

        Raises:
            MessageError: it does not fit the contract.
        """
        if isinstance(output, Event):
            self._take(self._publisher.publish_event(output))
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
        else:
            self._report.add_event(output)


class LineFile:
    """A file of envelopes, one JSON object a line; use in a `with` block.

    It has its name only once it is whole: until then it is `NAME.part`, so that nobody reads half of it and a failed
    run leaves the file of the run before.

    Args:
        path: the file.

    Raises:
        OutputError: on entering, if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._part.open("wb")
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        self._file.close()
        # An interrupt has ended its events: what was written is whole. Any other exception leaves the part.
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self._part.replace(self._path)

    def take(self, message: Message) -> None:
        """Write the message of an event."""
        if self._file is None:
            raise RuntimeError("the file is not open")
        if isinstance(message.envelope.data, EventData):
            self._file.write(message.body + b"\n")
