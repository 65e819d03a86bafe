"""Files and folders that commands write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stream.commands.options import OptionError
from stream.sinks import OutputError

STDOUT = Path("-")


def check_folders(folders: Mapping[str, Path | None]) -> None:
    """Refuse folders to write to that are files, or whose parents are.

    Raises:
        OptionError: one is.
    """
    for option, folder in folders.items():
        if (
            folder is not None
            and not next(one for one in (folder, *folder.absolute().parents) if one.exists()).is_dir()
        ):
            raise OptionError(f"{option} {folder}: is a file, or in one; expected a folder to write to")


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Tell of a folder that cannot be written in one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"{folder}: cannot be written ({reason}); expected a place to write to") from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    target = path.resolve()
    part = target.with_name(target.name + ".part")
    with saving(path):
        part.write_bytes(data)
        part.replace(target)
