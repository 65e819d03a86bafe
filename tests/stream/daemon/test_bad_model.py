"""A model that is none, or was damaged or exchanged: refused in one line at a start, no harm to who runs already."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from running_daemon import POSEWIRE, ROOT, Client, running
from safetensors.numpy import save as format_tensors
from small_model import TEXTS, write_place

CLAPS = {"text": TEXTS[0], "name": "jump", "enter": 0.0, "exit": 0.0, "margin": -2.0}
"""Whatever people do is an event of it."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and a configuration with one person."""
    return write_place(tmp_path_factory.mktemp("d"))  # short enough for unix sockets


def spoil(folder: Path, how: str) -> None:
    """Make a checkpoint one that is none."""
    weights, manifest = folder / "model.safetensors", folder / "model.json"
    if how == "pickle":
        weights.write_bytes(pickle.dumps({"a": 1}))
    elif how == "digest":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif how == "cut short":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how == "no manifest":
        manifest.unlink()
    elif how == "other tensors":
        weights.write_bytes(format_tensors({"a": np.full(3, np.nan, np.float32)}))
    else:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"frames": 10**9}))


HOWS = {
    "pickle": "model.safetensors: is a pickle (torch.save) file, which could run code; expected safetensors",
    "digest": "model.safetensors: its sha256 is not the one in model.json: damaged, cut short or exchanged",
    "cut short": "model.safetensors: its sha256 is not the one in model.json",
    "no manifest": "model.json: cannot be read (No such file or directory); expected a file of a model checkpoint",
    "other tensors": "model.safetensors: its sha256 is not the one in model.json",
    "manifest": "model.json: frames is 1000000000; expected 2 to 1024",
}


@pytest.mark.parametrize(("command", "how"), [("check", "digest"), ("run", "pickle")])
def test_a_bad_model_is_one_line_and_exit_2(place: Path, tmp_path: Path, command: str, how: str) -> None:
    shutil.copytree(place / "model", tmp_path / "model")
    spoil(tmp_path / "model", how)
    config = tmp_path / "test.toml"
    config.write_text((place / "test.toml").read_text() + f'\n[node]\nstate = "{tmp_path / "state"}"\n')
    done = subprocess.run(
        [*POSEWIRE, command, "--config", str(config)], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 2, done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if HOWS[how] in line]
    assert len(told) == 1, done.stderr
    if command == "check":
        assert "wrong  prompts: not checked: the model cannot be used\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_daemon_goes_on_with_the_model_that_it_has(place: Path) -> None:
    """Whether its configuration names a bad one, or the files of its own are exchanged beneath it."""
    config, good = place / "test.toml", (place / "test.toml").read_text()
    shutil.copytree(place / "model", place / "whole")
    with running(config) as process, Client(place) as client:
        client.runs()
        for how in HOWS:
            shutil.copytree(place / "whole", place / "other")
            spoil(place / "other", how)
            config.write_text(good.replace('path = "model"', 'path = "other"'))
            process.send_signal(signal.SIGHUP)
            refused = client.ask(type="reload")
            assert "model.path: cannot change while the daemon runs; expected a restart" in refused["error"]
            shutil.rmtree(place / "other")
        config.write_text(good)
        digest = client.ask(type="snapshot")["prompts_digest"]
        for how in HOWS:
            shutil.rmtree(place / "model")
            shutil.copytree(place / "whole", place / "model")
            spoil(place / "model", how)
            client.ask(type="reload")
            assert client.ask(type="snapshot")["prompts_digest"] == digest
        client.ask(type="prompt_add", prompt=CLAPS)  # which it scores by the model that it has
        assert client.event("start", "jump")["severity"] == "info"
        # What was taught may be anything too: it is told of, and nobody is taken for it.
        (place / "examples").mkdir(exist_ok=True)
        (place / "examples" / "bad.safetensors").write_bytes(pickle.dumps({"a": 1}))
        client.ask(type="prompt_set", name="jump", prompt={"enter": 0.9, "exit": 0.9})
        assert client.event("end", "jump")["name"] == "jump"
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    log = (place / "daemon.log").read_text()
    assert "bad.safetensors: is a pickle (torch.save) file" in log
    assert "Traceback" not in log
