"""Alarms to a real broker, over kill -9 of broker, sink and publisher: all of them, in order."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from relay_bench import WIRE, Feed, SinkBench, check_complete, free_port, make_certificate, tool

from stream.config_sinks import MqttSink
from stream.relay.base import NotDelivered, Parcel, Refused
from stream.relay.mqtt import MqttRelay
from stream.relay.trial import try_sink

sys.path.append(str(WIRE))
from tcp_proxy import TcpProxy

pytestmark = pytest.mark.skipif(tool("mosquitto") is None, reason="mosquitto is not installed")

AVAILABILITY = "posewire/n/availability"


class Broker:
    """mosquitto on a port and on a unix socket."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port, self.path = free_port(), folder / "mqtt"
        self._file = folder / "mosquitto.conf"
        listeners = [f"listener {self.port} 127.0.0.1", *lines]
        if not lines:
            listeners += ["allow_anonymous true", f"listener 0 {self.path}"]
        self._file.write_text("\n".join([*listeners, "persistence false", f"user {getpass.getuser()}", ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [str(tool("mosquitto")), "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class Watcher:
    """Hears everything on a broker, and connects again by itself."""

    def __init__(self, port: int) -> None:
        self.alarms: list[tuple[str, str]] = []
        self.states: list[bytes] = []
        self.topics: set[str] = set()
        self.subscribed = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_rest: client.subscribe("#", qos=0)
        self.client.on_subscribe = lambda *_rest: self.subscribed.set()
        self.client.on_disconnect = lambda *_rest: self.subscribed.clear()
        self.client.on_message = self._take
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == AVAILABILITY:
            self.states.append(message.payload)
            return
        told = json.loads(message.payload)
        self.topics.add(message.topic)
        assert message.topic == f"posewire/{told['node']}/alarm/{told['source']}/{told['data']['name']}"
        self.alarms.append((f"{told['epoch']} {told['seq']}", told["data"]["id"]))

    def __enter__(self) -> Watcher:
        self.client.loop_start()
        assert self.subscribed.wait(20)
        return self

    def __exit__(self, *error: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


def test_nothing_is_lost_over_kills_of_everything(folder: Path) -> None:
    with (
        Broker(folder) as broker,
        TcpProxy(str(broker.path)) as proxy,
        Watcher(broker.port) as watcher,
        Feed(folder, rate=60) as feed,
    ):
        port = int(proxy.endpoint.rpartition(":")[2])
        with SinkBench(folder, {"kind": "mqtt", "host": "127.0.0.1", "port": port}) as sink:

            def more(count: int = 30) -> None:
                wanted = len(watcher.alarms) + count
                sink.until(lambda: len(watcher.alarms) >= wanted)

            more()
            assert watcher.states == [b"online"]
            sink.kill()
            sink.until(lambda: watcher.states[-1] == b"online" and len(watcher.states) >= 3)
            assert watcher.states == [b"online", b"offline", b"online"], "the last will"
            more()
            proxy.hold(True)  # nothing is published before somebody has subscribed again
            broker.kill()
            proxy.reset()
            sink.until(lambda: sink.child.counts.get("state") == "lost")
            assert sink.child.counts["detail"]
            feed.kill()
            feed.start()
            sink.kill()  # with a dead broker, and alarms that wait
            broker.start()
            assert watcher.subscribed.wait(20)
            proxy.hold(False)
            more()
            feed.enough()
            sink.until(lambda: len({event for _, event in watcher.alarms}) >= len(feed.committed))
            sink.until(lambda: (sink.child.counts.get("behind"), sink.child.counts.get("state")) == (0, "running"))
            assert sink.child.counts["set_aside"] == 0
            check_complete(watcher.alarms, feed.committed, most_twice=3)
            assert watcher.states[-1] == b"online"
            sink.stop()
            deadline = time.monotonic() + 20
            while watcher.states[-1] != b"offline":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert (sink.folder / "x.cursor").stat().st_mode & 0o777 == 0o600


def entry(port: int, **settings: object) -> MqttSink:
    return MqttSink(name="x", kind="mqtt", host="127.0.0.1", port=port, **settings)  # type: ignore[arg-type]


def sent(relay: MqttRelay) -> None:
    try:
        relay.send(Parcel("e-alarm-1", "alarm/cam/fall", b"{}", None, "cam", ""))
    finally:
        relay.close()


@pytest.fixture
def certificates(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that trusts itself: `cert.pem` and `key.pem`."""
    if tool("openssl") is None:
        pytest.skip("openssl is not installed")
    make_certificate(folder, "IP:127.0.0.1")
    return folder


@pytest.fixture
def closed(certificates: Path) -> Iterator[Broker]:
    """A broker with TLS that wants a password."""
    if tool("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    words = certificates / "users"
    subprocess.run([str(tool("mosquitto_passwd")), "-c", "-b", words, "me", "secret"], check=True, capture_output=True)
    lines = [f"certfile {certificates}/cert.pem", f"keyfile {certificates}/key.pem", f"password_file {words}"]
    with Broker(certificates, *lines) as broker:
        yield broker


def until_there(port: int, folder: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return sent(MqttRelay(entry(port, tls=True, ca_file=str(folder / "cert.pem"), user="me"), "n", "secret"))
        except NotDelivered:
            assert time.monotonic() < deadline
            time.sleep(0.1)


# Where a handshake fails paho leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_only_a_trusted_broker_gets_the_password_and_only_a_right_one_is_let_in(
    closed: Broker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", "secret")
    until_there(closed.port, folder)
    trusted = {"tls": True, "ca_file": str(folder / "cert.pem"), "user": "me"}
    sent(MqttRelay(entry(closed.port, version="3.1.1", **trusted), "n", "secret"))
    assert try_sink(entry(closed.port, **trusted, password_env="WORD"), "n") == (
        f"x: alarm to MQTT broker 127.0.0.1:{closed.port}"
    )
    with pytest.raises(NotDelivered, match="lets us not in") as caught:
        sent(MqttRelay(entry(closed.port, **trusted), "n", "wrong-word"))
    assert "wrong-word" not in str(caught.value)
    with pytest.raises(NotDelivered, match=r"self.signed"):
        sent(MqttRelay(entry(closed.port, tls=True, user="me"), "n", "secret"))
    with pytest.raises(NotDelivered, match=r"cannot connect \(Connection refused\)"):
        sent(MqttRelay(entry(free_port()), "n", ""))


def test_what_a_broker_says_no_to_is_not_taken_for_delivered(folder: Path) -> None:
    (folder / "rights").write_text("topic readwrite posewire/n/#\n")
    lines = ["allow_anonymous true", "max_packet_size 300", f"acl_file {folder}/rights"]
    with Broker(folder, *lines) as broker:
        deadline = time.monotonic() + 20
        while True:
            try:
                sent(MqttRelay(entry(broker.port), "n", ""))
                break
            except NotDelivered:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with pytest.raises(NotDelivered, match=r"not acknowledged \(Not authorized\)"):
            sent(MqttRelay(entry(broker.port, prefix="other"), "n", ""))
        relay = MqttRelay(entry(broker.port), "n", "")
        with pytest.raises(Refused, match="the broker takes at most 300"):
            relay.send(Parcel("e-alarm-1", "alarm/cam/fall", b"x" * 1000, None, "cam", ""))
        relay.send(Parcel("e-alarm-2", "alarm/cam/fall", b"{}", None, "cam", ""))
        relay.close()
