"""`posewire teach`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from models.examples import MAX_EXAMPLES, SUFFIX, Examples, ExamplesError, load, path_of, save
from stream.anomaly import NAME as ANOMALY
from stream.commands.options import OptionError
from stream.config import Config
from stream.config_file import load_config
from stream.console import make_console, plural
from stream.errors import PosewireError
from stream.query import ErrorReply, ExampleReply, Request
from stream.requester import NoAnswer, ask
from stream.security.settings import client_keys
from stream.sources.files import expand, open_source, source_names
from stream.topics import check_name
from stream.types import Float32Array

UNLIKE = 0.5
"""Cosine of two examples under which they hardly show the same action."""
SAME = 0.9999
"""And over which they are one recording twice."""


class TeachError(PosewireError):
    """An action cannot be taught."""


def teach_action(
    name: str,
    paths: Sequence[str],
    *,
    events: Sequence[str],
    text: str | None,
    severity: str,
    force: bool,
    query: str | None,
    config: Path | None,
) -> int:
    """Store an action from recorded clips and events of a running daemon; returns the exit code.

    Raises:
        PosewireError: it cannot be taught, or is known already and `force` is not given; nothing is written.
        ModelError: the model or the examples' file cannot be used.
    """
    settings = load_config(config)
    folder = _folder(settings)
    check_name(name)
    if name == ANOMALY:
        raise OptionError(f"{name}: the events of [{name}] are named so; expected another name")
    if Path(name).is_file():
        raise OptionError(f"{name}: is a file; expected the name of the action first, then its clips")
    if path_of(folder, name).exists() and not force:
        raise TeachError(f"{path_of(folder, name)}: exists already; expected another name, or --force to replace it")
    files = expand(paths)
    events = list(dict.fromkeys(events))
    if not 1 <= (count := len(files) + len(events)) <= MAX_EXAMPLES:
        raise OptionError(f"{plural(count, 'example')} of {name}: expected 1 to {MAX_EXAMPLES} clips and events")
    shown = [_event_example(reply) for reply in _ask(settings, query, events)] if events else []
    told = [_clip_examples(files, settings)] if files else []
    models = {model for model, _ in (*shown, *told)}
    if len(models) > 1:
        raise TeachError(f"{name}: the examples come from {len(models)} different models; expected one")
    embeddings = np.concatenate([rows for _, rows in (*told, *shown)])
    path = save(
        folder, Examples(name, text or name.replace("_", " ").strip() or name, severity, models.pop(), embeddings)
    )
    console = make_console()
    console.print(
        f"{path}: {name} from {plural(count, 'example')}; a running daemon takes it up by itself", soft_wrap=True
    )
    if name in {entry.name for entry in settings.prompts}:
        console.print(f"{name} is a configured prompt: its text and severity stay", style="dim", soft_wrap=True)
    _compare(console, name, embeddings)
    return 0


def list_actions(config: Path | None) -> int:
    """Show what was taught; returns the exit code, 2 if a file cannot be used."""
    from models.checkpoint import read_manifest
    from stream.service import model_folder

    settings = load_config(config)
    folder, model = _folder(settings), read_manifest(model_folder(settings)).weights_sha256
    table = Table("name", "severity", "examples", "text", "", box=None)
    errors = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            one = load(path)
        except ExamplesError as error:
            errors.append(str(error))
            continue
        note = "" if one.model == model else "not used: taught with another model, teach it again"
        table.add_row(one.name, one.severity, str(len(one.embeddings)), one.text, note)
    console, complaints = make_console(), make_console(stderr=True)
    console.print(f"{folder}: {plural(table.row_count, 'action')} known by examples", soft_wrap=True)
    if table.row_count:
        console.print(table)
    for line in errors:
        complaints.print(f"posewire: {line}", style="red", soft_wrap=True)
    return 2 if errors else 0


def forget_action(name: str, config: Path | None) -> int:
    """Remove what was taught under a name; returns the exit code.

    Raises:
        TeachError: there is nothing, or it cannot be removed.
        TopicError: this is no name.
    """
    path = path_of(_folder(load_config(config)), check_name(name))
    try:
        path.unlink()
    except FileNotFoundError:
        raise TeachError(f"{path}: there is no such file; expected a name that `posewire teach --list` shows") from None
    except OSError as error:
        raise TeachError(f"{path}: cannot be removed ({error.strerror})") from error
    make_console().print(f"{path}: removed; a running daemon forgets {name} by itself", soft_wrap=True)
    return 0


def _folder(config: Config) -> Path:
    if not config.examples.path:
        raise OptionError("examples.path is empty: expected a folder in which to keep what is taught")
    folder = Path(config.examples.path)
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"examples.path: {folder}: is a file; expected a folder in which to keep what is taught")
    return folder


def _clip_examples(files: Sequence[Path], config: Config) -> tuple[str, Float32Array]:
    """The model's digest and an embedding for each file, (n, E)."""
    sources = [open_source(file, name) for file, name in zip(files, source_names(files), strict=True)]
    from stream.clips import ClipError, embed_clip, read_clip
    from stream.service import load_model

    settings = config.pipeline(frames=2, rate_hz=1.0, enter=1.0, exit=1.0)
    clips = []
    for file, source in zip(files, sources, strict=True):
        try:
            clips.append(read_clip(source, settings.tracker))
        except ClipError as error:
            raise ClipError(f"{file}: {error}") from error
    recogniser = load_model(config)  # once all clips have been found to be good
    rows = []
    for file, clip in zip(files, clips, strict=True):
        try:
            rows.append(embed_clip(clip, recogniser, settings.min_coverage))
        except ClipError as error:
            raise ClipError(f"{file}: {error}") from error
    return recogniser.digest, np.stack(rows)


def _event_example(reply: ExampleReply) -> tuple[str, Float32Array]:
    """The model's digest and the embedding, (1, E)."""
    return reply.model, np.array([reply.embedding], np.float32)


def _ask(settings: Config, query: str | None, events: Sequence[str]) -> list[ExampleReply]:
    """The examples of events.

    Raises:
        TeachError: nobody answers, or one is not known there.
    """
    endpoint, keys = query or settings.publish.query, client_keys(settings)
    found = []
    for event in events:
        try:
            reply = ask(endpoint, Request(1, "example", event=event), keys=keys)
        except NoAnswer as error:
            raise TeachError(f"--from-event {event}: {error}") from error
        if not isinstance(reply, ExampleReply):
            told = reply.error if isinstance(reply, ErrorReply) else "another reply"
            raise TeachError(f"--from-event {event}: {endpoint} says: {told}")
        found.append(reply)
    return found


def _compare(console: Console, name: str, embeddings: Float32Array) -> None:
    """Say how alike the examples are."""
    pairs = [float(one @ other) for one, other in combinations(embeddings, 2)]
    if not pairs:
        return
    console.print(f"likeness of the examples, 1 being the same: {min(pairs):.2f} to {max(pairs):.2f}", style="dim")
    if min(pairs) < UNLIKE:
        console.print(
            f"two examples of {name} are hardly alike: do they show the same action, and nothing before and after it?",
            style="yellow",
            soft_wrap=True,
        )
    if max(pairs) > SAME:
        console.print(f"two examples of {name} are the same: a second look at one teaches nothing", style="yellow")
