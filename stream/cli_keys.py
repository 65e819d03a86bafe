"""The `posewire keys` commands; only light imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli_options import ConfigOption, leave

keys_app = typer.Typer(help="Who may connect, where security.curve is on.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the client, such as nurses.")]
KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Key to be let in by; default: as configured.")
]
ServerKeyOption = Annotated[
    Path | None,
    typer.Option("--server-key", metavar="FILE", help="The daemon's public key; default: as configured."),
]


@keys_app.command("new")
def keys_new(
    name: NameArgument,
    role: Annotated[
        str, typer.Option(metavar="subscribe|control", help="To read only, or to change the prompts too.")
    ] = "subscribe",
    config: ConfigOption = None,
) -> None:
    """Make a key and let its owner in, at once."""
    from stream.commands.keys import new_key

    leave(new_key(name, role, config))


@keys_app.command("list")
def keys_list(config: ConfigOption = None) -> None:
    """Show who is let in."""
    from stream.commands.keys import list_keys

    leave(list_keys(config))


@keys_app.command("revoke")
def keys_revoke(name: NameArgument, config: ConfigOption = None) -> None:
    """Shut a key's owner out, within seconds where the daemon runs."""
    from stream.commands.keys import revoke_key

    leave(revoke_key(name, config))
