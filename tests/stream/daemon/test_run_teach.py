"""A running daemon takes up what is taught, forgets what is forgotten, and gives examples of its events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import running_daemon
import zmq
from small_model import make_model, record, write_config

from models.examples import load
from stream.commands.teach import forget_action, teach_action

ROOT = Path(__file__).parents[3]
POSEWIRE = [sys.executable, "-m", "stream.cli"]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a clip of waving, and a configuration that plays waving and standing over and over."""
    folder = tmp_path_factory.mktemp("d")  # short enough for unix sockets
    make_model(folder / "model")
    record(folder / "clip.pwr", ("wave", 2.5), seed=1)
    record(folder / "scene.pwr", ("stand", 4.0), ("wave", 4.0), seed=2)
    write_config(folder, "[[sources]]", 'kind = "file"\nname = "cam"\npath = "scene.pwr"\nspeed = 4\nloop = true')
    return folder


@contextmanager
def daemon(place: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*POSEWIRE, "run", "--config", str(place / "test.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(place)},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def teach(place: Path, name: str, *clips: str, events: Sequence[str] = (), severity: str = "info") -> None:
    """As the command does, without starting torch in another process."""
    config = place / "test.toml"
    teach_action(name, clips, events=events, text=None, severity=severity, force=False, query=None, config=config)


class Client(running_daemon.Client):
    """Hears the scores too."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, (b"alarm/", b"action/", b"status/"))
        self.scores = self.context.socket(zmq.SUB)
        self.scores.setsockopt(zmq.SUBSCRIBE, b"score/")
        self.scores.connect(f"ipc://{place}/s")

    def score(self, digest: str) -> dict:
        while self.scores.poll(20_000):
            data = json.loads(self.scores.recv_multipart()[1])["data"]
            if data["prompts_digest"] == digest:
                return data
        raise AssertionError(f"no score of the prompts {digest}")


def is_start(message: dict) -> bool:
    return message["type"] == "event" and message["data"]["phase"] == "start"


def test_actions_are_taught_and_forgotten_while_the_daemon_runs(place: Path) -> None:
    with Client(place) as client, daemon(place) as process:
        client.runs()
        before = client.ask(type="snapshot")
        assert [prompt["name"] for prompt in before["prompts"]] == ["kick"]

        (place / "examples").mkdir()
        (place / "examples" / "bad.safetensors").write_bytes(b"bad")
        teach(place, "my_wave", str(place / "clip.pwr"), severity="critical")
        start = client.event("start", "my_wave")
        assert (start["severity"], start["prompt"]) == ("critical", "my wave")
        after = client.ask(type="snapshot")
        assert after["epoch"] == before["epoch"]
        assert after["prompts_digest"] != before["prompts_digest"]
        assert after["prompts"][1] == {"name": "my_wave", "prompt": "my wave", "severity": "critical"}

        score = client.score(after["prompts_digest"])
        assert score["prompts"] == ["kick", "my_wave"]
        assert len(score["probability"]) == 2

        # Its example can be asked for from the moment it is told, by anybody ...
        reply = client.ask(type="example", event=start["id"])
        assert (reply["type"], reply["source"], reply["name"]) == ("example", "cam.scene", "my_wave")
        assert np.linalg.norm(reply["embedding"]) == pytest.approx(1.0, abs=1e-4)
        # ... and is the same action taught anew.
        end = client.event("end", "my_wave")
        best = client.ask(type="example", event=end["id"])
        assert best["score"] == end["peak"]
        teach(place, "again", events=[end["id"], start["id"]])
        stored = load(place / "examples" / "again.safetensors")
        np.testing.assert_allclose(stored.embeddings[0], best["embedding"], atol=1e-5)
        assert stored.model == best["model"] == load(place / "examples" / "my_wave.safetensors").model
        client.event("start", "again")

        for name in ("again", "my_wave"):
            forget_action(name, place / "test.toml")
        deadline = time.monotonic() + 30
        while (now := client.ask(type="snapshot"))["prompts_digest"] != before["prompts_digest"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert now["prompts"] == before["prompts"]
        assert now["open"] == []
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0
    assert output.count("bad.safetensors: not a safetensors file") == 1
    assert "watching for: kick, my_wave" in output
    assert "Traceback" not in output
    assert "not published" not in output


def test_what_was_taught_before_is_there_from_the_start_also_for_a_new_worker(place: Path) -> None:
    teach(place, "my_wave", str(place / "clip.pwr"))
    with Client(place) as client, daemon(place) as process:
        epoch = client.until(is_start)["epoch"]
        roles = running_daemon.roles_of(process.pid)
        # A publisher that starts again is told the prompts by the worker ...
        os.kill(roles["publisher"][0], signal.SIGKILL)
        client.until(lambda m: is_start(m) and m["epoch"] != epoch)
        # ... and a worker reads them anew.
        os.kill(roles["worker"][0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while running_daemon.roles_of(process.pid).get("worker", roles["worker"]) == roles["worker"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while client.events.poll(0):  # what the old one raised
            client.events.recv_multipart()
        client.until(is_start)
        assert [prompt["name"] for prompt in client.ask(type="snapshot")["prompts"]] == ["kick", "my_wave"]
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    assert "not published" not in output


def test_an_event_that_nobody_knows_is_one_line(place: Path) -> None:
    with Client(place) as client, daemon(place):
        client.until(lambda m: m["data"].get("state") == "running")
        command = [*POSEWIRE, "teach", "x", "--from-event", "01J", "--config", str(place / "test.toml")]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert "event '01J' is unknown or too old: the examples of the last 1,000 events are kept" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (place / "examples").exists()
