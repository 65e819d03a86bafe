"""`posewire report-false`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from stream.clip_reply import ClipReply
from stream.commands.options import OptionError
from stream.config import Config
from stream.config_file import load_config
from stream.console import make_console, plural
from stream.errors import PosewireError
from stream.event_clips import ClipKeeper
from stream.pipeline import Output
from stream.query import ErrorReply, Request
from stream.regression_clips import MAX_NOTE, RegressionClip, save
from stream.replay import Replay
from stream.requester import NoAnswer, ask
from stream.security.settings import client_keys
from stream.sources.base import RecordedSource
from stream.sources.files import expand, open_source, source_names
from stream.types import NANOSECONDS, Clip, EventKind


class ReportError(PosewireError):
    """A false alarm cannot be filed."""


def report_false(
    event: str,
    *,
    note: str,
    recordings: Sequence[str],
    query: str | None,
    force: bool,
    config: Path | None,
) -> int:
    """File the joints of an event of a running daemon, or of a replay of recordings; returns the exit code.

    Raises:
        PosewireError: it is not known, or cannot be filed; nothing is written.
        ModelError: the model cannot be used.
    """
    settings = load_config(config)
    if not settings.regressions.path:
        raise OptionError("regressions.path is empty; expected a folder in which to file false alarms")
    if len(note) > MAX_NOTE or not note.isprintable():
        raise OptionError(f"--note: expected one line of at most {MAX_NOTE} characters")
    if recordings and query:
        raise OptionError("--query: goes with a running daemon, not with --recording")
    clip, recording = _replayed(event, recordings, settings) if recordings else _asked(event, query, settings)
    filed = datetime.now().astimezone().isoformat(timespec="seconds")
    clip = msgspec.structs.replace(clip, note=note, filed=filed)
    path = save(Path(settings.regressions.path), clip, recording, force=force)
    console = make_console()
    of_prompt = clip.kind == "action" and clip.name not in {rule.name for rule in settings.rules}
    heeded = "heeds it" if of_prompt else "--check tries it; the thresholds that it finds are those of prompts alone"
    console.print(f"{path}: the joints of {clip.name}, and no images; posewire calibrate {heeded}", soft_wrap=True)
    return 0


def _asked(event: str, query: str | None, settings: Config) -> tuple[RegressionClip, bytes]:
    """The joints of an event of a running daemon."""
    endpoint = query or settings.publish.query
    try:
        reply = ask(endpoint, Request(1, "clip", event=event), keys=client_keys(settings))
    except NoAnswer as error:
        raise ReportError(f"event {event}: {error}, or --recording PATH for an event of a replay") from error
    if not isinstance(reply, ClipReply):
        told = reply.error if isinstance(reply, ErrorReply) else "another reply"
        raise ReportError(f"event {event}: {endpoint} says: {told}")
    clip = RegressionClip(
        event=reply.event,
        kind=reply.kind,
        source=reply.source,
        name=reply.name,
        prompt=reply.prompt,
        t_start=reply.t_start,
        t_end=reply.t_end,
        peak=reply.peak,
        model=reply.model,
        note="",
        filed="",
    )
    return clip, reply.recording


def _replayed(event: str, paths: Sequence[str], config: Config) -> tuple[RegressionClip, bytes]:
    """The joints of an event that a replay of recordings raises: its id follows from what is seen."""
    files = expand(paths)
    sources = [open_source(file, name) for file, name in zip(files, source_names(files), strict=True)]
    from stream.service import load_service  # torch: not before it is needed

    service = load_service(config)
    finder = _Finder(ClipKeeper(service.recogniser.digest), event)
    summary = Replay(sources, service.pipeline, [finder], watcher=finder).run()
    if finder.found is None:
        heard = f"; {summary.errors[0]}" if summary.errors else ""
        raise ReportError(
            f"event {event}: {', '.join(paths)}: raises none of this id, but {plural(finder.heard, 'other')}; expected "
            f"the recordings of `posewire replay` and the configuration that raised it{heard}"
        )
    told = finder.found.event
    clip = RegressionClip(
        event=told.id,
        kind="anomaly" if told.kind is EventKind.ANOMALY else "action",
        source=told.source,
        name=told.name,
        prompt=told.prompt,
        t_start=told.t_start / NANOSECONDS,
        t_end=None if told.t_end is None else told.t_end / NANOSECONDS,
        peak=told.peak,
        model=finder.found.model,
        note="",
        filed="",
    )
    return clip, finder.found.recording


class _Finder:
    """Looks for one event in what a replay yields."""

    def __init__(self, keeper: ClipKeeper, event: str) -> None:
        self._keeper = keeper
        self._event = event
        self.found: Clip | None = None
        self.heard = 0

    def put(self, output: Output) -> None:
        self._look(self._keeper.take(output))

    def begin(self, source: RecordedSource) -> None:
        """Nothing to be done: files are replayed one after the other."""

    def advance(self, source: RecordedSource, frames: int) -> None:
        """Nobody is told how far it is."""

    def note(self, text: str) -> None:
        """Nor what may be odd about a recording."""

    def end(self, _source: RecordedSource, _fault: str) -> None:
        self._look(self._keeper.end_all())

    def _look(self, clips: Sequence[Clip]) -> None:
        self.heard += len(clips)
        self.found = next((clip for clip in clips if clip.event.id == self._event), self.found)
