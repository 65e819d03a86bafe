"""The recorded files that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream.errors import SourceError
from stream.sources.base import EndOfSource, RecordedSource
from stream.sources.files import expand, open_source, source_names


def open_readable(paths: Sequence[str]) -> tuple[list[RecordedSource], list[str]]:
    """The sources of all files whose first frame can be read, and one line for each path or file that failed."""
    found: dict[Path, None] = {}
    errors: list[str] = []
    for path in paths:
        try:
            found |= dict.fromkeys(expand([path]))
        except SourceError as error:
            errors.append(str(error))
    files = list(found)
    sources = []
    for file, name in zip(files, source_names(files), strict=True):
        try:
            source = open_source(file, name)
            with source:
                source.read(timeout=1.0)
            sources.append(source)
        except EndOfSource:
            errors.append(f"{file}: holds no frame; expected at least one")
        except SourceError as error:
            errors.append(str(error))
    return sources, errors
