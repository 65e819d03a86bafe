from __future__ import annotations

import socket
from pathlib import Path

import pytest
import zmq

from stream.endpoints import EndpointError, check_bind, clear_stale, socket_file, unlink_own
from stream.transport import bind, connect


@pytest.mark.parametrize(
    ("endpoint", "bound"),
    [
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5556"),
        ("tcp://127.1.2.3:*", "tcp://127.1.2.3:*"),
        ("tcp://localhost:0", "tcp://127.0.0.1:0"),
        ("tcp://[::1]:5556", "tcp://[::1]:5556"),
        ("ipc:///run/posewire/events", "ipc:///run/posewire/events"),
        ("ipc://events.sock", "ipc://events.sock"),
    ],
)
def test_loopback_and_paths(endpoint: str, bound: str):
    assert check_bind(endpoint) == bound


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "5556",
        "tcp://*:5556",
        "tcp://0.0.0.0:5556",
        "tcp://192.168.1.5:5556",
        "tcp://[::]:5556",
        "tcp://eth0:5556",
        "tcp://lo:5556",
        "tcp://example.org:5556",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:5556;tcp://*:1",
        "tcp://127.1:5556",
        "tcp://::1:5556",
        "tcp://[127.0.0.1]:5",
        "tcp://:5556",
        "udp://127.0.0.1:5556",
        "inproc://x",
        "ipc://",
        "ipc://*",
        "ipc://@posewire",
        "ipc:///" + "x" * 107,
        "tcp://[::ffff:10.0.0.1]:5556",
        "tcp://127.0.0.1:5556\n",
    ],
)
def test_everything_else_is_refused_in_one_line(endpoint: str):
    with pytest.raises(EndpointError) as error:
        check_bind(endpoint)
    assert str(error.value).count("\n") <= endpoint.count("\n")


@pytest.fixture
def pair():
    with zmq.Context() as context, context.socket(zmq.PUB) as one, context.socket(zmq.PUB) as two:
        one.linger = two.linger = 0
        yield one, two


def test_tcp_address_in_use(pair):
    endpoint = bind(pair[0], "tcp://127.0.0.1:*", "publish.events")
    with pytest.raises(
        EndpointError, match=rf'^publish.query = "{endpoint}": address already in use.*another posewire'
    ):
        bind(pair[1], endpoint, "publish.query")


def test_ipc_address_in_use_is_not_taken_over(pair, tmp_path: Path):
    endpoint = f"ipc://{tmp_path}/events"
    bind(pair[0], endpoint, "publish.events")
    with pytest.raises(EndpointError, match=rf'^publish.events = "{endpoint}": address already in use'):
        bind(pair[1], endpoint, "publish.events")
    assert (tmp_path / "events").exists()


def test_socket_file_of_a_dead_process_is_replaced(pair, tmp_path: Path):
    path = tmp_path / "events"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    bind(pair[0], f"ipc://{path}", "publish.events")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_other_files_are_left_alone(pair, tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(EndpointError, match="no socket"):
        bind(pair[0], f"ipc://{path}", "publish.events")
    assert path.read_text() == "mine"


def test_folder_that_does_not_exist(pair, tmp_path: Path):
    with pytest.raises(EndpointError, match=r"publish.events = .*No such file"):
        bind(pair[0], f"ipc://{tmp_path}/missing/events", "publish.events")


def test_unlink_own_leaves_the_file_of_a_successor(tmp_path: Path):
    path = tmp_path / "events"
    path.touch()
    own = socket_file(f"ipc://{path}")
    assert own is not None
    (tmp_path / "new").touch()
    (tmp_path / "new").rename(path)
    unlink_own(*own)
    assert path.exists()
    path.unlink()
    unlink_own(*own)
    assert socket_file("tcp://127.0.0.1:1") is None


def test_clear_stale_of_nothing(tmp_path: Path):
    clear_stale(tmp_path / "nothing")


def test_connect_to_nonsense(pair):
    with pytest.raises(EndpointError, match="cannot connect to 'nonsense'"):
        connect(pair[0], "nonsense")
