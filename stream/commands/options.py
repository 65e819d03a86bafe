"""What commands check of their options before they start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

from stream.errors import PosewireError, SourceError
from stream.sources.files import expand


class OptionError(PosewireError):
    """A command-line option is wrong."""


def check_targets(targets: Mapping[str, Path], inputs: Sequence[str] = ()) -> None:
    """Refuse to write where nothing can be written or something would be lost.

    Args:
        targets: the file that each option names.
        inputs: files, folders and globs that are read.

    Raises:
        OptionError: a target is a folder, in no folder or one that cannot be written to, or the same file as an input
            or another target.
    """
    files = _existing(inputs)
    named: dict[str, Path] = {}
    for option, path in targets.items():
        try:
            _check(f"{option} {path}", path, files, named)
        except (OSError, ValueError, RuntimeError) as error:  # a name that is too long, with a NUL, a loop of links
            raise OptionError(f"{option} {str(path)[:80]!r}: cannot be written ({error})"[:300]) from error
        named[option] = path


def _check(what: str, path: Path, files: Sequence[Path], named: Mapping[str, Path]) -> None:
    if path.is_dir():
        raise OptionError(f"{what}: cannot be written, is a folder; expected the name of a file")
    if not path.resolve().parent.is_dir():
        raise OptionError(f"{what}: cannot be written, its folder does not exist; expected one that does")
    if path.is_file() or not path.exists():
        try:
            try_writing(path.resolve().parent)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise OptionError(f"{what}: cannot be written ({reason}); expected a place to write to") from error
    part = path.resolve().with_name(path.resolve().name + ".part")  # what it is called until it is whole
    for file in files:
        if _same(path, file) or _same(part, file):
            raise OptionError(f"{what}: would overwrite an input, {file}; expected another file")
    for option, other in named.items():
        if _same(path, other):
            raise OptionError(f"{what}: is the file of {option} too; expected another file")


def try_writing(folder: Path) -> None:
    """Write a file to a folder that leaves nothing behind: permissions alone do not tell whether that works.

    Raises:
        OSError: it does not.
    """
    with TemporaryFile(dir=folder):
        return


def _existing(inputs: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for path in inputs:
        try:
            files += expand([path])
        except SourceError:
            continue  # there is nothing that could be lost; who reads it will say so
    return files


def _same(one: Path, other: Path) -> bool:
    """Whether two names stand for the same regular file, now or once it is made; devices cannot be overwritten."""
    if one.exists() and other.exists():
        return one.samefile(other) and one.is_file()
    return one.resolve() == other.resolve()
