"""The daemon's folders: the one that makes it the only daemon of its name, and the one of its sockets.

What is done for Windows here follows the documentation of Python's `msvcrt`; the daemon was never run there.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import zmq

from stream.config import Node
from stream.errors import PosewireError

SOCKET_PATH_LIMIT = 100
"""Longest path of an ipc socket that the kernel takes is 107 bytes."""
PREFIX = "posewire-"
"""Of the names of socket folders."""
OTHERS_WRITE = 0o022
LOCKED_BYTE = 1 << 20
"""Which byte Windows locks: nobody could read one that holds something."""


class StateError(PosewireError):
    """The state folder cannot be used, or another daemon uses it."""


def state_path(node: Node) -> Path:
    """The state folder of a node: what is configured, or posewire/NAME of $XDG_STATE_HOME or ~/.local/state.

    Raises:
        StateError: nothing is configured, and there is no home folder.
    """
    if node.state:
        return Path(node.state)
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():  # to be ignored, says the XDG base directory specification
        try:
            base = Path.home() / ".local" / "state"
        except RuntimeError:
            raise StateError("no home folder to keep the state in; expected node.state or XDG_STATE_HOME") from None
    # A name may be dots only.
    return base / "posewire" / (node.name if node.name.strip(".") else node.name.replace(".", "_"))


@contextmanager
def held_state(node: Node) -> Iterator[Path]:
    """The state folder of a node, made if need be and locked: the kernel gives it free however this process ends.

    Raises:
        StateError: another process holds it, it cannot be made, or others may write into it.
    """
    folder = state_path(node)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = folder.stat()
        if os.name == "posix" and (stat.st_uid != os.geteuid() or stat.st_mode & OTHERS_WRITE):
            raise StateError(f"{folder}: others may write into this state folder; expected one of your own, mode 700")
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise StateError(
            f"{folder}: no state can be kept there ({error.strerror}); expected a writable folder as node.state"
        ) from None
    with lock:  # children do not inherit it
        try:
            _lock(lock)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read(20).strip() or "unknown"
            raise StateError(
                f"{folder}: in use by another posewire daemon (process {owner}); expected it to be stopped, or a "
                "node.name or node.state of its own for each daemon"
            ) from None
        except OSError as error:
            raise StateError(
                f"{folder}: cannot be locked ({error.strerror}); expected a file system with locks as node.state"
            ) from None
        lock.truncate(0)
        with suppress(OSError):  # a full disk: the lock holds without a name on it
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())
        yield folder


def _lock(file: TextIO) -> None:
    """Lock a file for as long as it is open.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: it cannot be locked.
    """
    try:
        fcntl = importlib.import_module("fcntl")
    except ModuleNotFoundError:  # Windows
        msvcrt = importlib.import_module("msvcrt")
        file.seek(LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from None
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def socket_folder(state: Path | None = None) -> Iterator[Path]:
    """A private folder for the daemon's own sockets, removed at the end.

    It lies where paths are short, since those of sockets must be. The `state` folder holds a link to it, by which the
    next daemon removes what one that was killed has left.

    Raises:
        StateError: there is no place for it, or nothing to do with it.
    """
    if not zmq.has("ipc"):
        raise StateError("this ZeroMQ has no sockets in files; expected libzmq with the ipc transport")
    link = state / "sockets" if state else None
    if link:
        _remove_left(link)
    folder = _new_folder()
    try:
        if link:
            with suppress(OSError):  # Windows lets few make links; only the next daemon's cleaning needs this one
                link.symlink_to(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if link:
            link.unlink(missing_ok=True)


def _new_folder() -> Path:
    # tempfile.gettempdir() would raise where there is no room in any folder that it knows.
    for base in (os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR"), "/tmp", "/var/tmp"):
        if not base or len(os.fsencode(base)) > SOCKET_PATH_LIMIT - 40:
            continue
        try:
            return Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        except OSError:
            continue  # the next one may do
    raise StateError("no folder for sockets: expected XDG_RUNTIME_DIR or TMPDIR to be short and writable")


def _remove_left(link: Path) -> None:
    if link.is_symlink():
        left = link.readlink()
        if left.name.startswith(PREFIX) and left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        link.unlink(missing_ok=True)
