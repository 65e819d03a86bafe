"""`posewire replay`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from stream.commands.files import open_readable
from stream.commands.replay_view import ReplayView, print_summary, titles
from stream.config import Config, PromptEntry, load_config
from stream.console import make_console
from stream.daemon.publish import public_sockets
from stream.errors import PosewireError
from stream.messages import Message
from stream.publisher import Publisher
from stream.query import PromptInfo
from stream.replay import Replay, Sink
from stream.report import ReportBuilder
from stream.sinks import LineFile, ReportSink, WireSink
from stream.sources.base import RecordedSource
from stream.types import Severity

if TYPE_CHECKING:
    from stream.service import Service

SUBSCRIBER_WAIT_S = 5.0


class OptionError(PosewireError):
    """A command-line option is wrong."""


def replay_files(
    paths: Sequence[str],
    *,
    speed: str,
    texts: Sequence[str],
    out: Path | None,
    report: Path | None,
    publish: bool,
    config: Path | None,
) -> int:
    """Replay files; returns the exit code: 0, or 2 if any file could not be replayed to its end."""
    factor = parse_speed(speed)
    settings = with_prompts(load_config(config), texts)
    console, complaints = make_console(), make_console(stderr=True)
    # Every file's beginning is read before the model is loaded: a wrong path is told at once.
    sources, errors = open_readable(paths)
    for error in errors:
        complaints.print(f"posewire: {error}", style="red", soft_wrap=True)
    if not sources:
        return 2

    from stream.service import load_service  # torch: not before it is needed

    service = load_service(settings)
    console.print(f"{service.description}; {len(settings.prompts)} prompts", style="dim")
    publisher = Publisher(settings.node.name, epoch=_epoch(settings, paths, publish), replay=True)
    publisher.set_prompts(
        [PromptInfo(prompt.name, prompt.text, prompt.severity.value) for prompt in service.prompts.prompts],
        service.prompts.digest,
    )
    view = ReplayView(console, len(sources))
    builder = _report(sources, settings, service) if report else None
    with ExitStack() as stack:
        takers: list[Callable[[Message], None]] = []
        if out:
            takers.append(stack.enter_context(LineFile(out)).take)
        if publish:
            takers.append(_published(stack, publisher, settings, console))
        stack.enter_context(view.progress)
        sinks: list[Sink] = [view, WireSink(publisher, [*takers, view.event])]
        if builder:
            sinks.append(ReportSink(builder))
        replay = Replay(sources, service.pipeline, sinks, speed=factor, on_file=view.file, on_progress=view.frames)
        summary = replay.run()
    for error in summary.errors:
        complaints.print(f"posewire: {error}", style="red", soft_wrap=True)
    if builder and report:
        builder.write(report)
    print_summary(console, summary, out, report)
    return 2 if errors or summary.errors else 0


def _report(sources: Sequence[RecordedSource], config: Config, service: Service) -> ReportBuilder:
    return ReportBuilder(
        titles(sources),
        [(prompt.name, prompt.text, prompt.severity.value) for prompt in service.prompts.prompts],
        config.background.texts,
        service.description,
        (service.settings.events.enter, service.settings.events.exit),
        service.recogniser.manifest.terms,
    )


def _published(stack: ExitStack, publisher: Publisher, config: Config, console: Console) -> Callable[[Message], None]:
    """Bind the public sockets, wait for a first subscriber, and give the function that publishes."""
    sockets = stack.enter_context(public_sockets(publisher, config.publish))
    console.print(f"publishing on {sockets.endpoints['events']}; waiting for a subscriber ...", style="dim")
    if not sockets.wait_for_subscriber(SUBSCRIBER_WAIT_S):
        console.print(f"nobody subscribed in {SUBSCRIBER_WAIT_S:.0f} s; going on", style="yellow")

    def publish(message: Message) -> None:
        sockets.send(message)
        sockets.serve()

    return publish


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
    """The configuration with the prompts of the command line in place of its own, as alarms.

    A text that the configuration has too keeps its name, severity and thresholds.
    """
    if not texts:
        return config
    known = {entry.text: entry for entry in config.prompts}
    try:
        entries = tuple(
            known.get(text) or PromptEntry(text=text, severity=Severity.WARNING) for text in dict.fromkeys(texts)
        )
    except ValueError as error:
        raise OptionError(f"--prompt: expected a description of 3 to 300 characters ({texts!r})") from error
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise OptionError("--prompt: two texts are too alike: they would get the same name")
    return config.model_copy(update={"prompts": entries})


def _epoch(config: Config, paths: Sequence[str], publish: bool) -> str:
    """Random where subscribers must tell two replays apart; else the same for the same replay, so that files agree."""
    if publish:
        return secrets.token_hex(8)
    return sha256("\0".join([config.model_dump_json(), *paths]).encode()).hexdigest()[:16]
