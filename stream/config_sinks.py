"""The `[[sinks]]` blocks of the configuration, one class for each kind of place that messages are carried to."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from stream.config_types import Flag, Integer, Name, Number, OptionalPath, Section, VariableName
from stream.errors import PosewireError
from stream.secrets import holds_password
from stream.topics import JOURNALED, prefix
from stream.types import Severity

SINK = "sink."
"""What the labels of sinks begin with, beside the names of sources."""
Phase = Literal["start", "update", "end"]


def _web_address(url: str) -> str:
    if not url:
        return url
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("not a URL; expected one such as https://example.org/alarms") from None
    # Not quoted: whoever reads the message may not be whom the password is for.
    if "@" in url or holds_password(url):
        raise ValueError("holds a user, password or token; expected `url_env` or `url_file` instead")
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError("expected http or https, such as https://example.org/alarms")
    return url


def _topic(topic: str) -> str:
    try:
        prefix(topic)
    except PosewireError as error:
        raise ValueError(str(error)) from error
    if topic.split("/")[0] not in JOURNALED:
        raise ValueError(f"topic {topic[:80]!r} is not kept in the journal; expected one of {', '.join(JOURNALED)}")
    return topic


def _topic_root(text: str) -> str:
    # MQTT 5, 4.7: no wildcards, no NUL, and nothing of what the broker keeps to itself ($SYS).
    if not text.isprintable() or set("+#\0") & set(text) or text.startswith(("$", "/")) or text.endswith("/"):
        raise ValueError(
            "expected the first levels of an MQTT topic, such as home/posewire: no +, # and no / at an end"
        )
    return text


def _host(text: str) -> str:
    if "/" in text or "@" in text or not text.isprintable() or " " in text:
        raise ValueError("expected the name or address of a machine, such as broker.local; the port is `port`")
    return text


class _Sink(Section):
    """What all kinds have.

    Attributes:
        name: of the sink.
        topics: what to send: kinds, or kind/source, or kind/source/name. Faults are alarms too.
        min_severity: leave out events below it.
        phases: which messages of an event to send.
    """

    name: Annotated[Name, Field(max_length=40)]
    topics: Annotated[tuple[Annotated[str, AfterValidator(_topic)], ...], Field(min_length=1, max_length=100)] = (
        "alarm",
    )
    min_severity: Severity = Severity.INFO
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = ("start", "update", "end")

    @property
    def label(self) -> str:
        """What it is called beside the sources, in heartbeats and status messages, and its process."""
        return SINK + self.name


class MqttSink(_Sink):
    """A broker that messages are published to, with QoS 1.

    Attributes:
        host, port: of the broker; port 0 is 1883, or 8883 with TLS.
        version: of MQTT.
        tls, ca_file: encrypt, and trust the certificates of this file in place of the system's.
        user, password_env, password_file: to log in with; the password itself never stands in the configuration.
        prefix: first levels of the topics.
        retain: have the broker keep the last message of each topic for who subscribes later.
    """

    kind: Literal["mqtt"]
    host: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_host)]
    port: Integer = Field(0, ge=0, le=65535)
    version: Literal["5", "3.1.1"] = "5"
    tls: Flag = False
    ca_file: OptionalPath = ""
    user: Annotated[str, Field(max_length=200)] = ""
    password_env: VariableName = ""
    password_file: OptionalPath = ""
    prefix: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_topic_root)] = "posewire"
    retain: Flag = False

    @model_validator(mode="after")
    def _login(self) -> MqttSink:
        if self.password_env and self.password_file:
            raise ValueError("password_env and password_file; expected one of them")
        if (self.password_env or self.password_file) and not self.user:
            raise ValueError("a password without a user; expected `user` too")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file without tls; expected tls = true")
        return self


class WebhookSink(_Sink):
    """An address that messages are posted to, signed.

    Attributes:
        url, url_env, url_file: the address, or where it stands if it is a secret itself; exactly one is given.
        secret_env, secret_file: where the key of the signatures stands; exactly one is given.
        ca_file: trust the certificates of this file in place of the system's.
        timeout_s: how long to wait for an answer.
    """

    kind: Literal["webhook"]
    url: Annotated[str, Field(max_length=2000), AfterValidator(_web_address)] = ""
    url_env: VariableName = ""
    url_file: OptionalPath = ""
    secret_env: VariableName = ""
    secret_file: OptionalPath = ""
    ca_file: OptionalPath = ""
    timeout_s: Annotated[Number, Field(ge=1, le=60)] = 10.0
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = ("start", "end")

    @model_validator(mode="after")
    def _whole(self) -> WebhookSink:
        _one_of(self, "url", "url_env", "url_file")
        _one_of(self, "secret_env", "secret_file")
        return self


class AppriseSink(_Sink):
    """Phones and chats, by the services that Apprise knows.

    Attributes:
        url_env, url_file: where the services' addresses stand, with white space between them; exactly one is given.
    """

    kind: Literal["apprise"]
    url_env: VariableName = ""
    url_file: OptionalPath = ""
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = ("start",)

    @model_validator(mode="after")
    def _whole(self) -> AppriseSink:
        _one_of(self, "url_env", "url_file")
        return self


def _one_of(sink: _Sink, *keys: str) -> None:
    given = [key for key in keys if getattr(sink, key)]
    if len(given) != 1:
        expected = " and ".join([", ".join(keys[:-1]), keys[-1]])
        raise ValueError(f"{' and '.join(given) or f'no {keys[0]}'}; expected exactly one of {expected}")


SinkEntry = Annotated[MqttSink | WebhookSink | AppriseSink, Field(discriminator="kind")]
SINK_KINDS: dict[str, type[Section]] = {"mqtt": MqttSink, "webhook": WebhookSink, "apprise": AppriseSink}
"""The class of each `kind`."""
SINK_PATHS = ("ca_file", "password_file", "url_file", "secret_file")
"""Settings of sinks that are paths."""
SINK_SECRETS = ("url", "url_env", "url_file", "secret_env", "secret_file", "host")
"""Settings of sinks whose wrong values no message shows: people put passwords into them."""
