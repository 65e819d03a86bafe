"""`posewire purge`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stream.commands.options import OptionError
from stream.config import Node
from stream.config_file import load_config
from stream.console import make_console, plural
from stream.daemon.state_folder import held_state, state_path
from stream.sifting import PurgeError, erase_letters, erase_messages, old_letters, old_messages
from stream.stored import CATEGORIES, Inventory, Stored, inventory

UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
JOURNAL = "journal.db"
_WHOLE = ".corrupt"
"""In the names of journals that are damaged: nobody can tell what in them is old."""


def purge(
    *,
    config: Path | None,
    what: str | None,
    older_than: str | None,
    recordings: Sequence[Path],
    yes: bool,
) -> int:
    """Erase what is stored about people; returns the exit code, 2 if something of it is still there.

    Raises:
        PosewireError: an option is wrong, or a daemon runs: nothing is erased.
    """
    settings = load_config(config)
    wanted = parse_what(what, recordings)
    before = time.time() - parse_age(older_than) if older_than is not None else None
    console, complaints = make_console(), make_console(stderr=True)
    # Until the end: no daemon may start meanwhile. A folder that is not there is not made for it.
    held = held_state(settings.node) if state_path(settings.node).is_dir() else nullcontext()
    with held:
        found = inventory(settings, recordings)
        _tell_missing(complaints, settings.node)
        chosen = _chosen(found, wanted, before)
        _tell_strange(complaints, found)
        left = [path for category, path in found.links if category in wanted]
        for path in left:
            complaints.print(f"left: {path}: is no regular file; not followed", style="red", soft_wrap=True)
        if not chosen:
            console.print(f"nothing to erase{_limit(older_than)}")
            return 2 if left else 0
        console.print(_table(chosen, before))
        total = sum(stored.size for stored in chosen)
        asked = f"erase {plural(len(chosen), 'file')}, {told_size(total)}{_limit(older_than)}, for good?"
        if not yes and not _agreed(console, asked):
            console.print("nothing was erased")
            return 2
        failed = [line for stored in chosen if (line := _erase(stored, before))]
    for line in failed:
        complaints.print(f"posewire: {line}", style="red", soft_wrap=True)
    console.print(f"erased {len(chosen) - len(failed)} of {plural(len(chosen), 'file')}")
    return 2 if failed or left else 0


def list_stored(*, config: Path | None, recordings: Sequence[Path]) -> int:
    """Show what is stored, where and for how long; returns the exit code. A daemon may run."""
    settings = load_config(config)
    found = inventory(settings, recordings)
    table = Table("what", "about people", "files", "size", "oldest", "stays", "holds", box=None)
    for name, category in CATEGORIES.items():
        files = [stored for stored in found.files if stored.category == name]
        oldest = told_age(min(stored.t for stored in files)) if files else "-"
        size = told_size(sum(stored.size for stored in files)) if files else "-"
        people = "yes" if category.people else "no"
        table.add_row(name, people, str(len(files)), size, oldest, category.kept, category.what)
    console = make_console()
    console.print(table)
    folders = sorted({str(stored.path.parent) for stored in found.files})
    for folder in folders:
        console.out(f"in {folder}", highlight=False)
    complaints = make_console(stderr=True)
    _tell_missing(complaints, settings.node)
    _tell_strange(complaints, found)
    return 0


def parse_what(text: str | None, recordings: Sequence[Path]) -> frozenset[str]:
    """Names of categories; all that are about people where nothing is said.

    Raises:
        OptionError: one is unknown, or recordings are meant of which none is named.
    """
    if text is None:
        return frozenset(name for name, category in CATEGORIES.items() if category.people)
    names = [name.strip() for name in text.split(",")]
    if unknown := next((name for name in names if name not in CATEGORIES), None):
        raise OptionError(f"--what: {unknown[:40]!r} is none; expected some of {','.join(CATEGORIES)}")
    if "" in names:
        raise OptionError(f"--what: expected some of {','.join(CATEGORIES)}")
    if "recordings" in names and not recordings:
        raise OptionError("--what recordings: none is named; expected --recording PATH, as they lie where you said")
    return frozenset(names)


def parse_age(text: str) -> float:
    """Seconds of an age such as 90m, 12h or 7d.

    Raises:
        OptionError: it is none.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([mhd])", text, re.ASCII)
    if match is None:
        raise OptionError(f"--older-than: {text[:40]!r} is no age; expected one such as 90m, 12h or 7d")
    return float(match[1]) * UNITS[match[2]]


def told_size(size: int) -> str:
    """A size for people."""
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.0f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"


def told_age(t: float) -> str:
    """How long ago a time was, for people."""
    age = max(0.0, time.time() - t)
    unit, length = next(((unit, UNITS[unit]) for unit in "dh" if age >= UNITS[unit]), ("m", UNITS["m"]))
    return f"{age / length:.0f} {unit}"


def _limit(older_than: str | None) -> str:
    return f" older than {older_than}" if older_than is not None else ""


def _chosen(found: Inventory, wanted: frozenset[str], before: float | None) -> list[Stored]:
    """What is to be erased, whole or in part.

    Raises:
        PurgeError: the journal is damaged.
    """
    files = [stored for stored in found.files if stored.category in wanted]
    return files if before is None else [stored for stored in files if _is_old(stored, before)]


def _is_old(stored: Stored, before: float) -> bool:
    if (count := _old_within(stored, before)) is not None:
        return count > 0
    if stored.category == "journal":  # its other files are part of the first one, or damaged
        return _WHOLE in stored.path.name
    return stored.t < before


def _old_within(stored: Stored, before: float) -> int | None:
    """How many messages of a file are to be erased; None of files that are erased as a whole."""
    if stored.path.name == JOURNAL:
        return old_messages(stored.path, before)
    return old_letters(stored.path, before) if stored.category == "undelivered" else None


def _table(chosen: Sequence[Stored], before: float | None) -> Table:
    table = Table("what", "size", "last written", "file", box=None)
    for stored in chosen:
        count = None if before is None else _old_within(stored, before)
        file = str(stored.path) if count is None else f"{stored.path}, {plural(count, 'message')} of it"
        table.add_row(stored.category, told_size(stored.size), f"{told_age(stored.t)} ago", file)
    return table


def _tell_missing(complaints: Console, node: Node) -> None:
    state = state_path(node)
    if not state.is_dir():
        told = "expected that of the daemon: run this as its user, with its XDG_STATE_HOME and XDG_CACHE_HOME"
        complaints.print(f"{state}: there is no state folder; {told}", style="yellow", soft_wrap=True, markup=False)


def _tell_strange(complaints: Console, found: Inventory) -> None:
    for path in found.strange:
        complaints.print(f"not posewire's, left alone: {path}", style="yellow", soft_wrap=True, markup=False)


def _agreed(console: Console, question: str) -> bool:
    if not sys.stdin.isatty():
        raise OptionError("nobody to ask; expected --yes, or a terminal")
    return console.input(f"{question} [y/N] ", markup=False).strip().lower() in ("y", "yes")


def _erase(stored: Stored, before: float | None) -> str:
    """Erase one file, or what is old in the journal; returns what went wrong."""
    try:
        if before is not None and stored.path.name == JOURNAL:
            erase_messages(stored.path, before)
        elif before is not None and stored.category == "undelivered":
            erase_letters(stored.path, before)
        else:
            stored.path.unlink(missing_ok=True)
    except PurgeError as error:
        return str(error)
    except OSError as error:
        return f"{stored.path}: cannot be erased ({error.strerror}); expected to be allowed to"
    return ""
