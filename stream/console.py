"""What a person sees in the terminal while a recording is replayed or the daemon runs."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from rich.console import Console
from rich.text import Text

from stream.prompts import SAME_MEANING, PromptSet
from stream.structs import EventData
from stream.types import UNIX_TIME

_PHASE_STYLE = {"start": "bold", "update": "dim", "end": ""}
SEVERITY_STYLE = {"info": "green", "alert": "yellow", "critical": "bold red"}


def clock(seconds: float) -> str:
    """Seconds as `m:ss.ss` on a source's own clock, or as the local time of day where they count from 1970."""
    if seconds > UNIX_TIME:
        return time.strftime("%H:%M:%S", time.localtime(seconds))
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:05.2f}"


def event_line(source: str, event: EventData, t0: float = 0.0, *, with_id: bool = False) -> Text:
    """One line about one message of an event.

    Args:
        source: the event's source.
        event: its state.
        t0: time that counts as zero, in s.
        with_id: close the line of its end with its id, by which `report-false` and `teach --from-event` ask for it.
    """
    style = SEVERITY_STYLE[event.severity]
    line = Text.assemble(
        (f"{clock(event.t - t0):>9}  ", "dim"),
        (f"{event.phase:<6}  ", _PHASE_STYLE[event.phase]),
        (f"{event.name:<18}  ", style if event.phase != "update" else "dim"),
        f"{source}, person {event.track}  " if event.track >= 0 else f"{source}  ",
        (f"score {event.score:.2f}", "dim"),
    )
    if event.severity != "info" and event.phase == "start":
        line.append("  ALARM", style)
    if event.t_end is not None:
        line.append(
            f"  peak {event.peak:.2f}, {clock(event.t_start - t0)} to {clock(event.t_end - t0)} ({event.reason})", "dim"
        )
        if with_id:
            line.append(f"  {event.id}", "dim")
    return line


def withheld_line(when: str, name: str, source: str, track: int, score: float, why: str) -> str:
    """One line about one start of an event that was withheld."""
    who = f"{source}, person {track}" if track >= 0 else source
    return f"{when:>9}  {name:<18}  {who}  score {score:.2f}: {why}"


def withheld_counts(counts: Mapping[tuple[str, str], int]) -> str:
    """How many starts were withheld, by name and reason: `fall: margin 2, grace 1; wave: margin 1`."""
    by_name: dict[str, list[str]] = {}
    for (name, reason), count in sorted(counts.items()):
        by_name.setdefault(name, []).append(f"{reason.replace('_', ' ')} {count}")
    return "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in by_name.items())


def unfamiliar_names(prompts: PromptSet) -> list[str]:
    """Names of the prompts that mean nothing that the model was trained on."""
    pairs = zip(prompts.prompts, prompts.familiarity, strict=True)
    return [prompt.name for prompt, familiarity in pairs if familiarity < SAME_MEANING]


def unfamiliar_prompts(prompts: PromptSet, among: Collection[str] | None = None) -> str:
    """Which prompts mean nothing that the model was trained on, in one sentence; empty where there are none.

    `among` are the names that matter, by default all.
    """
    names = [name for name in unfamiliar_names(prompts) if among is None or name in among]
    return f"the model was not trained on: {', '.join(names)} (see posewire prompts test)" if names else ""


def plural(count: int, noun: str) -> str:
    """A number and what it counts: `1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def make_console(*, stderr: bool = False) -> Console:
    """A console that wraps nothing where its output is not a terminal: one event, one line.

    Texts are shown as they are: a file or prompt may be called `[red]` or `:fire:`.
    """
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=500, no_color=True)
    return console
