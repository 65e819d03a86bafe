"""To an MQTT broker, by paho-mqtt: QoS 1, one message after the other, each waited for until the broker has it."""

from __future__ import annotations

import secrets
import socket
import ssl
import threading
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stream.config_sinks import MqttSink
from stream.relay.base import NotDelivered, Parcel, Refused

CONNECT_S = 10.0
ACK_S = 10.0
"""How long to wait for the broker's word on a message."""
CLOSE_S = 1.0
KEEP_ALIVE_S = 15
"""After one and a half of these without a sign of life the broker publishes the last will."""
ONLINE, OFFLINE = b"online", b"offline"

_NEVER = {"Topic name invalid", "Payload format invalid"}
"""What a broker may say of a message that it will never take (MQTT 5, 3.4.2.1); all else may be put right."""
_HEAD_BYTES = 32
"""Bytes of a PUBLISH packet beside topic and payload, at most."""
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class MqttRelay:
    """One connection at a time, made anew after any trouble; the broker keeps nothing of it.

    The retained topic PREFIX/NODE/availability says `online`, and `offline` by last will once the connection is lost.

    Args:
        entry: the sink.
        node: name of the daemon.
        password: of `entry.user`; empty for none.

    Attributes:
        target: see `Relay`.
    """

    def __init__(self, entry: MqttSink, node: str, password: str) -> None:
        self._entry, self._node, self._password = entry, node, password
        self._port = entry.port or (8883 if entry.tls else 1883)
        self.target = f"MQTT broker {entry.host}:{self._port}"
        self._root = f"{entry.prefix}/{node}"
        self._connection: _Connection | None = None

    def tend(self) -> None:
        """Connect, unless connected.

        Raises:
            NotDelivered: the broker is away or lets nobody in.
        """
        self._connected()

    def probe(self) -> bool:
        """Log in by another name and out again; return True.

        Raises:
            NotDelivered: the broker is away or lets nobody in.
        """
        connection = _Connection(self._client(f"-check-{secrets.token_hex(4)}"))
        try:
            connection.open(self._entry.host, self._port)
            connection.client.disconnect()
            connection.gone.wait(CLOSE_S)
        finally:
            connection.drop()
        return True

    def send(self, parcel: Parcel) -> None:
        """Publish a message and wait for the broker's PUBACK.

        Raises:
            NotDelivered: the broker is away, or does not answer, or takes nothing now.
            Refused: it says that it never takes this.
        """
        self._publish(self._connected(), f"{self._root}/{parcel.topic}", parcel.body, retain=self._entry.retain)

    def close(self) -> None:
        """Say that nothing will come, and disconnect."""
        if self._connection is not None and not self._connection.gone.is_set():
            try:
                self._say(self._connection, OFFLINE, CLOSE_S)
            except NotDelivered:
                return self._drop()  # without a word: then the last will says it
            self._connection.client.disconnect()
        return self._drop(wait=True)

    def _connected(self) -> _Connection:
        if self._connection is not None and self._connection.gone.is_set():
            self._drop()
        if self._connection is None:
            client = self._client()
            client.will_set(f"{self._root}/availability", OFFLINE, qos=1, retain=True)
            connection = _Connection(client)
            try:
                connection.open(self._entry.host, self._port)
                self._connection = connection
                self._say(connection, ONLINE, ACK_S)
            except BaseException:
                connection.drop()
                self._connection = None
                raise
        return self._connection

    def _client(self, other: str = "") -> Client:
        entry = self._entry
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"posewire-{self._node}-{entry.name}{other}",
            clean_session=None if entry.version == "5" else True,
            protocol=_VERSIONS[entry.version],
            reconnect_on_failure=False,  # by the sink, which tells of it
        )
        client.connect_timeout = CONNECT_S
        if entry.user:
            client.username_pw_set(entry.user, self._password or None)
        if entry.tls:
            try:
                client.tls_set_context(ssl.create_default_context(cafile=entry.ca_file or None))
            except (OSError, ssl.SSLError) as error:
                raise NotDelivered(f"{entry.ca_file}: no certificates to trust ({_reason(error)})") from None
        return client

    def _say(self, connection: _Connection, state: bytes, seconds: float) -> None:
        try:
            self._publish(connection, f"{self._root}/availability", state, retain=True, seconds=seconds)
        except Refused as error:  # it is no message that could be set aside
            self._drop()
            raise NotDelivered(str(error)) from None

    def _publish(
        self, connection: _Connection, topic: str, body: bytes, *, retain: bool, seconds: float = ACK_S
    ) -> None:
        try:
            connection.publish(topic, body, retain=retain, seconds=seconds)
        except NotDelivered:
            self._drop()  # else paho would send it once more by itself
            raise

    def _drop(self, *, wait: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop(wait=wait)


class _Connection:
    """One connection, from CONNECT to whatever ends it.

    Attributes:
        client: of paho, with its thread.
        gone: set once the connection is lost.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.gone = threading.Event()
        self._answered = threading.Event()
        self._why = ""
        self._largest: int | None = None
        """Bytes of the largest packet that the broker takes, where it says so."""
        self._acks: dict[int, ReasonCode] = {}
        self._changed = threading.Condition()
        client.on_connect, client.on_disconnect, client.on_publish = self._on_connect, self._on_disconnect, self._on_ack

    def open(self, host: str, port: int) -> None:
        """Connect and log in.

        Raises:
            NotDelivered: that was not possible.
        """
        try:
            self.client.connect(host, port, keepalive=KEEP_ALIVE_S)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise NotDelivered(f"cannot connect ({_reason(error)})") from None
        self.client.loop_start()
        if not self._answered.wait(CONNECT_S):
            raise NotDelivered(f"no answer within {CONNECT_S:.0f} s of connecting")
        if self._why:
            raise NotDelivered(self._why)

    def publish(self, topic: str, body: bytes, *, retain: bool, seconds: float) -> None:
        """Publish and wait for the acknowledgement.

        Raises:
            NotDelivered: there was none, or none that says yes.
            Refused: it says never.
        """
        size = _HEAD_BYTES + len(topic.encode()) + len(body)
        if self._largest is not None and size > self._largest:  # it would end the connection
            raise Refused(f"{size} bytes; the broker takes at most {self._largest}")
        info: MQTTMessageInfo = self.client.publish(topic, body, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotDelivered("the connection is lost")
        with self._changed:
            self._changed.wait_for(lambda: info.mid in self._acks or self.gone.is_set(), seconds)
            code = self._acks.pop(info.mid, None)
        if code is None and self.gone.is_set():
            raise NotDelivered(self._why or "the connection is lost")
        if code is None:
            raise NotDelivered(f"no acknowledgement within {seconds:.0f} s")
        if code.is_failure:
            raise (Refused if str(code) in _NEVER else NotDelivered)(f"not acknowledged ({code})")

    def drop(self, *, wait: bool = False) -> None:
        """End the connection: without a good-bye, unless one was sent, which is then waited for.

        An end without a good-bye has the broker publish the last will.
        """
        if wait:
            self.gone.wait(CLOSE_S)
        sock: Any = self.client.socket()
        if sock is not None:
            with suppress(OSError):  # it is no longer connected
                sock.shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()

    def _on_connect(
        self, _client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._largest = getattr(properties, "MaximumPacketSize", None)
        self._why = f"lets us not in ({code})" if code.is_failure else ""
        self._answered.set()

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._changed:
            self._why = self._why or f"the connection is lost ({code})"
            self.gone.set()
            self._changed.notify_all()
        self._answered.set()

    def _on_ack(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Properties) -> None:
        with self._changed:
            self._acks[mid] = code
            self._changed.notify_all()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return getattr(error, "verify_message", "") or error.reason or "TLS failed"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
