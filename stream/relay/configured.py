"""From `[[sinks]]` blocks to ways out, with what must be installed and the secrets that must be there."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stream.config import Config
from stream.config_sinks import AppriseSink, MqttSink, SinkEntry
from stream.errors import PosewireError
from stream.relay.base import Relay, RelayError
from stream.secrets import read_password

_NEEDS = {"mqtt": "paho.mqtt", "webhook": "urllib3", "apprise": "apprise"}
"""What each kind imports; its extra has the kind's name."""


class Secrets(NamedTuple):
    """What a sink needs and the configuration does not hold; empty where it needs none.

    Attributes:
        password: of an MQTT user, or the key of a webhook's signatures.
        url: the address, or addresses.
    """

    password: str
    url: str


def read_secrets(entry: SinkEntry, where: str, *, warn: bool = True) -> Secrets:
    """Read them from the environment or from files.

    Args:
        entry: the sink.
        where: names it in errors.
        warn: whether to, of files that others may read.

    Raises:
        SourceError: one is not set, cannot be read or is empty.
    """

    def read(env: str, file: str, what: str) -> str:
        return read_password(where, env=env, file=file, warn=warn, what=what) if env or file else ""

    if isinstance(entry, MqttSink):
        return Secrets(read(entry.password_env, entry.password_file, "the password of an MQTT user"), "")
    if isinstance(entry, AppriseSink):
        return Secrets("", read(entry.url_env, entry.url_file, "addresses of services"))
    url = entry.url or read(entry.url_env, entry.url_file, "an address")
    return Secrets(read(entry.secret_env, entry.secret_file, "the key of the signatures"), url)


def make_relay(entry: SinkEntry, node: str, where: str, *, warn: bool = True) -> Relay:
    """Return the way out of a sink; nothing is connected yet.

    Args:
        entry: the sink.
        node: name of the daemon.
        where: names the sink in errors.
        warn: see `read_secrets`.

    Raises:
        RelayError: its extra is not installed, or a secret is of no use.
        SourceError: a secret is not there.
    """
    try:
        there = importlib.util.find_spec(_NEEDS[entry.kind]) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise RelayError(f'{where}: kind "{entry.kind}" needs the extra "{entry.kind}": '
                         f"pip install 'posewire[{entry.kind}]'")  # fmt: skip
    secrets = read_secrets(entry, where, warn=warn)
    # Its texts hold addresses, in a form that they were not given in; Apprise has it beneath requests.
    logging.getLogger("urllib3").propagate = False
    # Here, as each needs what only its own extra brings.
    try:
        if isinstance(entry, MqttSink):
            from stream.relay.mqtt import MqttRelay

            return MqttRelay(entry, node, secrets.password)
        if isinstance(entry, AppriseSink):
            from stream.relay.apprise import AppriseRelay

            return AppriseRelay(entry, secrets.url)
        from stream.relay.webhook import WebhookRelay

        return WebhookRelay(entry, secrets.url, secrets.password)
    except RelayError as error:
        raise RelayError(f"{where}: {error}") from None


def check_sinks(config: Config, path: Path) -> None:
    """Make all sinks once, as whoever starts the daemon should be told at once what is missing.

    Raises:
        RelayError: something is: one line for each.
    """
    lines = list(_complaints(config.sinks, config.node.name, path))
    if lines:
        raise RelayError("\n".join(lines))


def _complaints(sinks: Iterable[SinkEntry], node: str, path: Path) -> Iterable[str]:
    for index, entry in enumerate(sinks):
        try:
            make_relay(entry, node, f"{path}: sinks[{index}] ({entry.name})", warn=False).close()
        except PosewireError as error:
            yield str(error)
