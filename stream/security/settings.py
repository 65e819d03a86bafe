"""From the configuration's `[security]` to keys: the daemon's and a client's."""

from __future__ import annotations

from pathlib import Path

from stream.config import Config
from stream.daemon.state_folder import state_path
from stream.errors import PosewireError
from stream.security.client_keys import ClientKeys
from stream.security.door import Door
from stream.security.key_ring import KeyRing

SINKS = "posewire-sinks"
"""Name of the key by which the daemon lets its own sinks in."""


class NoKeyError(PosewireError):
    """A client needs a key and has none."""


def key_ring(config: Config) -> KeyRing:
    """Return the daemon's keys.

    Raises:
        StateError: there is no folder for them.
    """
    return KeyRing(Path(config.security.keys) if config.security.keys else state_path(config.node) / "keys")


def door(config: Config) -> Door | None:
    """Return the door of the public sockets, None where everybody of this machine may come in.

    Raises:
        StateError: there is no folder for keys.
        KeyFileError: the keys are not in order.
    """
    return Door(key_ring(config)) if config.security.curve else None


def sink_keys(config: Config) -> ClientKeys | None:
    """Return by what the daemon's own sinks are let in, made unless it is there; None where no key is needed.

    Raises:
        StateError: there is no folder for keys.
        KeyFileError: the keys are not in order.
    """
    if not config.security.curve:
        return None
    ring = key_ring(config)
    return ClientKeys.read(ring.keep(SINKS, "subscribe"), ring.server_public)


def client_keys(config: Config, *, key: Path | None = None, server_key: Path | None = None) -> ClientKeys | None:
    """Return what a command shows to be let in, None where no key is configured and none is needed.

    Args:
        config: of the daemon, or of a client elsewhere, with the paths of its two files.
        key, server_key: in place of what is configured.

    Raises:
        NoKeyError: the daemon wants a key, and there is none.
        StateError: the daemon's public key is in no known folder.
        KeyFileError: a file cannot be read or holds no such key.
    """
    settings = config.security
    own = key or (Path(settings.key) if settings.key else None)
    if own is None:
        if settings.curve or server_key is not None:
            raise NoKeyError(
                "security.key: no key to be let in by; expected the file of one as security.key (posewire watch: or "
                "--key), such as `posewire keys new NAME --role control` makes"
            )
        return None
    server = server_key or (Path(settings.server_key) if settings.server_key else None)
    return ClientKeys.read(own, server or key_ring(config).server_public)
