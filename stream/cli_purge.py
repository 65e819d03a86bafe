"""The `posewire purge` command; only light imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli_options import ConfigOption, leave


def purge(
    list_: Annotated[bool, typer.Option("--list", help="Show what is stored, and erase nothing.")] = False,
    what: Annotated[
        str | None,
        typer.Option(metavar="WHAT,...", help="Such as journal,regressions (see --list); default: all about people."),
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Only what is older than 90m, 12h or 7d.")
    ] = None,
    recording: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Recordings too: a file, or a folder of them; repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Erase what is stored about people; the daemon must be stopped."""
    from stream.commands import purge as command

    if list_:
        if what is not None or older_than is not None or yes:
            raise typer.BadParameter("--list erases nothing; expected it alone, or with --recording")
        leave(command.list_stored(config=config, recordings=recording or []))
        return
    leave(command.purge(config=config, what=what, older_than=older_than, recordings=recording or [], yes=yes))
