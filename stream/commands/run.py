"""`posewire run`."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from stream.commands.run_view import RunTable, Summary, complaints_above, is_news, live_table
from stream.config_file import ConfigError, check_passwords, load_config
from stream.console import event_line, make_console
from stream.daemon.log_pump import pumped_output
from stream.daemon.supervisor import Supervisor
from stream.relay.configured import check_sinks
from stream.structs import EventData, SourceState
from stream.types import UNIX_TIME


def run_daemon(config: Path | None) -> int:
    """Run the daemon until it is stopped or all sources have ended; returns the exit code.

    A terminal shows a table of the sources below the events; anything else gets lines only.

    Raises:
        ConfigError: the configuration is wrong or has no sources, or the password of a camera is not there.
        RelayError: a sink lacks something.
    """
    path = config or Path("config.toml")
    settings = load_config(config)
    if not settings.sources:
        raise ConfigError(f"{path}: sources: none; expected at least one [[sources]] block")
    check_passwords(settings, path)
    check_sinks(settings, path)
    console = make_console()
    publish = settings.publish
    names = [*(source.name for source in settings.sources), *(sink.label for sink in settings.sinks)]
    speeds = {source.name: getattr(source, "speed", 1.0) for source in settings.sources}
    table = RunTable(settings.node.name, names, time.monotonic(), speeds)
    states: dict[str, SourceState] = {}

    def show(child: str, message: dict[str, Any]) -> None:
        if message["kind"] == "beat":
            table.beat(msgspec.convert(message, Summary), time.monotonic())
            for line in table.slowed() if not console.is_terminal else ():  # the table shows it
                console.print(line, style="yellow", soft_wrap=True)
        elif message["kind"] == "event":
            event = msgspec.convert(message["data"], EventData)
            table.event(message["source"], event, time.monotonic())
            # One time is enough: that of a live source is the time of day itself.
            of_day = "" if event.t > UNIX_TIME else time.strftime("%H:%M:%S ")
            told = event_line(message["source"], event, with_id=True)
            console.print(Text.assemble((of_day, "dim"), told), soft_wrap=True)
        elif message["kind"] == "status":
            state = msgspec.convert(message["data"], SourceState)
            before, states[message["source"]] = states.get(message["source"]), state
            if is_news(before, state):
                console.print(f"{message['source']} {state.state} {state.detail}".rstrip(), style="dim", soft_wrap=True)
        elif message["kind"] == "ready":
            console.print(f"{child} ready, model {message['description']}", style="dim", soft_wrap=True)
            if message["unfamiliar"]:
                console.print(message["unfamiliar"], style="yellow", soft_wrap=True)

    with ExitStack() as stack:
        stack.enter_context(pumped_output())
        console.print(
            f"sources: {len(settings.sources)}, prompts: {len(settings.prompts)}; events on {publish.events}; "
            "Ctrl-C stops",
            style="dim",
            soft_wrap=True,
        )
        if console.is_terminal:
            stack.enter_context(live_table(console, table))
        if console.is_terminal and os.isatty(2):
            # Inside the table: the last complaint is printed before the table is drawn for the last time.
            stack.enter_context(complaints_above(console))
        # On the file's own number: the children's lines and these take the same way.
        logging.basicConfig(level=logging.INFO, format="posewire: %(message)s", stream=sys.stderr)
        return Supervisor(settings, path, on_message=show, read=lambda: load_config(config)).run()
