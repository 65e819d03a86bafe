"""`posewire check`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import ModelError
from models.examples import ExamplesError
from stream.commands.probe import ProbeError, probe_all
from stream.config import Config
from stream.config_file import load_config
from stream.config_sources import FileSource, SourceEntry
from stream.console import make_console, plural, unfamiliar_prompts
from stream.errors import PosewireError

if TYPE_CHECKING:
    from models.recogniser import Recogniser


def check_all(path: Path | None) -> int:
    """Check everything that a configuration names; returns the exit code, 2 if anything is wrong.

    Sources are opened and read for some seconds, each in a process of its own (see `stream.commands.probe`).

    Raises:
        ConfigError: the file itself is wrong (one line for each setting).
    """
    config = load_config(path)
    console, complaints = make_console(), make_console(stderr=True)
    errors = []
    if config.sources:
        console.print(f"trying {plural(len(config.sources), 'source')} ...", style="dim")
    tried = _try_sources(config, path or Path("config.toml"))
    checks: list[tuple[str, Callable[[], str]]] = [(f"sources[{index}]", told) for index, told in enumerate(tried)]
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


def _try_sources(config: Config, path: Path) -> list[Callable[[], str]]:
    """Try all sources, each in a process of its own; returns what is to be said of each."""
    content = config.model_dump(mode="json")
    tasks = [{"config": content, "path": str(path), "source": index} for index in range(len(config.sources))]
    return [partial(_told, entry, found) for entry, found in zip(config.sources, probe_all(tasks), strict=True)]


def _told(entry: SourceEntry, found: dict[str, Any] | ProbeError) -> str:
    """What was found of a source, in one line.

    Raises:
        ProbeError: it was an error.
    """
    if isinstance(found, ProbeError):
        told_already = str(found).startswith(f"{entry.name}: ")
        raise found if told_already else ProbeError(f"{entry.name}: {found}")
    if not found["frames"]:
        return f"{entry.name}: opens, but gave no frame"
    if isinstance(entry, FileSource):
        return f"{entry.name}: {entry.path}, layout {found['layout']}, people in the first frame: {found['people']}"
    told = ["{}x{}".format(*found["resolution"])] if found["resolution"] else []
    several = found["frames"] > 1
    told.append(f"{found['rate_hz']:.1f} frames/s" if several else "- frames/s")  # one frame has no rate
    if not found["live"] and found["took_s"] > 0 and several:
        told.append(f"{found['frames'] / found['took_s']:.1f} done a second")
    people = found["people"]
    seen = "nobody seen" if not people else "one person" if people == 1 else f"at most {people} people at once"
    told.append(f"layout {found['layout']}, {seen}")
    return f"{entry.name}: {', '.join(told)}"


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
