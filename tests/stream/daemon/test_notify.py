"""What the service manager is told, on a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_daemon import Wire, running, write_sources

from stream.daemon.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[socket.socket]:
    """The service manager's socket."""
    address = (
        str(tmp_path_factory.mktemp("n") / "notify") if request.param == "path" else f"\0posewire-test-{os.getpid()}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(10)
        yield receiver


def environment(manager: socket.socket, **more: str) -> dict[str, str]:
    name = manager.getsockname()
    return {"NOTIFY_SOCKET": "@" + name[1:].decode() if isinstance(name, bytes) else name, **more}


def told(manager: socket.socket) -> list[str]:
    """What was sent until now."""
    manager.setblocking(False)
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_every_word_arrives_and_a_status_only_where_it_changed(manager: socket.socket) -> None:
    with Notifier(environment(manager, WATCHDOG_USEC="4000000", WATCHDOG_PID=str(os.getpid()))) as notifier:
        for now in (100.0, 101.9, 102.0):
            notifier.alive(now)
        notifier.ready()
        for text in ("2 of 2", "2 of 2", "1 of 2\nREADY=1"):
            notifier.status(text)
        notifier.stopping()
    assert told(manager) == [
        "WATCHDOG=1", "WATCHDOG=1", "READY=1", "STATUS=2 of 2", "STATUS=1 of 2 READY=1", "STOPPING=1",
    ]  # fmt: skip


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}])
def test_no_watchdog_is_fed_that_is_not_ours(manager: socket.socket, watchdog: dict[str, str]) -> None:
    with Notifier(environment(manager, **watchdog)) as notifier:
        notifier.alive(1.0)
    assert told(manager) == []


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", str(tmp_path / "none")):
        with Notifier({"NOTIFY_SOCKET": name}) as notifier:
            notifier.ready()
    assert [record.getMessage() for record in caplog.records] == [
        "READY could not be told to the service manager (No such file or directory)"
    ]


def test_a_daemon_tells_its_manager_that_it_is_up_how_it_goes_and_that_it_stops(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("n")
    config = write_sources(folder, *(f'kind = "synthetic"\nname = "{name}"\nfps = 10' for name in ("one", "two")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        with Wire(folder) as wire, running(config, **environment(manager, WATCHDOG_USEC="1000000")) as process:
            seen: list[str] = []

            def up() -> bool:
                seen.extend(told(manager))
                return "STATUS=2 of 2 sources running" in seen and "READY=1" in seen

            wire.until(up)
            process.terminate()
            assert process.wait(20) == 0
        seen += told(manager)
    assert seen.count("READY=1") == seen.count("STOPPING=1") == 1
    assert seen.index("READY=1") < seen.index("STOPPING=1")
    assert "WATCHDOG=1" in seen
