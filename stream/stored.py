"""What posewire keeps on the disk: which files, what of, and whether they tell of people.

A file is posewire's only if its name says so and, where people choose folders, its first bytes too; everything else
that lies there is somebody's own. Links are never followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.whole_file import PART
from stream.config import Config
from stream.daemon.state_folder import state_path
from stream.errors import PosewireError

MARK_BYTES = 4096
"""Of a file's beginning in which its mark must stand."""


class StoredError(PosewireError):
    """What is stored cannot be found out."""


@dataclass(frozen=True, slots=True)
class Category:
    """One sort of what is stored.

    Attributes:
        name: by which `posewire purge --what` knows it.
        people: whether it tells of people who were seen.
        what: it holds, for people to read.
        kept: for how long it stays by itself.
    """

    name: str
    people: bool
    what: str
    kept: str


CATEGORIES = {
    category.name: category
    for category in (
        Category(
            "journal",
            True,
            "alarms, other events, states of sources",
            "journal.keep_days, journal.keep_events; .corrupt until erased or replaced",
        ),
        Category("undelivered", True, "events that the receiver of a sink refused", "until erased"),
        Category("regressions", True, "joints around false alarms, with notes", "until erased"),
        Category("examples", True, "taught actions, as the model sees them", "until erased, or teach --forget"),
        Category("prototypes", True, "windows that a prompt is learnt from, as the model sees them", "until replaced"),
        Category("normal", True, "what is normal here: means of what the model sees", "until learnt anew"),
        Category("recordings", True, "joints, by posewire record", "until erased"),
        Category("prompts", False, "prompts changed while the daemon ran", "until changed"),
        Category("cursors", False, "up to which number each sink is done", "until the sink has another name"),
        Category("keys", False, "keys of the daemon and of its clients", "until revoked"),
        Category("texts", False, "vectors of texts, shared by this account's daemons", "until erased"),
    )
}


@dataclass(frozen=True, slots=True)
class Stored:
    """One file that posewire made.

    Attributes:
        category: a key of `CATEGORIES`.
        path: of the file.
        size: in bytes.
        t: when it was last written, s since 1970.
    """

    category: str
    path: Path
    size: int
    t: float


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found.

    Attributes:
        files: posewire's, in the order in which they may be erased: an end half-way leaves nothing that breaks a start.
        links: categories and paths of what has the name of such a file, but is a link or a folder.
        strange: what else lies in posewire's folders.
    """

    files: tuple[Stored, ...]
    links: tuple[tuple[str, Path], ...]
    strange: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Files of a category: the pattern of their whole names, and what stands near their beginning."""

    category: str
    names: str
    mark: bytes = b""


SOCKETS = "sockets"
"""Name of a link to a folder elsewhere, which is the daemon's own."""
_OWN = ""
"""Category of what is posewire's and nothing that is stored: locks, folders."""
_NAME = r"[A-Za-z0-9_.-]{1,64}"
_STATE = (
    _Rule("journal", r"journal\.db(\.corrupt)?(-wal|-shm)?"),
    _Rule("prompts", r"prompts\.(json|broken|unused)"),
    _Rule("normal", r"normal\.safetensors", b"posewire normal "),
    _Rule(_OWN, rf"lock|{SOCKETS}|keys|sinks"),
)
_SINKS = (
    _Rule("cursors", rf"{_NAME}\.cursor(\.corrupt)?"),
    _Rule("undelivered", rf"{_NAME}\.(dead|first)(\.[a-z]+)?(\.1)?"),
)
_EXAMPLES = _Rule("examples", rf"{_NAME}\.safetensors", b"posewire examples ")
_REGRESSIONS = (
    _Rule("regressions", rf"{_NAME}\.json", b"posewire regression clip "),
    _Rule("regressions", rf"{_NAME}\.pwr", b"\x89PWR\r\n\x1a\n"),
)
_RECORDING = b"\x89PWR\r\n\x1a\n"


def cache_folder() -> Path:
    """Where vectors of new texts are kept: `$XDG_CACHE_HOME/posewire` or `~/.cache/posewire`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "posewire"


def inventory(config: Config, recordings: Sequence[Path] = ()) -> Inventory:
    """Find what is stored.

    Args:
        config: of the daemon.
        recordings: files and folders of recordings, which lie where whoever made them said.

    Raises:
        StateError: there is no state folder.
        StoredError: a folder cannot be read, or a recording is none.
    """
    shelves = _Shelves()
    state = state_path(config.node)
    keys = Path(config.security.keys) if config.security.keys else state / "keys"
    shelves.put(state, *_STATE)
    shelves.put(state / "sinks", *_SINKS)
    for file, mark, category in (
        (config.prototypes.path, b"posewire prototypes ", "prototypes"),
        (config.anomaly.normal, b"posewire normal ", "normal"),
    ):
        if file:
            shelves.put(Path(file).parent, _Rule(category, re.escape(Path(file).name), mark), shared=True)
    if config.regressions.path:
        shelves.put(Path(config.regressions.path), *_REGRESSIONS)
    if config.examples.path:
        shelves.put(Path(config.examples.path), _EXAMPLES)
    for path in recordings:
        _look(path)
        if path.is_dir():
            shelves.put(path, _Rule("recordings", r".*\.pwr", _RECORDING), shared=True)
        else:
            shelves.put(path.parent, _Rule("recordings", re.escape(path.name), _RECORDING), shared=True)
    shelves.put(keys, _Rule("keys", r"server\.(key|pub)"), _Rule(_OWN, "allowed|issued"))
    shelves.put(keys / "allowed", _Rule("keys", rf"{_NAME}\.pub"))
    shelves.put(keys / "issued", _Rule("keys", rf"{_NAME}\.key"))
    shelves.put(cache_folder() / "text", _Rule("texts", r"[0-9a-f]{64}\.f32"))
    return shelves.sorted()


def _look(path: Path) -> None:
    if not path.is_symlink() and not path.is_dir() and not _has(path, _RECORDING):
        raise StoredError(f"{path}: is no recording; expected a file that `posewire record` made, or a folder of some")


class _Shelves:
    """Folders and what posewire puts there; several sections of a configuration may name the same one."""

    def __init__(self) -> None:
        self._rules: dict[Path, list[_Rule]] = {}
        self._own: set[Path] = set()

    def put(self, folder: Path, *rules: _Rule, shared: bool = False) -> None:
        """Add a folder's rules; in a shared one all else is nobody's business."""
        self._rules.setdefault(folder, []).extend(rules)
        if not shared:
            self._own.add(folder)

    def sorted(self) -> Inventory:
        """Look through all folders."""
        files: list[Stored] = []
        links: list[tuple[str, Path]] = []
        strange: list[Path] = []
        for folder, rules in self._rules.items():
            if folder.is_symlink() and folder.parent in self._own:
                continue  # posewire made a folder there: this link is a stranger in the one above
            for path in _entries(folder):
                found = _sort(path, rules)
                if isinstance(found, Stored):
                    files.append(found)
                elif found:
                    links.append((found, path))
                elif found is None and folder in self._own:
                    strange.append(path)
        return Inventory(tuple(files), tuple(links), tuple(strange))


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StoredError(f"{folder}: cannot be read ({error.strerror}); expected a folder of your own") from None


def _sort(path: Path, rules: Sequence[_Rule]) -> Stored | str | None:
    """A file of posewire's; the category of what only has its name, empty if that is nothing; None for strangers."""
    part = PART.fullmatch(path.name)
    name = part["name"] if part else path.name
    rule = next((one for one in rules if re.fullmatch(one.names, name)), None)
    if rule is None and part and len(name) == 40:  # whose end was cut off
        rule = next((one for one in rules if one.category != _OWN), None)
    if rule is None:
        return None
    if rule.category == _OWN:
        return None if path.is_symlink() and name != SOCKETS else _OWN
    try:
        status = path.lstat()
    except FileNotFoundError:
        return _OWN
    if not stat.S_ISREG(status.st_mode):
        return rule.category
    if rule.mark and not part and not _has(path, rule.mark):
        return None
    return Stored(rule.category, path, status.st_size, status.st_mtime)


def _has(path: Path, mark: bytes) -> bool:
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW)) as file:
            return mark in file.read(MARK_BYTES)
    except OSError as error:
        raise StoredError(f"{path}: cannot be read ({error.strerror}); expected a file of your own") from None
