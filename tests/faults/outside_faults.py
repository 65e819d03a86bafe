"""Faults of what stands outside: receivers of sinks that die and come back, and keys that are revoked or not kept."""

from __future__ import annotations

import base64
import sys
import time
from contextlib import ExitStack

from running_daemon import ROOT

from stream.security.client_keys import ClientKeys
from stream.security.key_ring import KeyRing
from stream.subscriber import Subscriber
from tests.faults.catalogue import fault
from tests.faults.heard import until
from tests.faults.scene import CAMERA, HALL, SEEN, Scene

sys.path.append(str(ROOT / "tests" / "stream" / "relay"))
from relay_bench import WebServer

WEBHOOK = """
[[sinks]]
kind = "webhook"
name = "desk"
url = "http://127.0.0.1:{port}/"
secret_env = "DESK_SECRET"
phases = ["start", "update", "end"]
"""
SECURED = """
[security]
curve = true
keys = "keys"
"""


@fault(
    "messaging",
    "the receiver of a sink dies and comes back",
    how="SIGKILL to a web server, started again after five seconds",
    required="live alarms go on; every alarm arrives in the end, in order; at most the one under way comes twice",
    slow=True,
)
def receiver_killed(scene: Scene) -> str:
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    with WebServer(scene.folder) as server:

        def ids() -> list[str]:
            return [str(request["headers"]["webhook-id"]) for request in server.accepted()]

        head = WEBHOOK.format(port=server.port)
        with scene.daemon(CAMERA, head=head, DESK_SECRET=secret) as daemon:
            until(lambda: len(ids()) >= 5, 60, lambda: daemon.log[-1500:])
            server.kill()
            mark, before, began = daemon.heard.mark, len(ids()), time.monotonic()
            while time.monotonic() - began < 5:
                daemon.flows(messages=1)
            silence = daemon.heard.longest_silence(SEEN, "cam", mark)
            assert len(ids()) == before
            server.start()
            told = [one.seq for one in daemon.heard.envelopes() if one.type == "event"]
            back = until(lambda: len(dict.fromkeys(ids())) >= told[-1], 60, lambda: (len(ids()), daemon.log[-1500:]))
            daemon.unhurt()
            daemon.stop()
        numbers = [int(one.rpartition("-")[2]) for one in dict.fromkeys(ids())]
        assert numbers == list(range(1, len(numbers) + 1)), numbers
        twice = len(ids()) - len(numbers)
        assert twice <= 1, ids()
    return f"longest silence of live alarms {silence:.1f} s; all there {back:.1f} s after the start, {twice} twice"


@fault(
    "messaging",
    "a key is revoked while its holder listens",
    how="posewire keys revoke, beside a subscriber with another key",
    required="its holder gets nothing more within seconds; the other gets each alarm once and in order",
    slow=True,
)
def key_revoked(scene: Scene) -> str:
    ring = KeyRing(scene.folder / "keys")
    keys = [ClientKeys.read(ring.new(name, "subscribe"), ring.server_public) for name in ("gone", "stays")]
    ends = f"ipc://{scene.folder}/events", f"ipc://{scene.folder}/query"
    with ExitStack() as stack, scene.daemon(CAMERA, head=SECURED, wait=False) as daemon:
        until(lambda: (scene.folder / "query").exists(), 120, lambda: daemon.log[-1500:])
        gone, stays = (stack.enter_context(Subscriber(*ends, ("alarm",), keys=one)) for one in keys)
        heard: list[int] = []

        def hears(subscriber: Subscriber) -> bool:
            item = subscriber.receive(0.05)
            if item is None or not hasattr(item, "envelope"):
                return False
            if subscriber is stays:
                heard.append(item.envelope.seq)
            return True

        for one in (stays, gone):
            until(lambda one=one: hears(one), 120, lambda: daemon.log[-1500:])  # type: ignore[misc]
        done = scene.posewire("keys", "revoke", "gone", "--config", daemon.config)
        assert done.returncode == 0, done.stderr
        began = last = time.monotonic()
        while time.monotonic() - last < 3:
            hears(stays)
            if hears(gone):
                last = time.monotonic()
            assert last - began < 20, "still served"
        before = len(heard)
        until(lambda: (hears(stays), len(heard) >= before + 5)[1])
        assert heard == list(range(heard[0], heard[0] + len(heard))), heard
        assert daemon.said("a key was revoked: everybody connects anew")
        assert not daemon.heard.items, "who has no key hears nothing"
        daemon.stop()
    return f"nothing more {last - began:.1f} s after the command; {len(heard)} of {len(heard)} alarms to the other"


@fault(
    "messaging",
    "others may read the daemon's key",
    how="mode 644 of keys/server.key",
    required="exit code 2 and one line with the file and what is expected; nobody is served",
    slow=True,
)
def key_readable(scene: Scene) -> str:
    ring = KeyRing(scene.folder / "keys")
    ring.server()
    path = scene.folder / "keys" / "server.key"
    path.chmod(0o644)
    done = scene.posewire("run", "--config", scene.write_config(HALL, head=SECURED))
    told = done.stdout + done.stderr
    (line,) = [line for line in told.splitlines() if str(path) in line]
    assert done.returncode == 2, told
    assert "expected" in line
    assert "Traceback" not in told, told
    assert not (scene.folder / "events").exists()
    return f"exit code 2: {line.removeprefix('posewire publisher: ').replace(f'{scene.folder}/', '')}"
