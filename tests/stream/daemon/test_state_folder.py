"""One daemon for each state folder, whatever became of the last one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import zmq

from stream.config import Node
from stream.daemon.state_folder import StateError, held_state, socket_folder, state_path

HOLDER = """
import sys, time
from stream.config import Node
from stream.daemon.state_folder import held_state, socket_folder
with held_state(Node(state=sys.argv[1])) as state, socket_folder(state) as sockets:
    print(sockets, flush=True)
    time.sleep(60)
"""


def test_the_folder_is_where_such_things_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "x"))
    assert state_path(Node(name="hall")) == tmp_path / "x" / "posewire" / "hall"
    assert state_path(Node(name="..")) == tmp_path / "x" / "posewire" / "__"
    assert state_path(Node(name="hall", state=str(tmp_path / "own"))) == tmp_path / "own"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_path(Node()) == tmp_path / ".local" / "state" / "posewire" / "posewire"


def test_it_is_private_and_free_again_afterwards(tmp_path: Path) -> None:
    node = Node(state=str(tmp_path / "a" / "b"))
    for _ in range(2):
        with held_state(node) as folder, socket_folder(folder) as sockets:
            assert folder.stat().st_mode & 0o777 == 0o700
            assert sockets.stat().st_mode & 0o777 == 0o700
            assert (folder / "sockets").readlink() == sockets
            assert (folder / "lock").read_text() == f"{os.getpid()}\n"
        assert not sockets.exists()
        assert [path.name for path in folder.iterdir()] == ["lock"]


def test_a_second_daemon_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    node = Node(state=str(tmp_path / "state"))
    with subprocess.Popen([sys.executable, "-c", HOLDER, node.state], stdout=subprocess.PIPE, text=True) as process:
        sockets = Path((process.stdout or sys.stdin).readline().strip())
        assert sockets.is_dir()
        with pytest.raises(StateError, match=rf"in use by another posewire daemon \(process {process.pid}\)"):
            held_state(node).__enter__()
        process.kill()
        process.wait()
        assert sockets.is_dir()
        with held_state(node) as folder, socket_folder(folder):
            assert not sockets.exists()


def test_only_a_socket_folder_is_removed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (tmp_path / "sockets").symlink_to(precious)
    with socket_folder(tmp_path):
        assert precious.is_dir()


def test_a_folder_that_cannot_be_trusted_or_used_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with (
        pytest.raises(StateError, match="others may write into this state folder"),
        held_state(Node(state=f"{tmp_path}")),
    ):
        pytest.fail("held")
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="no state can be kept there"), held_state(Node(state=f"{tmp_path}/file")):
        pytest.fail("held")


def test_where_files_are_locked_as_on_windows_a_second_daemon_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def locking(number: int, mode: int, count: int) -> None:
        places.append((os.lseek(number, 0, os.SEEK_CUR), mode, count))
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    windows = types.ModuleType("msvcrt")
    windows.locking, windows.LK_NBLCK = locking, 2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    node = Node(state=str(tmp_path / "state"))
    for _ in range(2):
        with held_state(node) as folder:
            assert (folder / "lock").read_text() == f"{os.getpid()}\n"
            with pytest.raises(StateError, match=rf"in use by another posewire daemon \(process {os.getpid()}\)"):
                held_state(node).__enter__()
    assert places == [(1 << 20, 2, 1)] * 4  # beyond all that is read


def test_a_system_without_links_or_sockets_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", refuse)
        with socket_folder(tmp_path) as sockets:
            assert sockets.is_dir()
        assert not sockets.exists()
    monkeypatch.setattr(zmq, "has", lambda _: False)
    with pytest.raises(StateError, match="expected libzmq with the ipc transport"):
        socket_folder(tmp_path).__enter__()


def test_a_full_disk_does_not_keep_a_daemon_from_starting(tmp_path: Path) -> None:
    """No file may grow by a byte: the lock holds all the same, and the next daemon is refused."""
    script = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n" + HOLDER
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline()
            with (
                pytest.raises(StateError, match="in use by another posewire daemon"),
                held_state(Node(state=str(tmp_path))),
            ):
                pytest.fail("two hold it")
        finally:
            holder.kill()
