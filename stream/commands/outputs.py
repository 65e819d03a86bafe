"""Files and folders that commands write."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from models.whole_file import write_whole
from stream.commands.options import OptionError, check_targets, try_writing
from stream.sinks import OutputError

STDOUT = Path("-")


def check_outputs(targets: Mapping[str, Path | None], inputs: Sequence[str] = ()) -> None:
    """Refuse files as `check_targets` does, where there are any: not None, and not standard output.

    Raises:
        OptionError: see there.
    """
    check_targets({name: path for name, path in targets.items() if path is not None and path != STDOUT}, inputs)


def check_folders(folders: Mapping[str, Path | None]) -> None:
    """Refuse folders that cannot be made or written to.

    Raises:
        OptionError: one cannot.
    """
    for option, folder in folders.items():
        if folder is None:
            continue
        try:
            nearest = next(one for one in (folder, *folder.absolute().parents) if one.exists())
            if not nearest.is_dir():
                raise OptionError(f"{option} {folder}: is a file, or in one; expected a folder to write to")
            try_writing(nearest)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise OptionError(
                f"{option} {folder}: cannot be written ({reason}); expected a place to write to"
            ) from error


def check_checkpoint(folder: Path | None) -> None:
    """Refuse a folder for a checkpoint that holds anything but one.

    Raises:
        OptionError: it does.
    """
    from models.checkpoint import MANIFEST

    if folder is not None and folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise OptionError(f"--out {folder}: holds something else than a checkpoint; expected a new or empty folder")


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Tell of a folder that cannot be written in one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"{folder}: cannot be written ({reason}); expected a place to write to") from error


def write_figures(console: Console, figures: Mapping[str, Any], path: Path | None) -> None:
    """Write figures as JSON, to a file that the console is told of or to standard output; None: nowhere.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is None:
        return
    text = json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
    if path == STDOUT:
        sys.stdout.write(text)
        return
    replace_file(path, text.encode())
    console.print(f"figures: {path}", soft_wrap=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; what is no file (a pipe, a device) as it is.

    Raises:
        OutputError: it cannot be written.
    """
    target = path.resolve()
    with saving(path):
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        write_whole(target, data)
