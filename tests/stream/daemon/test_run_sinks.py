"""`posewire run` with sinks: behind its own door, one dead beside one that lives, killed, stopped, started again."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running_daemon import POSEWIRE, ROOT, children_of, running

sys.path.append(str(ROOT / "tests" / "stream" / "relay"))
from relay_bench import WebServer, free_port

CONFIG = """
[node]
name = "n"
[background]
bank = false
[events]
enter = 0.0
exit = 0.0
margin = -2.0
update_s = 0.2
[capture]
fault_after_s = 1.0
[publish]
events = "tcp://127.0.0.1:{events}"
query = "tcp://127.0.0.1:{query}"
heartbeat_s = 0.2
[security]
curve = true
[[prompts]]
name = "kick"
text = "a person kicks"
severity = "alert"
[[sources]]
kind = "synthetic"
name = "cam"
fps = 15.0
people = 2
[[sinks]]
kind = "webhook"
name = "desk"
url = "http://127.0.0.1:{web}/"
secret_env = "DESK_SECRET"
phases = ["start", "update", "end"]
[[sinks]]
kind = "mqtt"
name = "dead"
host = "127.0.0.1"
port = {dead}
"""
SECRET = "whsec_" + base64.b64encode(b"canary-" * 5).decode()


def sink_processes(pid: int) -> list[int]:
    found = []
    for child in children_of(pid):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if len(words) > 3 and words[3] == b"sink":
            found.append(child)
    return found


def until(wanted: Callable[[], object], log: Path, seconds: float = 100.0) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("r")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_daemon_with_a_sink_that_lives_and_one_that_is_dead(folder: Path) -> None:
    log, config = folder / "daemon.log", folder / "test.toml"
    with WebServer(folder) as server:
        config.write_text(CONFIG.format(events=free_port(), query=free_port(), web=server.port, dead=free_port()))

        def bodies(name: str = "") -> list[dict]:
            told = [json.loads(request["body"]) for request in server.accepted()]
            return [body for body in told if body["data"]["name"] == name or not name]

        with running(config, DESK_SECRET=SECRET) as process:
            until(lambda: len(bodies("kick")) >= 5, log)
            until(lambda: bodies("sink-failed"), log)  # the one that lives tells of the one that is dead
            (failed,) = bodies("sink-failed")
            assert (failed["source"], failed["data"]["kind"], failed["data"]["phase"]) == (
                "sink.dead",
                "fault",
                "start",
            )
            assert "Connection refused" in failed["data"]["prompt"]
            for sink in sink_processes(process.pid):
                os.kill(sink, signal.SIGKILL)
            count = len(bodies())
            until(lambda: len(bodies()) >= count + 5, log)
            process.terminate()
            assert process.wait(30) == 0
        with running(config, DESK_SECRET=SECRET) as process:  # what it said last, and no broker took, it says now
            epoch = bodies()[-1]["epoch"]
            until(lambda: [body for body in bodies("kick") if body["epoch"] != epoch], log)
            process.terminate()
            assert process.wait(30) == 0
        for epoch in {body["epoch"] for body in bodies()}:
            seqs = list(dict.fromkeys(body["seq"] for body in bodies() if body["epoch"] == epoch))
            assert seqs == list(range(1, len(seqs) + 1)), "all alarms of each epoch, in order"
        opened = [body["data"]["id"] for body in bodies("kick") if body["data"]["phase"] == "start"]
        ended = {body["data"]["id"] for body in bodies("kick") if body["data"]["phase"] == "end"}
        first_run = [body["data"]["id"] for body in bodies("kick") if body["epoch"] == bodies()[0]["epoch"]]
        assert opened
        assert {event for event in first_run if event in opened} <= ended
    assert SECRET.removeprefix("whsec_") not in log.read_text()
    (cursor,) = folder.glob("state/**/sinks/desk.cursor")
    assert cursor.stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob("state/**/*.dead.ndjson"))
    (key,) = folder.glob("state/**/posewire-sinks.key")
    assert key.stat().st_mode & 0o777 == 0o600


def test_what_a_sink_lacks_is_told_at_the_start(folder: Path) -> None:
    config = folder / "test.toml"
    config.write_text(CONFIG.format(events=1, query=2, web=3, dead=4))
    environment = {name: value for name, value in os.environ.items() if name != "DESK_SECRET"}
    done = subprocess.run(
        [*POSEWIRE, "run", "--config", str(config)], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        f"posewire: {config}: sinks[0] (desk): environment variable DESK_SECRET is not set; "
        "expected the key of the signatures"
    ]
