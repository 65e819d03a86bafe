"""`posewire calibrate`: thresholds from recordings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, TaskID

from stream.calibration import Calibration, Material, Thresholds
from stream.clip_trial import obstacle, of_prompt, raises
from stream.commands.calibrate_view import figures, show
from stream.commands.evaluate_view import bar
from stream.commands.options import OptionError
from stream.commands.outputs import STDOUT, check_outputs, replace_file
from stream.config import Config
from stream.config_block import prompt_blocks
from stream.config_file import load_config
from stream.console import make_console, plural
from stream.engine_tape import Tape, tape
from stream.errors import PosewireError
from stream.prompt_store import overlaid
from stream.regression_clips import FiledClip, read
from stream.sources.base import RecordedSource
from stream.sources.files import expand, open_source, source_names
from stream.verdict import Judged, judge

if TYPE_CHECKING:
    from stream.service import Service


class CalibrateError(PosewireError):
    """There is nothing to calibrate by."""


def calibrate_thresholds(
    paths: Sequence[str],
    *,
    positive: Sequence[str],
    fa_per_hour: float,
    out: Path | None,
    plot: Path | None,
    json_out: Path | None,
    config: Path | None,
) -> int:
    """Find thresholds at a wished number of false alarms per hour; returns the exit code.

    Raises:
        PosewireError: an option, a recording or a regression clip cannot be used; nothing is written.
        ModelError: the model cannot be used.
    """
    settings, overlay, _ = overlaid(load_config(config))
    if not paths:
        raise OptionError("no recording of what is normal: expected at least one PATH, or --check")
    named = _positives(positive, settings)
    inputs = [*paths, *(path for several in named.values() for path in several)]
    check_outputs({"--out": out, "--plot": plot, "--json": json_out}, inputs)
    if plot is not None:
        from stream.commands.calibrate_plot import check_matplotlib

        check_matplotlib()
    console = make_console(stderr=STDOUT in (out, json_out))
    normal = _open(paths)
    wanted = {name: _open(several) for name, several in named.items()}
    clips = filed_clips(settings)
    from stream.service import load_service  # torch: not before it is needed

    service = load_service(settings)
    console.print(f"model {service.description}; {plural(len(service.prompts.prompts), 'prompt')}", style="dim")
    material = Material(
        _tapes(service, normal, console),
        _clip_tapes(service, clips),
        {name: _tapes(service, sources, console) for name, sources in wanted.items()},
    )
    if not any(one.calls for one in material.normal) or not material.hours:
        raise CalibrateError("the recordings hold no time at all; expected some in which nothing is to be raised")
    calibration = _calibration(service, material)
    taught = {prompt.name for prompt in service.prompts.prompts} - {entry.name for entry in settings.prompts}
    judged = judge(calibration, floor(fa_per_hour * material.hours + 1e-9), taught)
    curves = calibration.curves() if plot is not None or json_out is not None else []
    told = figures(judged, curves, material, fa_per_hour)
    if out is not None:
        _write(out, _block(settings, judged, material, fa_per_hour))
    if plot is not None:
        from stream.commands.calibrate_plot import picture

        replace_file(plot, picture(calibration, judged, curves, fa_per_hour))
    show(console, told)
    if not overlay.empty:
        console.print(
            "prompts were changed while the daemon ran, and count as they are now; whoever takes the blocks over into "
            "the file resets them (posewire prompts reset)",
            style="yellow",
            soft_wrap=True,
        )
    if json_out is not None:
        _write(json_out, json.dumps(told, indent=2, allow_nan=False) + "\n")
    return 0


def check_clips(config: Path | None) -> int:
    """Say which filed false alarms the configuration would raise again; returns the exit code, 1 if there are any.

    Raises:
        PosewireError: a clip cannot be used.
        ModelError: the model cannot be used.
    """
    settings, _, _ = overlaid(load_config(config))
    console = make_console()
    clips = filed_clips(settings)
    if not clips:
        console.print("no false alarm is filed (see posewire report-false)")
        return 0
    from stream.service import load_service

    service = load_service(settings)
    raised = raised_again(service, clips)
    for one in clips:
        style, word = ("red", "raised") if one.clip.stem in raised else ("green", "silent")
        if (reason := obstacle(one, service.pipeline)) is not None:
            style, word = "yellow", f"not tried: {reason}"
        console.print(f"{word}  {one.clip.stem}  {one.clip.note}".rstrip(), style=style, soft_wrap=True)
    console.print(f"{plural(len(clips), 'false alarm')}, {len(raised)} of them raised again", style="bold")
    return 1 if raised else 0


def filed_clips(config: Config) -> list[FiledClip]:
    """The filed false alarms.

    Raises:
        CalibrateError: a file of them cannot be used.
    """
    clips, unused = read(Path(config.regressions.path) if config.regressions.path else None)
    if unused:
        raise CalibrateError("\n".join(unused))
    return clips


def raised_again(service: Service, clips: Sequence[FiledClip]) -> list[str]:
    """The names of the clips in which what raised them does so again, as it is configured.

    Those of prompts are asked of the event engine as calibration does it, those of rules and anomalies are replayed.

    Raises:
        SourceError: a recording is broken.
    """
    calibration = _calibration(service, Material((), _clip_tapes(service, clips), {}))
    by_prompts = [name for outcome in calibration.outcomes(calibration.current) for name in outcome.raised]
    pipeline = service.pipeline
    others = (one for one in clips if not of_prompt(one, pipeline) and obstacle(one, pipeline) is None)
    return by_prompts + [one.clip.stem for one in others if raises(one, pipeline)]


def _calibration(service: Service, material: Material) -> Calibration:
    events = service.settings.events
    current = [
        Thresholds(
            enter := events.enter if prompt.enter is None else prompt.enter,
            min(enter, events.exit if prompt.exit is None else prompt.exit),
        )
        for prompt in service.prompts.prompts
    ]
    return Calibration(service.prompts.prompts, service.pipeline.new_engine, material, current)


def _positives(options: Sequence[str], config: Config) -> dict[str, list[str]]:
    """Paths by prompt name, of options NAME=PATH."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, _, path = option.partition("=")
        if not name or not path:
            raise OptionError(f"--positive {option}: expected NAME=PATH, a prompt's name and recordings of it")
        found.setdefault(name, []).append(path)
    known = [entry.name for entry in config.prompts]
    if wrong := [name for name in found if name not in known]:
        raise OptionError(f"--positive {wrong[0]}=...: no such prompt; expected one of {', '.join(known)}")
    return found


def _open(paths: Sequence[str]) -> list[RecordedSource]:
    files = expand(paths)
    return [open_source(file, name) for file, name in zip(files, source_names(files), strict=True)]


def _tapes(service: Service, sources: Sequence[RecordedSource], console: Console) -> list[Tape]:
    tapes = []
    for source in sources:
        with bar(source.name) as progress:
            task = progress.add_task("", total=100)
            one = tape(service.pipeline, source, partial(_advance, progress, task))
        tapes.append(one)
        told = f"{one.name}: {one.recorded_s:.0f} s, somebody in view for {one.seen_s:.0f} s"
        console.print(f"{told}, {plural(len(one.scores), 'window')}", style="dim", soft_wrap=True)
    return tapes


def _advance(progress: Progress, task: TaskID, done: float) -> None:
    progress.update(task, completed=round(100 * done))


def _clip_tapes(service: Service, clips: Sequence[FiledClip]) -> dict[str, list[Tape]]:
    """By prompt name; those of what is no prompt that is watched for are left out."""
    found: dict[str, list[Tape]] = {}
    for one in clips:
        if of_prompt(one, service.pipeline):
            found.setdefault(one.clip.name, []).append(tape(service.pipeline, one.open()))
    return found


def _write(path: Path, text: str) -> None:
    if path == STDOUT:
        Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(text, end="")
    else:
        replace_file(path, text.encode())


def _block(config: Config, judged: Sequence[Judged], material: Material, wish: float) -> str:
    by_name: Mapping[str, Judged] = {one.prompt.name: one for one in judged}
    entries, notes = [], {}
    for entry in config.prompts:
        one = by_name[entry.name]
        notes[entry.name] = one.remark
        if one.changed:
            entry = entry.model_copy(update={"enter": one.thresholds.enter, "exit": one.thresholds.exit})
            entry.model_fields_set.update(("enter", "exit"))
        entries.append(entry)
    head = (
        f"# Written by posewire calibrate: at most {wish:g} false alarms an hour of each prompt in "
        f"{material.hours:.3g} h of {plural(len(material.normal), 'recording')}.\n"
        "# These blocks take the place of all [[prompts]] blocks of the configuration.\n\n"
    )
    return head + prompt_blocks(entries, notes)
