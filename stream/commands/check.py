"""`posewire check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import ModelError
from models.examples import ExamplesError
from stream.commands.check_zones import zones_without_area
from stream.commands.probe import FIRST_FRAME_S, ProbeError, probe_all
from stream.config import Config
from stream.config_file import load_config
from stream.config_sources import FileSource, SourceEntry
from stream.console import make_console, plural, unfamiliar_prompts
from stream.errors import PosewireError
from stream.prompt_overlay import told_overlay
from stream.prompt_store import overlaid
from stream.relay.trial import try_sink
from stream.types import Space

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
    scheduled = bool(config.schedules)
    checks: list[tuple[str, Callable[[], str]]] = [
        (f"sources[{index}]", partial(_told, entry, found, scheduled=scheduled))
        for index, (entry, found) in enumerate(zip(config.sources, tried, strict=True))
    ]
    model = _Model(config)
    checks += [
        ("model", lambda: _model(model())),
        ("prompts", lambda: _prompts(config, model())),
        ("prompts changed while it ran", lambda: _overlay(config, model)),
        *([("rules", lambda: _rules(config))] if config.zones or config.schedules or config.rules else []),
        ("examples", lambda: _examples(config, model())),
        ("regressions", lambda: _regressions(config)),
        *([("anomaly", lambda: _anomaly(config, model()))] if config.anomaly.enabled else []),
        *((f"sinks[{index}]", partial(try_sink, sink, config.node.name)) for index, sink in enumerate(config.sinks)),
    ]
    for key, check in checks:
        try:
            console.print(f"ok     {key}: {check()}", soft_wrap=True)
        except (PosewireError, ModelError) as error:
            errors.append(key)
            complaints.print(f"wrong  {key}: {error}", style="red", soft_wrap=True)
    for told, wrong in zones_without_area(config.zones, _spaces(config, tried)):
        if wrong:
            errors.append("zones")
            complaints.print(f"wrong  zones: {told}", style="red", soft_wrap=True)
        else:
            console.print(f"note   zones: {told}", style="yellow", soft_wrap=True)
    where = path or (Path("config.toml") if Path("config.toml").is_file() else "the built-in defaults")
    console.print(
        f"{where}: " + (f"{len(errors)} wrong ({', '.join(errors)})" if errors else "all right"), style="bold"
    )
    return 2 if errors else 0


def _try_sources(config: Config, path: Path) -> list[dict[str, Any] | ProbeError]:
    """Try all sources, each in a process of its own; returns what was found of each."""
    common = {"config": config.model_dump(mode="json"), "path": str(path), "first_frame_s": FIRST_FRAME_S}
    return probe_all([common | {"source": index} for index in range(len(config.sources))])


def _spaces(config: Config, tried: Sequence[dict[str, Any] | ProbeError]) -> dict[str, Space]:
    """In which coordinates each source gives its joints: as it showed, or else as it is configured, where that says."""
    known = {name: space for name, space in config.spaces().items() if space is not None}
    shown = {
        entry.name: Space(found["space"])
        for entry, found in zip(config.sources, tried, strict=True)
        if not isinstance(found, ProbeError) and found["space"] is not None
    }
    return known | shown


def _told(entry: SourceEntry, found: dict[str, Any] | ProbeError, *, scheduled: bool = False) -> str:
    """What was found of a source, in one line; `scheduled`: whether it matters that its times have a date.

    Raises:
        ProbeError: it was an error.
    """
    if isinstance(found, ProbeError):
        told_already = str(found).startswith(f"{entry.name}: ")
        raise found if told_already else ProbeError(f"{entry.name}: {found}")
    if not found["frames"]:
        return f"{entry.name}: opens, but gave no frame"
    if isinstance(entry, FileSource):
        undated = "; its times have no date, every schedule counts as on" if scheduled and not found["dated"] else ""
        people = f"people in the first frame: {found['people']}"
        return f"{entry.name}: {entry.path}, layout {found['layout']}, {people}{undated}"
    told = ["{}x{}".format(*found["resolution"])] if found["resolution"] else []
    several = found["frames"] > 1
    told.append(f"{found['rate_hz']:.1f} frames/s" if several else "- frames/s")  # one frame has no rate
    if not found["live"] and found["took_s"] > 0 and several:
        told.append(f"{found['frames'] / found['took_s']:.1f} done a second")
    people = found["people"]
    seen = "nobody seen" if not people else "one person" if people == 1 else f"at most {people} people at once"
    told.append(f"layout {found['layout']}, {seen}")
    return f"{entry.name}: {', '.join(told)}"


class _Model:
    """The model, loaded when it is first asked for; why it cannot be is told once, and those who need it say so."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._loaded: Recogniser | None = None
        self._failed = False

    def __call__(self) -> Recogniser:
        """Return it.

        Raises:
            ModelError: it cannot be loaded, or could not be before.
        """
        from stream.service import load_model

        if self._failed:
            raise ModelError("not checked: the model cannot be used")
        if self._loaded is None:
            self._failed = True
            self._loaded = load_model(self._config)
            self._failed = False
        return self._loaded


def _model(recogniser: Recogniser) -> str:
    return (
        f"{recogniser.kind} on {recogniser.choice}, windows of {recogniser.frames} frames at "
        f"{recogniser.rate_hz:g} Hz, {len(recogniser.bank)} known actions"
    )


def _prompts(config: Config, recogniser: Recogniser) -> str:
    from stream.service import make_prompts

    prompts = make_prompts(config, recogniser)
    told = f"{plural(len(prompts.prompts), 'prompt')} against {plural(len(prompts.background), 'background text')}"
    return told + (f"; {unfamiliar}" if (unfamiliar := unfamiliar_prompts(prompts)) else "")


def _rules(config: Config) -> str:
    told = [
        plural(len({zone.name for zone in config.zones}), "zone"),
        plural(len({schedule.name for schedule in config.schedules}), "schedule"),
        plural(len(config.rules), "rule"),
    ]
    texts = "; ".join(f"{one.name}: {one.text}" for one in config.rulebook().conditions)
    return ", ".join(told) + (f" ({texts})" if texts else "")


def _regressions(config: Config) -> str:
    """How many false alarms are filed, and which of them would be raised again: something to know, but no error."""
    from stream.commands.calibrate import filed_clips, raised_again

    clips = filed_clips(config)
    if not clips:
        return "no false alarm is filed"
    from stream.service import load_service

    raised = raised_again(load_service(overlaid(config)[0]), clips)
    again = f"raised again as it is: {', '.join(raised)} (see posewire calibrate)" if raised else "none raised again"
    return f"{plural(len(clips), 'filed false alarm')}, {again}"


def _overlay(config: Config, model: Callable[[], Recogniser]) -> str:
    file, overlay, path = overlaid(config)
    if overlay.empty:
        return "none, the daemon watches for what the file says"
    told = told_overlay(overlay.blocks(config), overlay.taken_away(config)) or "nothing that still matters"
    told = "; ".join([told, *overlay.shadowed(config)])
    return f"{told} ({path}); with them {_prompts(file, model())}"


def _examples(config: Config, recogniser: Recogniser) -> str:
    from stream.service import example_folder

    found, unused = example_folder(config, recogniser).read()
    if unused:
        raise ExamplesError("; ".join(unused))
    names = f" ({', '.join(one.name for one in found)})" if found else ""
    return f"{plural(len(found), 'action')} known by examples{names}"


def _anomaly(config: Config, recogniser: Recogniser) -> str:
    from stream.anomaly_parts import make_anomalies
    from stream.service import embed_texts, pipeline_settings

    section = config.anomaly
    vectors = embed_texts(section.prompts, recogniser)
    _, told = make_anomalies(config, recogniser, pipeline_settings(config, recogniser), vectors).file.load()
    return f"{plural(len(section.prompts), 'text')} by {section.encoder}; {told}"
