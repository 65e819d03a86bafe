"""`posewire check`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ModelError
from models.examples import ExamplesError
from stream.commands.replay_view import plural
from stream.config import Config, FileSource
from stream.config_file import load_config
from stream.console import make_console, unfamiliar_prompts
from stream.errors import PosewireError
from stream.sources.base import EndOfSource, SourceTimeout
from stream.sources.configured import configured_source

if TYPE_CHECKING:
    from models.recogniser import Recogniser

FIRST_FRAME_S = 2.0


def check_all(path: Path | None) -> int:
    """Check everything that a configuration names; returns the exit code, 2 if anything is wrong.

    Raises:
        ConfigError: the file itself is wrong (one line for each setting).
    """
    config = load_config(path)
    console, complaints = make_console(), make_console(stderr=True)
    errors = []
    checks: list[tuple[str, Callable[[], str]]] = [
        (f"sources[{index}]", lambda index=index: _source(config, index))  # type: ignore[misc]
        for index in range(len(config.sources))
    ]
    model = cache(partial(_load, config))  # once for both; one that fails fails for both
    checks += [
        ("model", lambda: _model(model())),
        ("prompts", lambda: _prompts(config, model())),
        ("examples", lambda: _examples(config, model())),
    ]
    for key, check in checks:
        try:
            console.print(f"ok     {key}: {check()}", soft_wrap=True)
        except (PosewireError, ModelError) as error:
            errors.append(key)
            complaints.print(f"wrong  {key}: {error}", style="red", soft_wrap=True)
    where = path or (Path("config.toml") if Path("config.toml").is_file() else "the built-in defaults")
    console.print(
        f"{where}: " + (f"{len(errors)} wrong ({', '.join(errors)})" if errors else "all right"), style="bold"
    )
    return 2 if errors else 0


def _source(config: Config, index: int) -> str:
    entry = config.sources[index]
    source = configured_source(entry)
    with source:
        try:
            frame = source.read(timeout=FIRST_FRAME_S)
        except (EndOfSource, SourceTimeout):
            return f"{entry.name}: opens, but gave no frame"
    what = f"{entry.path}, " if isinstance(entry, FileSource) else ""
    return f"{entry.name}: {what}layout {frame.layout}, people in the first frame: {len(frame.track_ids)}"


def _load(config: Config) -> Recogniser:
    from stream.service import load_model

    return load_model(config)


def _model(recogniser: Recogniser) -> str:
    return (
        f"{recogniser.kind} on {recogniser.device}, windows of {recogniser.frames} frames at "
        f"{recogniser.rate_hz:g} Hz, {len(recogniser.bank)} known actions"
    )


def _prompts(config: Config, recogniser: Recogniser) -> str:
    from stream.service import make_prompts

    prompts = make_prompts(config, recogniser)
    told = f"{plural(len(prompts.prompts), 'prompt')} against {plural(len(prompts.background), 'background text')}"
    return told + (f"; {unfamiliar}" if (unfamiliar := unfamiliar_prompts(prompts)) else "")


def _examples(config: Config, recogniser: Recogniser) -> str:
    from stream.service import example_folder

    found, unused = example_folder(config, recogniser).read()
    if unused:
        raise ExamplesError("; ".join(unused))
    names = f" ({', '.join(one.name for one in found)})" if found else ""
    return f"{plural(len(found), 'action')} known by examples{names}"
