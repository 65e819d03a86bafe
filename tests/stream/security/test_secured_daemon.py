"""A real daemon behind its door, the commands around it, and what it does when the door stands open."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq
from door_samples import NAMES, alarm, behind, free_ports, issue, ring_in
from running_daemon import POSEWIRE, ROOT, running

from stream.security.client_keys import ClientKeys
from stream.security.door import Door
from stream.security.keys import KeyPair, read_pair

CONFIG = """
[background]
bank = false
[publish]
events = "tcp://*:{events}"
query = "tcp://0.0.0.0:{query}"
skeletons = "tcp://127.0.0.1:{skeletons}"
[security]
curve = true
keys = "keys"
key = "keys/issued/nurse.key"
[[prompts]]
name = "kick"
text = "a person kicks"
[[sources]]
kind = "synthetic"
name = "cam"
fps = 15.0
"""


@pytest.fixture
def ports() -> dict[str, int]:
    return dict(zip(NAMES, free_ports(3), strict=True))


@pytest.fixture
def config(tmp_path: Path, ports: dict[str, int]) -> Path:
    path = tmp_path / "test.toml"
    path.write_text(CONFIG.format(**ports))
    return path


def posewire(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*POSEWIRE, *words], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def hears(port: int, name: str, keys: ClientKeys | None, seconds: float) -> bool:
    """Whether a plain client gets anything from a socket of the daemon."""
    with zmq.Context() as context, context.socket(zmq.DEALER if name == "query" else zmq.SUB) as sock:
        sock.linger, sock.reconnect_ivl = 0, 50
        if keys is not None:
            keys.apply(sock)
        sock.connect(f"tcp://127.0.0.1:{port}")
        if name == "query":
            sock.send(b'{"v":1,"type":"ping","id":"me"}')
        else:
            sock.subscribe(b"")
        return bool(sock.poll(round(1000 * seconds)))


@pytest.mark.slow
def test_a_daemon_on_all_addresses(config: Path, ports: dict[str, int]):
    folder = config.parent
    issued = folder / "keys" / "issued"
    made = posewire("keys", "new", "reader", "--config", str(config))
    posewire("keys", "new", "nurse", "--role", "control", "--config", str(config))
    secrets = [read_pair(issued / f"{name}.key").secret for name in ("reader", "nurse")]
    secrets.append(read_pair(folder / "keys" / "server.key").secret)
    assert str(issued / "reader.key") in made.stdout
    listed = posewire("keys", "list", "--config", str(config)).stdout
    assert re.search(r"nurse +control.*\n.*reader +subscribe", listed)
    posewire("keys", "new", "../x", "--config", str(config), code=2)
    posewire("keys", "new", "x", "--role", "root", "--config", str(config), code=2)

    reader = ClientKeys.read(issued / "reader.key", folder / "keys" / "server.pub")
    strangers = (None, ClientKeys(KeyPair.fresh(), reader.server))
    with running(config):
        for name, port in ports.items():
            assert hears(port, name, reader, 60), name
            assert not any(hears(port, name, keys, 1.0) for keys in strangers), name
        # Keys on the command line, and those of the configuration.
        command = [*POSEWIRE, "watch", "heartbeat", "--json", "--config", str(config)]
        command += ["--key", str(issued / "reader.key"), "--server-key", str(folder / "keys" / "server.pub")]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            assert json.loads(watch.stdout.readline())["type"] == "heartbeat"
            assert "kick" in posewire("prompts", "list", "--running", "--config", str(config)).stdout
            posewire("keys", "revoke", "reader", "--config", str(config))
            revoked = time.monotonic()
            while hears(ports["events"], "events", reader, 1.5):
                assert time.monotonic() - revoked < 20
            watch.terminate()
            watch.stdout.read()
        assert "kick" in posewire("prompts", "list", "--running", "--config", str(config)).stdout
    log = (folder / "daemon.log").read_text()
    assert "a key was revoked" in log
    texts = [log, made.stdout, made.stderr, listed]
    assert not [secret for secret in secrets for text in texts if secret in text]


OPEN_DOOR = """
import sys
if "publisher" in sys.argv:
    from stream.security.door import Door
    Door.allowed = lambda _self, _key: True
"""


@pytest.mark.slow
def test_a_daemon_whose_door_stands_open_does_not_serve(config: Path, tmp_path: Path, ports: dict[str, int]):
    posewire("keys", "new", "reader", "--config", str(config))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "usercustomize.py").write_text(OPEN_DOOR)
    (broken / "sitecustomize.py").write_text(OPEN_DOOR)
    path = os.pathsep.join(filter(None, [str(broken), str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with running(config, PYTHONPATH=path) as process:
        assert process.wait(90) == 2
    log = (tmp_path / "daemon.log").read_text()
    assert re.search(r"publish\.events lets in who has an unknown key, in spite of security\.curve; closed all", log)
    assert "Traceback" not in log
    for port in ports.values():
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("address", ["tcp://*:5556", "tcp://0.0.0.0:5556", "tcp://192.168.1.5:5556", "tcp://[::]:5556"])
def test_no_other_address_without_keys(tmp_path: Path, address: str):
    path = tmp_path / "test.toml"
    path.write_text(f'[publish]\nevents = "{address}"\n')
    done = posewire("run", "--config", str(path), code=2)
    (line,) = done.stderr.splitlines()
    assert "publish.events" in line
    assert "security.curve = true" in line


def test_a_command_without_a_key_says_what_is_missing(tmp_path: Path):
    path = tmp_path / "test.toml"
    path.write_text("[security]\ncurve = true\n")
    for words in (["watch"], ["prompts", "list", "--running"], ["reload"]):
        (line,) = posewire(*words, "--config", str(path), code=2).stderr.splitlines()
        assert "security.key: no key to be let in by" in line


def test_the_plain_client_of_the_documentation(tmp_path: Path):
    """The block in docs/security.md as it stands, but for the address and the files."""
    text = (ROOT / "docs" / "security.md").read_text()
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    ring = ring_in(tmp_path)
    issue(ring, "nurses")
    with behind(Door(ring)) as sockets:
        script = tmp_path / "plain.py"
        script.write_text(
            block[1]
            .replace("tcp://192.168.1.20:5556", sockets.endpoints["events"])
            .replace("nurses.key", str(ring.folder / "issued" / "nurses.key"))
            .replace("server.pub", str(ring.server_public))
        )
        with subprocess.Popen([sys.executable, "-I", str(script)], stdout=subprocess.PIPE, text=True) as plain:
            assert sockets.wait_for_subscriber(15)
            sockets.send(sockets.publisher.publish_event(alarm()))
            sockets.serve()
            assert plain.stdout is not None
            assert plain.stdout.readline() == "alarm/cam1/fall/ start 3 1.0 0.9 a person falls to the floor\n"
            plain.kill()
