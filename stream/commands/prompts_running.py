"""`posewire prompts add|set|remove|reset|test`, `prompts list --running` and `reload`: the running daemon is asked."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stream.commands.options import OptionError
from stream.config_file import load_config
from stream.console import clock, make_console, plural
from stream.errors import PosewireError
from stream.prompt_replies import PromptsReply, TrialReply
from stream.query import ErrorReply, Reply, Request
from stream.requester import NoAnswer, ask
from stream.security.client_keys import ClientKeys
from stream.security.settings import client_keys

PING_S = 0.5
ANSWER_S = 200.0
"""Seconds for an answer: the first text that is new to the daemon has a text model loaded."""
OTHER = "the daemon answered something else; expected one of this version"
SHOWN = 20
"""Events of a trial that are shown."""


class DaemonError(PosewireError):
    """A running daemon refused, or there is none."""


def block_of(
    *,
    also: Sequence[str] | None = None,
    more: Sequence[str] | None = None,
    unset: Sequence[str] | None = None,
    **values: str | float | None,
) -> dict[str, Any]:
    """The keys of a `[[prompts]]` block that a command line gives.

    Args:
        also: more descriptions.
        more: `KEY=VALUE`, the value as TOML, or a word that is a string.
        unset: keys that are to have their default again.
        values: other keys; None: not given.

    Raises:
        OptionError: one of `more` is no such pair, or a number is not finite.
    """
    block: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
    if also:
        block["also"] = list(also)
    for pair in more or ():
        key, equals, value = pair.partition("=")
        if not equals or not key.strip().isidentifier():
            raise OptionError(f"--with {pair[:80]!r}: expected KEY=VALUE, such as min_s=2.0")
        block[key.strip()] = _value(value.strip())
    for key, value in block.items():
        if isinstance(value, float) and not math.isfinite(value):  # JSON has no such numbers: null would be sent
            raise OptionError(f"{key} {value}: expected a finite number")
    return block | dict.fromkeys(unset or ())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def change_prompts(
    kind: str, *, query: str | None, config: Path | None, name: str | None = None, block: dict[str, Any] | None = None
) -> int:
    """Send a request that changes prompts and show what there is then; returns the exit code.

    Raises:
        DaemonError: it was refused, or no daemon answers.
    """
    _show(asked(query, config, Request(1, kind, name=name, prompt=block)))
    return 0


def list_running(*, query: str | None, config: Path | None) -> int:
    """Show the prompts of the running daemon; returns the exit code.

    Raises:
        DaemonError: no daemon answers.
    """
    _show(asked(query, config, Request(1, "prompt_list")))
    return 0


def try_prompt(block: dict[str, Any], *, query: str | None, config: Path | None) -> int:
    """Show what a running daemon would have raised, if there is one; returns the exit code.

    Raises:
        DaemonError: it refuses.
    """
    endpoint, keys = _where(query, config)
    if not _runs(endpoint, keys):
        told = f"no daemon answers at {endpoint}: not tried on what people did lately"
        make_console(stderr=True).print(told, style="dim", soft_wrap=True)
        return 0
    reply = _answer(endpoint, Request(1, "prompt_test", prompt=block), keys)
    if not isinstance(reply, TrialReply):
        raise DaemonError(OTHER)
    _show_trial(make_console(), reply)
    return 0


def asked(query: str | None, config: Path | None, request: Request) -> Reply:
    """What a running daemon says to a request, other than an error.

    Raises:
        DaemonError: it refuses, or there is none.
    """
    endpoint, keys = _where(query, config)
    if not _runs(endpoint, keys):
        raise DaemonError(f"{endpoint}: no daemon answers; expected one that runs (posewire run)")
    return _answer(endpoint, request, keys)


def _where(query: str | None, config: Path | None) -> tuple[str, ClientKeys | None]:
    """Where to ask, and what to be let in by."""
    settings = load_config(config)
    return query or settings.publish.query, client_keys(settings)


def _runs(endpoint: str, keys: ClientKeys | None) -> bool:
    try:
        ask(endpoint, Request(1, "ping"), PING_S, attempts=1, keys=keys)
    except NoAnswer:
        return False
    return True


def _answer(endpoint: str, request: Request, keys: ClientKeys | None) -> Reply:
    try:
        # A change must not be asked for twice.
        reply = ask(endpoint, request, ANSWER_S, attempts=1, keys=keys)
    except NoAnswer as error:
        raise DaemonError(f"{endpoint}: no answer in {ANSWER_S:.0f} s; expected a daemon that runs") from error
    if isinstance(reply, ErrorReply):
        raise DaemonError(reply.error)
    return reply


def _show(reply: Reply) -> None:
    if not isinstance(reply, PromptsReply):
        raise DaemonError(OTHER)
    console = make_console()
    table = Table("name", "severity", "from", "text", "", box=None)
    for one in reply.prompts:
        block = dict(one.block)
        text, severity = block.pop("text", ""), block.pop("severity", "info")
        block.pop("name", None)
        rest = ", ".join(f"{key} {value}" for key, value in block.items() if key != "also")
        table.add_row(one.name, str(severity), one.origin, str(text), rest)
    console.print(f"the daemon {reply.node} watches for {plural(len(reply.prompts), 'prompt')}:", soft_wrap=True)
    console.print(table)
    if reply.removed:
        console.print(f"removed, though the file has them: {', '.join(reply.removed)}", soft_wrap=True)
    if reply.note:
        console.print(reply.note, style="yellow", soft_wrap=True)


def _show_trial(console: Console, reply: TrialReply) -> None:
    if not reply.sources:
        console.print(f"the daemon {reply.node} has seen nothing yet on which to try it")
        return
    told = ", ".join(f"{name} {source.seconds / 60:.1f} min" for name, source in sorted(reply.sources.items()))
    console.print(
        f"As {reply.name} it would have raised {plural(reply.events_total, 'event')} in the last minutes of {told}"
        + (":" if reply.events else "."),
        soft_wrap=True,
    )
    table = Table("source", "person", "from", "to", "peak", box=None)
    for event in reply.events[:SHOWN]:
        end = "goes on" if event.t_end is None else clock(event.t_end)
        table.add_row(event.source, str(event.track), clock(event.t_start), end, f"{event.peak:.2f}")
    if reply.events:
        console.print(table)
    if reply.events_total > SHOWN:
        console.print(f"... and {reply.events_total - min(SHOWN, len(reply.events))} more", style="dim")
    if reply.best is not None:
        best = reply.best
        console.print(
            f"surest: {best.probability:.2f}, person {best.track} of {best.source} at {clock(best.t)}", soft_wrap=True
        )
    if reply.suppressed:
        told = ", ".join(f"{reason} {count}" for reason, count in sorted(reply.suppressed.items()))
        console.print(f"starts withheld: {told}", style="dim", soft_wrap=True)
    if reply.forgotten:
        console.print(f"{plural(reply.forgotten, 'window')} had no room in memory", style="dim", soft_wrap=True)
