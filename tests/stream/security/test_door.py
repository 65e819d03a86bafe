"""The door with real sockets: whoever is not on the list gets nothing from any of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from door_samples import NAMES, alarm, asks, behind, gets_in, issue, peer, receives, ring_in, stranger

from stream.durable_journal import DurableJournal
from stream.journal import Page
from stream.journal_store import JournalStore
from stream.publisher import Publisher
from stream.roles import Role
from stream.security import authenticator, probe
from stream.security import door as door_module
from stream.security.authenticator import Authenticator
from stream.security.door import Door
from stream.security.key_ring import KeyRing
from stream.security.probe import DoorOpen
from stream.sockets import PublisherSockets
from stream.topics import Kind


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return ring_in(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_who_is_on_the_list_gets_in(ring: KeyRing, name: str):
    keys = issue(ring)
    with behind(Door(ring)) as sockets:
        assert gets_in(sockets, name, keys, 10)


@pytest.mark.parametrize("name", NAMES)
def test_no_key_and_an_unknown_key_are_refused(ring: KeyRing, name: str):
    known = issue(ring)
    with behind(Door(ring)) as sockets:
        assert not gets_in(sockets, name, None)
        assert not gets_in(sockets, name, stranger(ring))
        assert gets_in(sockets, name, known, 10)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_list_lets_nobody_in(ring: KeyRing, name: str):
    with behind(Door(ring)) as sockets:
        assert not gets_in(sockets, name, None)
        assert not gets_in(sockets, name, stranger(ring))


@pytest.mark.parametrize("name", NAMES)
def test_a_client_of_another_daemon_is_refused(ring: KeyRing, tmp_path: Path, name: str):
    keys = issue(ring)
    with behind(Door(KeyRing(tmp_path / "other"))) as sockets:
        assert not gets_in(sockets, name, keys)


@pytest.mark.parametrize("name", NAMES)
def test_a_dead_authenticator_lets_nobody_in(ring: KeyRing, name: str):
    keys = issue(ring)
    door = Door(ring)
    with behind(door) as sockets:
        sockets._poller.unregister(sockets._asked)
        door.close()
        assert not gets_in(sockets, name, keys)
        assert not gets_in(sockets, name, None)
        assert not gets_in(sockets, name, stranger(ring))


@pytest.mark.parametrize("name", NAMES)
def test_an_authenticator_that_hangs_lets_nobody_in(ring: KeyRing, name: str, monkeypatch: pytest.MonkeyPatch):
    keys = issue(ring)
    with behind(Door(ring)) as sockets:
        monkeypatch.setattr(Authenticator, "serve", lambda _self: None)
        assert not gets_in(sockets, name, keys)
        assert not gets_in(sockets, name, None)


@pytest.mark.parametrize("name", NAMES)
def test_a_list_that_raises_lets_nobody_in(
    ring: KeyRing, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    keys = issue(ring)

    def broken(_self: Door, _key: str) -> bool:
        raise RuntimeError("broken")

    monkeypatch.setattr(Door, "allowed", broken)
    with behind(Door(ring)) as sockets:
        assert not gets_in(sockets, name, keys)
        assert not gets_in(sockets, name, None)
    assert "nobody is let in" in caplog.text


@pytest.mark.parametrize("truthy", [1, "yes", object()], ids=["1", "yes", "object"])
def test_only_true_is_yes(ring: KeyRing, monkeypatch: pytest.MonkeyPatch, truthy: object):
    keys = issue(ring)
    monkeypatch.setattr(Door, "allowed", lambda _self, _key: truthy)
    with behind(Door(ring)) as sockets:
        assert not gets_in(sockets, "events", keys)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_domain_lets_nobody_in(ring: KeyRing, name: str, monkeypatch: pytest.MonkeyPatch):
    keys = issue(ring)
    monkeypatch.setattr(door_module, "DOMAIN", b"elsewhere")  # of the sockets, not of the authenticator
    with behind(Door(ring)) as sockets:
        assert not gets_in(sockets, name, keys)
        assert not gets_in(sockets, name, None)
        assert not gets_in(sockets, name, stranger(ring))


@pytest.mark.parametrize("name", NAMES)
def test_a_revoked_key_gets_nothing_more(ring: KeyRing, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(door_module, "LOOK_S", 0.05)
    revoked, other = issue(ring, "revoked"), issue(ring, "other")
    with (
        behind(Door(ring)) as sockets,
        peer(sockets, name, revoked) as out,
        peer(sockets, name, other) as stays,
    ):
        assert receives(sockets, name, out, 10)
        assert receives(sockets, name, stays, 10)
        ring.revoke("revoked")
        deadline = time.monotonic() + 5
        while sockets._door is not None and sockets._door.allowed(revoked.own.public):
            assert time.monotonic() < deadline
            sockets.serve(5)
        while out.poll(0):
            out.recv_multipart()  # what was under way
        assert receives(sockets, name, out, 0.6) is None
        assert receives(sockets, name, stays, 10), "it has connected anew, by itself"
        assert not gets_in(sockets, name, revoked)


def test_revocation_and_new_keys_are_seen_while_it_runs(ring: KeyRing, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(door_module, "LOOK_S", 0.0)
    with behind(Door(ring)) as sockets:
        keys = issue(ring, "late")
        sockets.serve()
        assert gets_in(sockets, "events", keys, 10)
        ring.revoke("late")
        sockets.serve()
        assert not gets_in(sockets, "events", keys)
        again = issue(ring, "late")
        sockets.serve()
        assert gets_in(sockets, "events", again, 10)
        assert not gets_in(sockets, "events", keys), "another key of the same name"


def test_a_list_that_others_may_change_lets_nobody_in(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(door_module, "LOOK_S", 0.0)
    keys = issue(ring)
    with behind(Door(ring)) as sockets:
        (ring.folder / "allowed").chmod(0o770)
        (ring.folder / "allowed" / "x.pub").write_text("nonsense")
        sockets.serve()
        assert not gets_in(sockets, "query", keys)
        assert "nobody is let in until that is put right" in caplog.text
        (ring.folder / "allowed" / "x.pub").unlink()
        (ring.folder / "allowed").chmod(0o700)
        sockets.serve()
        assert gets_in(sockets, "query", keys, 10)


def test_what_a_key_may_ask(ring: KeyRing):
    reader, nurse = issue(ring, "reader"), issue(ring, "nurse", "control")
    add = {"type": "prompt_add", "id": "a", "prompt": {"text": "a person throws something"}}
    with behind(Door(ring)) as sockets:
        sockets.role = Role.CONTROL
        sockets.forward = lambda _address, _request: "reached the daemon"
        assert asks(sockets, reader, {"type": "ping", "id": "p"})["type"] == "pong"
        assert "expected the role control, but this socket gives read" in str(asks(sockets, reader, add)["error"])
        assert "reached the daemon" in str(asks(sockets, nurse, add)["error"])
        sockets.role = Role.READ  # publish.control = false
        assert "expected the role control" in str(asks(sockets, nurse, add)["error"])


def test_a_request_of_who_was_just_struck_off_is_not_answered(ring: KeyRing):
    keys = issue(ring)
    door = Door(ring)
    with behind(door) as sockets, peer(sockets, "query", keys) as sock:
        assert receives(sockets, "query", sock, 10)
        door._clients = {}  # it is connected yet
        assert receives(sockets, "query", sock, 0.3) is None


GREETINGS = {
    "zmtp1": b"\x01\x00" + b"\x02\x00\x01",
    "zmtp2": b"\xff" + bytes(8) + b"\x7f\x01\x02" + b"\x00\x00" + b"\x00\x01\x01",
    "null": b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16 + 32)
    + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB" + b"\x00\x01\x01",
    "plain": b"\xff" + bytes(8) + b"\x7f\x03\x00PLAIN" + bytes(15 + 32) + b"\x04\x0a\x05HELLO\x01a\x01b",
}  # fmt: skip
"""What a client that is no libzmq may send first: older versions of the protocol, and other mechanisms."""


@pytest.mark.parametrize("greeting", GREETINGS)
@pytest.mark.parametrize("name", NAMES)
def test_older_protocols_and_other_mechanisms_get_nothing(ring: KeyRing, name: str, greeting: str):
    with behind(Door(ring)) as sockets:
        port = int(sockets.endpoints[name].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.setblocking(False)
            raw.sendall(GREETINGS[greeting])
            got = b""
            for _ in range(60):
                sockets.serve(5)
                sockets.send(sockets.publisher.publish_event(alarm()))
                try:
                    got += raw.recv(4096)
                except (BlockingIOError, ConnectionResetError):
                    continue
        assert b"alarm/" not in got
        assert b"heartbeat/" not in got
        assert len(got) <= 64, "no more than the greeting"


def test_ipc_is_closed_too(ring: KeyRing, tmp_path: Path):
    keys = issue(ring)
    addresses = {name: f"ipc://{tmp_path}/{name}" for name in NAMES}
    with behind(Door(ring), **addresses) as sockets:
        for name in NAMES:
            assert not gets_in(sockets, name, None)
            assert gets_in(sockets, name, keys, 10)
        for name in NAMES:
            sockets.drop(name)
            assert gets_in(sockets, name, keys, 10)
    assert not [path for path in tmp_path.iterdir() if path.is_socket()]


def test_secrets_are_on_the_sockets_only(ring: KeyRing):
    door = Door(ring)
    assert ring.server().secret not in repr(door.__dict__)


# The probe: the ways in which the door is known to stand open.


def no_enforcement(monkeypatch: pytest.MonkeyPatch) -> None:
    secure = Door.secure

    def unenforced(self: Door, sock: zmq.Socket[bytes]) -> None:
        secure(self, sock)
        sock.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)

    monkeypatch.setattr(Door, "secure", unenforced)
    monkeypatch.setattr(authenticator, "_ENDPOINT", "inproc://elsewhere")


def yes_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "allowed", lambda _self, _key: True)


def no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "secure", lambda _self, _socket: None)


def curve_without_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    def secure(self: Door, sock: zmq.Socket[bytes]) -> None:
        sock.curve_server = True
        sock.curve_secretkey = self._pair.secret.encode()
        sock.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    monkeypatch.setattr(Door, "secure", secure)


@pytest.mark.parametrize("broken", [no_enforcement, yes_to_all, no_curve, curve_without_domain])
def test_a_door_that_stands_open_is_not_served(ring: KeyRing, monkeypatch: pytest.MonkeyPatch, broken):
    broken(monkeypatch)
    sockets = behind(Door(ring))
    with pytest.raises(DoorOpen, match=r"publish\.\w+ lets in who has (no key|an unknown key), in spite of security"):
        sockets.open()
    assert not sockets._sockets, "all are closed"
    with zmq.Context() as context, context.socket(zmq.REP) as free:
        free.linger = 0
        free.bind(sockets.endpoints["events"])


def test_a_door_that_opens_later_is_found_and_closed(ring: KeyRing, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(door_module, "PROBE_S", 0.2)
    door = Door(ring)
    sockets = behind(door)
    sockets.open()
    until = time.monotonic() + 1
    while time.monotonic() < until:  # several probes, none of which finds anything
        sockets.serve(5)
    assert door._authenticator is not None
    door._authenticator._allowed = lambda _key: True

    def serve_on() -> None:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            sockets.serve(5)

    with pytest.raises(DoorOpen, match="an unknown key"):
        serve_on()
    assert not sockets._sockets


def test_one_open_socket_of_three_is_found(ring: KeyRing, monkeypatch: pytest.MonkeyPatch):
    secure, done = Door.secure, []

    def last_forgotten(self: Door, sock: zmq.Socket[bytes]) -> None:
        done.append(sock)
        if len(done) < len(NAMES):
            secure(self, sock)

    monkeypatch.setattr(Door, "secure", last_forgotten)
    with pytest.raises(DoorOpen, match=r"publish\.skeletons lets in who has no key"):
        behind(Door(ring)).open()


def test_what_waits_goes_to_the_journal_and_not_through_an_open_door(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(door_module, "PROBE_S", 0.0)
    path = tmp_path / "journal.db"
    publisher = Publisher("n", epoch="e", journal=DurableJournal(JournalStore(path)))
    door = Door(ring)
    sockets = PublisherSockets(publisher, events="tcp://127.0.0.1:*", heartbeat_s=60.0, door=door)
    sockets.open()
    sockets.serve()
    sent: list[object] = []
    monkeypatch.setattr(PublisherSockets, "_send", lambda _self, message: sent.append(message))
    assert door._authenticator is not None
    door._authenticator._allowed = lambda _key: True

    def serve_on() -> None:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            sockets._keep_door()  # nothing else of `serve`, which would send what waits in time

    sockets.send(publisher.publish_event(alarm()))
    with pytest.raises(DoorOpen, match="an unknown key"):
        serve_on()
    sockets.close()
    assert not sent
    publisher.journal.close()
    store = JournalStore(path)
    store.open("later")
    page = store.after(Kind.ALARM, 0, 10, 1 << 20, "e")
    store.close()
    assert isinstance(page, Page)
    assert len(page.messages) == 1


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether each try of the door to come gets no answer, the last for all after it; from somebody who takes the
    connection and says nothing."""
    tries: list[bool] = [True]
    with socket.create_server(("127.0.0.1", 0)) as mute:
        connect, begin = probe.connect, probe.Probe.__init__

        def tried(self: probe.Probe, *arguments: object) -> None:
            now = tries.pop(0) if len(tries) > 1 else tries[0]
            address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
            monkeypatch.setattr(probe, "connect", lambda sock, end, keys: connect(sock, address if now else end, keys))
            monkeypatch.setattr(probe, "TIMEOUT_S", 0.2 if now else 20.0)
            begin(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(probe.Probe, "__init__", tried)
        yield tries


def test_a_door_that_cannot_be_tried_is_not_served(ring: KeyRing, silent: list[bool]):
    assert silent == [True]
    sockets = behind(Door(ring))
    with pytest.raises(DoorOpen, match=r"told: 3 times in a row no answer from publish\.events with no key, "):
        sockets.open()
    assert not sockets._sockets, "all are closed"


def test_a_busy_machine_may_answer_the_last_try(ring: KeyRing, silent: list[bool], caplog: pytest.LogCaptureFixture):
    silent[:] = [True, True, False]
    keys = issue(ring)
    with behind(Door(ring)) as sockets:
        assert gets_in(sockets, "events", keys, 10)
    assert caplog.text.count("the door could not be tried: no answer from publish.events") == 2


def test_a_door_that_cannot_be_tried_later_is_closed(
    ring: KeyRing, silent: list[bool], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(door_module, "PROBE_S", 0.0)
    silent[:] = [False, True, True, False, True]  # two in a row are not three
    sockets = behind(Door(ring))
    sockets.open()

    def serve_on() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            sockets.serve(5)

    with pytest.raises(DoorOpen, match="3 times in a row no answer"):
        serve_on()
    assert not sockets._sockets
    assert caplog.text.count("the door could not be tried") == 4
