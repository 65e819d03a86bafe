"""`posewire record`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream.commands.files import open_readable
from stream.config_file import ConfigError, load_config
from stream.console import make_console
from stream.daemon.supervisor import Supervisor
from stream.errors import PosewireError, SourceError
from stream.sources.recording import RecordingWriter


class RecordError(PosewireError):
    """The recording cannot be made."""


def record_frames(out: Path, paths: Sequence[str], *, seconds: float | None, force: bool, config: Path | None) -> int:
    """Convert skeleton files, or record the configured sources, into one recording; returns the exit code.

    Raises:
        PosewireError: the recording exists or cannot be made, or there is nothing to record.
    """
    if out.exists() and not force:
        raise RecordError(f"{out}: exists already; expected a new file, or --force to overwrite it")
    return _convert(out, paths) if paths else _record(out, seconds, config)


def _convert(out: Path, paths: Sequence[str]) -> int:
    console, complaints = make_console(), make_console(stderr=True)
    sources, errors = open_readable(paths)
    if sources:
        with RecordingWriter(out, overwrite=True) as writer:
            for source in sources:
                try:
                    with source:
                        for frame in source:
                            writer.write(frame)
                except SourceError as error:
                    errors.append(str(error))
        console.print(f"{out}: {writer.records} frames of {len(sources)} files", soft_wrap=True)
    for line in errors:
        complaints.print(f"posewire: {line}", style="red", soft_wrap=True)
    return 2 if errors else 0


def _record(out: Path, seconds: float | None, config: Path | None) -> int:
    settings = load_config(config)
    if not settings.sources:
        raise ConfigError("nothing to record: expected skeleton files, or [[sources]] in the configuration")
    logging.basicConfig(level=logging.INFO, format="posewire: %(message)s")
    console = make_console()

    def show(_child: str, message: dict[str, Any]) -> None:
        if message["kind"] == "status":
            detail = f": {message['detail']}" if message["detail"] else ""
            console.print(f"source {message['source']} {message['state']}{detail}", style="dim", soft_wrap=True)
        elif message["kind"] == "recorded":
            console.print(f"{out}: {message['frames']} frames", soft_wrap=True)

    console.print(f"recording {len(settings.sources)} sources to {out}; Ctrl-C stops", style="dim", soft_wrap=True)
    supervisor = Supervisor(
        settings, config or Path("config.toml"), on_message=show, recording=out.resolve(), seconds=seconds
    )
    return supervisor.run()
