"""`posewire replay`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from stream.commands.files import open_readable
from stream.commands.options import OptionError, check_targets
from stream.commands.replay_view import ReplayView, print_summary, titles
from stream.config import Config, ExamplesSection, PromptEntry
from stream.config_file import load_config
from stream.console import make_console, plural, unfamiliar_names, unfamiliar_prompts
from stream.daemon.publish import public_sockets
from stream.errors import PosewireError, SourceError
from stream.messages import Message
from stream.prompt_store import overlaid
from stream.prompts import prompt_infos
from stream.publisher import Publisher
from stream.replay import Replay
from stream.report import ReportBuilder, ReportError
from stream.security.memory import bounded_process
from stream.sinks import LineFile, OutputError, ReportSink, WireSink, is_stdout
from stream.sockets import PublisherSockets
from stream.sources.base import RecordedSource
from stream.types import Severity

if TYPE_CHECKING:
    from stream.report.video import ReportVideo
    from stream.service import Service

FOV_DEG = 60.0
"""Default of `fov_deg` in the configuration of a video."""
SUBSCRIBER_WAIT_S = 5.0
RECOVERY_S = 0.5
"""How long after the last message subscribers can still fetch what they lost."""


def replay_files(
    paths: Sequence[str],
    *,
    speed: str,
    texts: Sequence[str],
    out: Path | None,
    report: Path | None,
    publish: bool,
    config: Path | None,
    video: Path | None = None,
    fov_deg: float | None = None,
) -> int:
    """Replay files; returns the exit code: 0, or 2 if any file could not be replayed to its end.

    Raises:
        PosewireError: an option is wrong, or the video cannot be read.
    """
    factor = parse_speed(speed)
    settings = with_prompts(load_config(config), texts)
    if video is not None and report is None:
        raise OptionError(f"--with-video {video}: needs --report, the page that shows it")
    if fov_deg is not None and video is None:
        raise OptionError(f"--fov {fov_deg:g}: needs --with-video, whose angle of view it is")
    targets = {option: path for option, path in (("--out", out), ("--report", report)) if path is not None}
    check_targets(targets, [*paths, *([str(video)] if video else [])])
    film = _video(video, fov_deg or FOV_DEG) if video else None
    # Lines of events on standard output stand there alone.
    console = make_console(stderr=any(is_stdout(path) for path in targets.values()))
    complaints = make_console(stderr=True)
    # Every file's beginning is read before the model is loaded: a wrong path is told at once.
    sources, errors = open_readable(paths)
    for error in errors:
        complaints.print(f"posewire: {error}", style="red", soft_wrap=True)
    if not sources:
        return 2
    if film and len(sources) > 1:
        raise OptionError(f"--with-video {video}: goes with one recording, not with {len(sources)}")

    from stream.service import load_service  # torch: not before it is needed

    if not texts and _changed_running(settings):
        told = "prompts were changed while the daemon ran: not heeded here, the file's are (posewire prompts list)"
        console.print(told, style="yellow", soft_wrap=True)
    service = load_service(settings)
    console.print(f"model {service.description}; {plural(len(service.prompts.prompts), 'prompt')}", style="dim")
    if unfamiliar := unfamiliar_prompts(service.prompts):
        console.print(unfamiliar, style="yellow", soft_wrap=True)
    for line in service.unused:
        console.print(line, style="yellow", soft_wrap=True)
    publisher = Publisher(settings.node.name, epoch=_epoch(settings, paths, publish), replay=True)
    publisher.set_prompts(prompt_infos(service.prompts.prompts), service.prompts.digest)
    view = ReplayView(console, complaints, len(sources))
    builder = _report(sources, settings, service) if report else None
    replay = None
    interrupted = False
    try:
        with ExitStack() as stack:
            takers: list[Callable[[Message], None]] = [view.event]
            sockets = None
            if out:
                takers.append(stack.enter_context(LineFile(out)).take)
            if publish:
                sockets = _published(stack, publisher, settings, console)
                takers.append(sockets.send)
            stack.enter_context(view.progress)
            wire = WireSink(
                publisher, service.prompts.prompts, takers, skeletons=sockets is not None and sockets.wants_skeletons
            )
            replay = Replay(
                sources,
                service.pipeline,
                [view, wire, *([ReportSink(builder)] if builder else [])],
                speed=factor,
                watcher=_Published(view, wire, sockets) if sockets else view,
                wait=time.sleep if sockets is None else partial(_serve, sockets),
            )
            try:
                replay.run()
            except KeyboardInterrupt:  # what there is by then is still worth its files
                interrupted = True
            if sockets:
                _serve(sockets, RECOVERY_S)
    except OutputError as error:
        out = None
        errors.append(str(error))
        complaints.print(f"posewire: {error}", style="red", soft_wrap=True)
    if replay is None:
        return 2
    if builder and report:
        try:
            builder.write(report.resolve(), film)
            if film and (doubt := film.mismatch(*builder.span)):
                complaints.print(f"posewire: {doubt}", style="yellow", soft_wrap=True)
        except (ReportError, SourceError) as error:
            report = None
            errors.append(str(error))
            complaints.print(f"posewire: {error}", style="red", soft_wrap=True)
    print_summary(console, replay.summary, out, report)
    view.withheld(replay.summary.suppressions)
    if interrupted:
        return 130
    return 2 if errors or replay.summary.errors else 0


def _changed_running(config: Config) -> bool:
    try:
        return not overlaid(config)[1].empty
    except PosewireError:  # a replay needs none of them: `check` tells what is wrong
        return False


def _report(sources: Sequence[RecordedSource], config: Config, service: Service) -> ReportBuilder:
    builder = ReportBuilder(
        titles(sources),
        [(prompt.name, prompt.text, prompt.severity.value) for prompt in service.prompts.prompts],
        config.background.texts,
        service.model,
        (service.settings.events.enter, service.settings.events.exit),
        service.recogniser.manifest.terms,
        bank=len(set(service.prompts.background) - set(config.background.texts)),
        unfamiliar=unfamiliar_names(service.prompts),
    )
    if config.anomaly.enabled:
        judged = config.anomaly.settings(service.settings.events)
        builder.watch_anomalies(judged.score, (judged.events.enter, judged.events.exit))
    return builder


def _video(path: Path, fov_deg: float) -> ReportVideo:
    # Imported late: nothing else here needs OpenCV.
    from stream.report.video import ReportVideo

    return ReportVideo(path, fov_deg)


def _published(stack: ExitStack, publisher: Publisher, config: Config, console: Console) -> PublisherSockets:
    """Bind the public sockets and wait for a first subscriber."""
    guard = stack.enter_context(bounded_process())  # the model is loaded
    sockets = stack.enter_context(public_sockets(publisher, config, guard))
    console.print(f"publishing on {sockets.endpoints['events']}; waiting for a subscriber ...", style="dim")
    if not sockets.wait_for_subscriber(SUBSCRIBER_WAIT_S):
        console.print(f"nobody subscribed in {SUBSCRIBER_WAIT_S:.0f} s; going on", style="yellow")
    return sockets


def _serve(sockets: PublisherSockets, seconds: float) -> None:
    """Wait as `time.sleep` does, answering queries meanwhile."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        sockets.serve(max(1, min(int(1000 * left), 100)))


class _Published:
    """Lets subscribers know how a replay goes, beside the person at the terminal."""

    def __init__(self, view: ReplayView, wire: WireSink, sockets: PublisherSockets) -> None:
        self._view, self._wire, self._sockets = view, wire, sockets

    def begin(self, source: RecordedSource) -> None:
        self._view.begin(source)
        self._wire.status(source.name, "running")

    def advance(self, source: RecordedSource, frames: int) -> None:
        self._view.advance(source, frames)
        self._sockets.serve()

    def note(self, text: str) -> None:
        self._view.note(text)

    def end(self, source: RecordedSource, fault: str) -> None:
        self._view.end(source, fault)
        self._wire.status(source.name, "error" if fault else "ended", detail=fault)


def parse_speed(text: str) -> float | None:
    """`max` gives None, a positive number itself.

    Raises:
        OptionError: it is neither.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1e6:
        raise OptionError(f"--speed {text}: expected a number above 0, such as 1 or 8, or max")
    return speed


def with_prompts(config: Config, texts: Sequence[str]) -> Config:
    """The configuration with the prompts of the command line in place of its own and of the examples, as alarms.

    A text that the configuration has too keeps its name, severity and thresholds.
    """
    if not texts:
        return config
    known = {entry.text: entry for entry in config.prompts}
    try:
        entries = tuple(
            known.get(text) or PromptEntry(text=text, severity=Severity.ALERT) for text in dict.fromkeys(texts)
        )
    except ValueError as error:
        raise OptionError(f"--prompt: expected a description of 3 to 300 characters, got {_shown(texts)}") from error
    first: dict[str, PromptEntry] = {}
    for entry in entries:
        if (other := first.setdefault(entry.name, entry)) is not entry:
            raise OptionError(
                f"--prompt: {other.text[:80]!r} and {entry.text[:80]!r} are too alike: both would be {entry.name}"
            )
    return config.model_copy(update={"prompts": entries, "examples": ExamplesSection(path="")})


def _shown(texts: Sequence[str]) -> str:
    return ", ".join(repr(text[:80]) for text in texts)


def _epoch(config: Config, paths: Sequence[str], publish: bool) -> str:
    """Random where subscribers must tell two replays apart; else the same for the same replay, so that files agree."""
    if publish:
        return secrets.token_hex(8)
    return sha256("\0".join([config.model_dump_json(), *paths]).encode()).hexdigest()[:16]
