"""`posewire keys new|list|revoke`."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from stream.config import Config
from stream.config_file import load_config
from stream.console import make_console
from stream.security.key_ring import ROLES
from stream.security.keys import KeyFileError
from stream.security.settings import key_ring


def new_key(name: str, role: str, config: Path | None) -> int:
    """Make a key and say what to do with it, never the key itself; returns the exit code.

    Raises:
        KeyFileError: the name or role is none, or taken, or nothing can be written.
    """
    settings = load_config(config)
    known = next((one for one in ROLES if one == role), None)
    if known is None:
        raise KeyFileError(f"--role: {role[:40]!r} is none; expected {' or '.join(ROLES)}")
    ring = key_ring(settings)
    issued = ring.new(name, known)
    console = make_console()
    console.print(f"{name} ({known}) is let in with these two files; hand them over, and delete the first here:",
                  soft_wrap=True)  # fmt: skip
    console.out(f"  {issued}\n  {ring.server_public}", highlight=False)
    _note(settings)
    return 0


def list_keys(config: Path | None) -> int:
    """Show who is let in; returns the exit code.

    Raises:
        KeyFileError: the folder of keys is not in order.
    """
    settings = load_config(config)
    table = Table("name", "role", "made", "public key", box=None)
    clients = key_ring(settings).clients()
    for client in clients:
        table.add_row(client.name, client.role, client.created, client.public)
    console = make_console()
    console.print(table if clients else "no keys: nobody is let in; posewire keys new NAME makes one", markup=False)
    _note(settings)
    return 0


def revoke_key(name: str, config: Path | None) -> int:
    """Shut a key's owner out; returns the exit code.

    Raises:
        KeyFileError: there is no such key, or it cannot be removed.
    """
    settings = load_config(config)
    key_ring(settings).revoke(name)
    make_console().print(f"{name} is shut out; a daemon that runs drops its connections within seconds", markup=False)
    _note(settings)
    return 0


def _note(settings: Config) -> None:
    if not settings.security.curve:
        told = "security.curve is off: everybody on this machine is let in, without a key"
        make_console(stderr=True).print(told, style="yellow", soft_wrap=True)
