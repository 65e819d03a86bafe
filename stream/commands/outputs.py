"""Files and folders that commands write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.whole_file import write_whole
from stream.commands.options import OptionError, try_writing
from stream.sinks import OutputError

STDOUT = Path("-")


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
