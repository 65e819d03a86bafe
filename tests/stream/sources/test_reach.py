"""Why a camera cannot be opened, told by real sockets, devices that are not there, and a real server's refusal."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from camera_server import CameraServer, StrictRtsp

from stream.secrets import with_credentials
from stream.sources.reach import fault_of

SECRET = "kanarie/@:#"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port whose queue of connections is full, so that nobody answers a new one."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = int(server.getsockname()[1])
        waiting = []
        try:
            for _ in range(8):
                one = socket.socket()
                waiting.append(one)
                one.settimeout(0.2)
                one.connect(("127.0.0.1", port))
            pytest.skip("this system takes any number of connections")
        except TimeoutError:
            yield port
        finally:
            for one in waiting:
                one.close()


def told(url: str) -> str:
    said = fault_of(with_credentials(url, "me", SECRET), answer_s=0.5)
    assert "kanarie" not in said
    assert "me:" not in said
    return said


def test_a_port_where_nobody_listens_refuses() -> None:
    port = closed_port()
    assert told(f"rtsp://127.0.0.1:{port}/stream") == f"127.0.0.1:{port} refuses the connection"


def test_an_address_that_does_not_answer(deaf: int) -> None:
    assert told(f"http://127.0.0.1:{deaf}/stream") == f"127.0.0.1:{deaf} does not answer"


@pytest.mark.parametrize("host", ["camera.invalid", "a..b", "a" * 70 + ".invalid"])
def test_a_name_that_nobody_knows(host: str) -> None:
    assert told(f"rtsp://{host}/stream") == f"the name {host} cannot be looked up"


def test_a_server_that_gives_no_video() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        expected = f"127.0.0.1:{port} answers, but no video could be read: wrong path, user or password?"
        assert told(f"rtsp://127.0.0.1:{port}/stream") == expected


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_address_of_version_6_stands_in_brackets() -> None:
    assert told("rtsp://[::1]:1/stream").startswith("[::1]:1 ")


@pytest.mark.skipif(sys.platform != "linux", reason="webcams are files there alone")
def test_a_webcam_that_is_not_there_and_one_that_may_not_be_used(tmp_path: Path) -> None:
    assert fault_of(3, folder=tmp_path) == f"there is no {tmp_path}/video3"
    device = tmp_path / "video3"
    device.touch(mode=0o600)
    assert fault_of(3, folder=tmp_path).startswith(f"{device} is there, but gives no images")


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_camera_that_wants_another_password_is_told_from_one_that_is_away(scheme: str) -> None:
    pytest.importorskip("cv2", reason="OpenCV cannot be imported", exc_type=ImportError)
    from stream.errors import SourceError
    from stream.sources.live_images import LiveImages

    strict, rtsp = CameraServer(user="me", password="other"), StrictRtsp()
    with strict:
        url = strict.url if scheme == "http" else rtsp.url
        feed = LiveImages(url, lambda: with_credentials(url, "me", SECRET))
        with pytest.raises(SourceError) as caught:
            feed.open()
        feed.close()
    rtsp.close()
    place = url.split("/")[2]
    assert str(caught.value) == (
        f"{url}: cannot be opened: {place} answers, but no video could be read: wrong path, user or password?; "
        "expected a camera that can be reached"
    )
