"""What the bench hears of a daemon: heartbeats, and of the rest no more than that there is some."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from stream.bench.daemon import Daemon
from stream.bench.plan import BenchError
from stream.publisher import Publisher


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_all_is_heard_until_the_first_message_and_heartbeats_alone_are_read(
    tmp_path_factory: pytest.TempPathFactory, process: subprocess.Popen[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("d")
    beat = Publisher("bench").heartbeat()
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 0)
        publisher.bind(f"ipc://{folder}/e")
        topics: set[bytes] = set()
        done = threading.Event()

        def publish() -> None:
            while not done.is_set():
                while publisher.poll(10):
                    word = publisher.recv()
                    (topics.add if word[0] else topics.discard)(word[1:])
                for _ in range(3):
                    publisher.send_multipart([b"score/cam/1/", b"not read"])
                if b"" not in topics:
                    publisher.send_multipart([b"action/cam/kick/", b"not read either"])
                    publisher.send_multipart(beat.frames())

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            with Daemon(process, folder, 1) as daemon:
                for heard in daemon.listen(30):
                    assert heard == daemon.heartbeat
                    break
                assert daemon.first_message is not None
                assert daemon.first_decided is None
                assert topics == {b"heartbeat/", b"alarm/", b"action/", b"anomaly/", b"status/"}
        finally:
            done.set()
            thread.join()


def test_a_daemon_that_ended_is_no_daemon(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    (tmp_path / "daemon.log").write_text("why\n")
    process.kill()
    process.wait()
    with Daemon(process, tmp_path, 1) as daemon, pytest.raises(BenchError, match="ended by itself: why"):
        next(daemon.listen(5))
