"""`posewire record`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.whole_file import part_of
from stream.commands.files import open_readable
from stream.commands.options import check_targets
from stream.config_file import ConfigError, check_passwords, load_config
from stream.console import make_console, plural
from stream.daemon.supervisor import Supervisor
from stream.errors import PosewireError, SourceError
from stream.sources.recording import RecordingWriter
from stream.topics import MAX_NAME


class RecordError(PosewireError):
    """The recording cannot be made."""


def record_frames(out: Path, paths: Sequence[str], *, seconds: float | None, force: bool, config: Path | None) -> int:
    """Convert skeleton files, or record the configured sources, into one recording; returns the exit code.

    Raises:
        PosewireError: the recording exists or cannot be made, there is nothing to record, or the password of a camera
            is not there.
    """
    if out.exists() and not force:
        raise RecordError(f"{out}: exists already; expected a new file, or --force to overwrite it")
    if out.exists() and not out.is_file():
        raise RecordError(f"{out}: is no regular file; expected the name of a recording")
    return _convert(out, paths) if paths else _record(out, seconds, config)


def _convert(out: Path, paths: Sequence[str]) -> int:
    check_targets({"--out": out}, paths)
    console, complaints = make_console(), make_console(stderr=True)
    sources, errors = open_readable(paths)
    if sources:
        names = _Names(prefixed=len(sources) > 1)
        whole = out.resolve()
        part = part_of(whole)
        try:
            with RecordingWriter(part) as writer:
                for source in sources:
                    try:
                        with source:
                            for frame in source:
                                writer.write(replace(frame, source=names.of(source.name, frame.source)))
                    except SourceError as error:
                        errors.append(str(error))
            part.replace(whole)
        finally:
            part.unlink(missing_ok=True)
        console.print(f"{out}: {plural(writer.records, 'frame')} of {plural(len(sources), 'file')}", soft_wrap=True)
    for line in errors:
        complaints.print(f"posewire: {line}", style="red", soft_wrap=True)
    return 2 if errors else 0


class _Names:
    """What sources are called in one recording of several files: two files may hold sources of the same name."""

    def __init__(self, *, prefixed: bool) -> None:
        self._prefixed = prefixed
        self._names: dict[tuple[str, str], str] = {}

    def of(self, file: str, source: str) -> str:
        """The name of a source of a file, the source's own where it is the file's or the only file's."""
        if (file, source) not in self._names:
            wanted = name = (source if source == file or not self._prefixed else f"{file}.{source}")[:MAX_NAME]
            number = 2
            while name in self._names.values():
                name, number = f"{wanted[: MAX_NAME - 8]}-{number}", number + 1
            self._names[file, source] = name
        return self._names[file, source]


def _record(out: Path, seconds: float | None, config: Path | None) -> int:
    settings = load_config(config)
    if not settings.sources:
        raise ConfigError("nothing to record: expected skeleton files, or [[sources]] in the configuration")
    path = config or Path("config.toml")
    check_passwords(settings, path)
    logging.basicConfig(level=logging.INFO, format="posewire: %(message)s")
    console = make_console()

    def show(_child: str, message: dict[str, Any]) -> None:
        if message["kind"] == "status":
            detail = f": {message['detail']}" if message["detail"] else ""
            console.print(f"source {message['source']} {message['state']}{detail}", style="dim", soft_wrap=True)
        elif message["kind"] == "recorded":
            console.print(f"{out}: {message['frames']} frames", soft_wrap=True)

    console.print(
        f"recording {plural(len(settings.sources), 'source')} to {out}; Ctrl-C stops", style="dim", soft_wrap=True
    )
    return Supervisor(settings, path, on_message=show, recording=out.resolve(), seconds=seconds).run()
