"""The `posewire calibrate` commands and `posewire report-false`; only light imports at the top, as in `stream.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stream.cli_options import ConfigOption, leave


class _ThresholdsFirst(TyperGroup):
    """`posewire calibrate RECORDING...` is `posewire calibrate thresholds RECORDING...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer brings a context of its own in new versions
        """A file that is called like a command is meant by `./normal`."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["thresholds", *args]
        return super().parse_args(ctx, args)


calibrate_app = typer.Typer(
    cls=_ThresholdsFirst,
    help="Thresholds from recordings of what is normal (calibrate RECORDING..., short for calibrate thresholds "
    "RECORDING...; its options: posewire calibrate thresholds --help), or what normal looks like.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@calibrate_app.command("normal")
def calibrate_normal(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Recordings of what is normal: skeleton files, folders.")
    ] = None,
    from_daemon: Annotated[
        bool, typer.Option("--from-daemon", help="From the skeletons that a running daemon publishes instead.")
    ] = False,
    seconds: Annotated[float, typer.Option(metavar="N", min=1, help="How long --from-daemon learns.")] = 3600.0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to keep it; default: as configured, for the daemon.")
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add to what was learnt before.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what was learnt before; alone, only that.")] = False,
    config: ConfigOption = None,
) -> None:
    """Learn what normal looks like, for anomalies."""
    from stream.commands.calibrate_normal import calibrate_normal as learn

    leave(learn(paths or [], from_daemon=from_daemon, seconds=seconds, out=out, add=add, reset=reset, config=config))


@calibrate_app.command("thresholds")
def calibrate_thresholds(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Recordings in which nothing is to be raised: files, folders, globs."),
    ] = None,
    positive: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="Recordings of what a prompt means, found once in each; repeatable."),
    ] = None,
    fa_per_hour: Annotated[
        float, typer.Option(min=0, max=3600, help="False alarms wished at most, an hour and prompt.")
    ] = 0.5,
    out: Annotated[
        Path | None, typer.Option(metavar="BLOCK.toml", help="Write the [[prompts]] blocks; - is standard output.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PLOT.png", help="Draw scores and false alarms (needs matplotlib).")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="OUT.json", help="Write the figures; - is standard output.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only replay the filed false alarms; exit code 1 if any is raised again.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Find each prompt's thresholds at a wished number of false alarms per hour."""
    from stream.commands.calibrate import calibrate_thresholds as calibrate
    from stream.commands.calibrate import check_clips

    if check:
        if paths or positive or out or plot or json:
            raise typer.BadParameter("--check takes no recordings and writes nothing")
        leave(check_clips(config))
        return
    leave(
        calibrate(
            paths or [],
            positive=positive or [],
            fa_per_hour=fa_per_hour,
            out=out,
            plot=plot,
            json_out=json,
            config=config,
        )
    )


def report_false(
    event: Annotated[str, typer.Argument(metavar="EVENT_ID", help="Id of an event that should not have been.")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="What was really going on.")] = "",
    recording: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="The event is of a replay of this, not of a running daemon; repeatable."),
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Where to ask for events; default: as configured.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what was filed of this event.")] = False,
    config: ConfigOption = None,
) -> None:
    """File an event's joints as a false alarm, which calibration keeps from being raised again."""
    from stream.commands.report_false import report_false as report

    leave(report(event, note=note, recordings=recording or [], query=query, force=force, config=config))
