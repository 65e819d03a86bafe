"""The `posewire` command.

Only light imports at the top: `--help` must answer at once, so each command imports what it needs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stream.cli_calibrate import calibrate_app, report_false
from stream.cli_capture import devices, models_app
from stream.cli_eval import eval_app
from stream.cli_keys import KeyOption, ServerKeyOption, keys_app
from stream.cli_options import ConfigOption, leave
from stream.cli_prompts import prompts_app, reload
from stream.cli_purge import purge
from stream.cli_train import reproduce, train

app = typer.Typer(
    name="posewire",
    help="Joints in, named actions and alarms out, in real time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(prompts_app, name="prompts")
app.add_typer(eval_app, name="eval")
app.add_typer(calibrate_app, name="calibrate")
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"posewire {version('posewire')}")
        raise typer.Exit


@app.callback()
def top(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Joints in, named actions and alarms out, in real time."""
    from stream.security.memory import no_core_dumps

    no_core_dumps()  # of processes that hold images: the next are started by this one


PromptOption = Annotated[
    list[str] | None,
    typer.Option("--prompt", metavar="TEXT", help="Watch for this instead of the configured prompts; repeatable."),
]


@app.command()
def replay(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Skeleton files, folders, globs.")],
    speed: Annotated[str, typer.Option(metavar="1|N|max", help="Times real time, or as fast as it goes.")] = "1",
    prompt: PromptOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.ndjson", help="Write each event message, one a line.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page to look at.")] = None,
    video: Annotated[
        Path | None,
        typer.Option(
            "--with-video",
            metavar="FILE",
            help="Draw the report's joints over this video, which must be the one that the recording was made of: "
            "the page then holds its images.",
        ),
    ] = None,
    fov: Annotated[
        float | None,
        typer.Option(min=20, max=150, help="The video's angle of view, as it was recorded with; default: 60 degrees."),
    ] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Publish over ZeroMQ as the daemon does.")] = False,
    config: ConfigOption = None,
) -> None:
    """Replay recorded skeleton files: frames in, events out."""
    from stream.commands.replay import replay_files

    leave(
        replay_files(
            paths,
            speed=speed,
            texts=prompt or [],
            out=out,
            report=report,
            publish=publish,
            config=config,
            video=video,
            fov_deg=fov,
        )
    )


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the daemon until Ctrl-C or the end of all files."""
    from stream.commands.run import run_daemon

    leave(run_daemon(config))


@app.command()
def watch(
    topics: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC", help="Such as alarm, action/cam1; default: events.")
    ] = None,
    connect: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Where events are published; default: as configured.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Where to ask for what was missed; default: as configured.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print envelopes, one a line.")] = False,
    cursor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on where this file says, and keep it up to date.")
    ] = None,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what a daemon publishes, from now on, or from where it was left."""
    from stream.commands.watch import watch_events

    leave(
        watch_events(
            topics or [],
            connect=connect,
            query=query,
            json=json,
            config=config,
            key=key,
            server_key=server_key,
            cursor=cursor,
        )
    )


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check configuration, sources, model and prompts."""
    from stream.commands.check import check_all

    leave(check_all(config))


@app.command()
def record(
    out: Annotated[Path, typer.Option(metavar="FILE.pwr", help="The recording to write.")],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Skeleton files to convert; default: the sources.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after this long.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the recording if it exists.")] = False,
    config: ConfigOption = None,
) -> None:
    """Record the configured sources, or convert skeleton files."""
    from stream.commands.record import record_frames

    leave(record_frames(out, paths or [], seconds=seconds, force=force, config=config))


@app.command()
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="encoder, prompts, replay, costs, end-to-end, peers; default: all but peers, in half an hour.",
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures there.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw them.")] = None,
    doc: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Write a page about them.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Measure what users would run instead, too.")] = False,
    seconds: Annotated[
        float,
        typer.Option(
            min=0.05, help="How long each figure is measured, in each run; a trial of end-to-end takes 15 times that."
        ),
    ] = 4.0,
    runs: Annotated[
        int, typer.Option(min=1, help="How often each figure is measured; a trial of end-to-end is run once.")
    ] = 5,
    cameras: Annotated[int, typer.Option(min=1, max=512, help="What end-to-end tries after one camera.")] = 64,
    most: Annotated[int, typer.Option(min=1, max=512, help="Cameras that end-to-end tries at most.")] = 256,
    people: Annotated[int, typer.Option(min=1, max=6, help="People before each camera of end-to-end.")] = 2,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE.json",
            help="Measure nothing: show what --json wrote; repeatable, later files count.",
        ),
    ] = None,
) -> None:
    """Measure how fast it runs on this machine."""
    from stream.bench.plan import Plan
    from stream.commands.bench import Outputs, bench_all

    plan = Plan(seconds, runs, cameras, people, most, compare)
    leave(bench_all(names or [], plan, Outputs(json, plot, doc), earlier or []))


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="One message type; default: list them.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write all schemas there.")] = None,
) -> None:
    """Print the JSON schemas of the messages."""
    from stream.commands.schema import show_schema

    leave(show_schema(name, out))


@app.command()
def teach(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="What to call the action.")] = None,
    clips: Annotated[
        list[str] | None, typer.Argument(metavar="CLIP", help="1 to 10 recordings of it, and little else.")
    ] = None,
    from_event: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="An event of a running daemon as an example; repeatable.")
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="DESCRIPTION", help="What people are told that it is.")] = None,
    severity: Annotated[str, typer.Option(metavar="info|alert|critical", help="Above info: an alarm.")] = "info",
    force: Annotated[bool, typer.Option("--force", help="Replace what was taught under this name.")] = False,
    query: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Where to ask for events; default: as configured.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show what was taught.")] = False,
    forget: Annotated[str | None, typer.Option(metavar="NAME", help="Remove what was taught under a name.")] = None,
    config: ConfigOption = None,
) -> None:
    """Teach an action by 1 to 10 examples: recordings, or events of a running daemon."""
    if sum((name is not None, list_, forget is not None)) != 1:
        raise typer.BadParameter("expected one of NAME with its examples, --list, --forget NAME")
    from stream.commands.teach import forget_action, list_actions, teach_action

    if list_:
        leave(list_actions(config))
    elif forget is not None:
        leave(forget_action(forget, config))
    elif name is not None:
        leave(
            teach_action(
                name,
                clips or [],
                events=from_event or [],
                text=text,
                severity=severity,
                force=force,
                query=query,
                config=config,
            )
        )


app.command("report-false")(report_false)
app.command()(reload)
app.command()(devices)
app.command()(purge)
app.command()(train)
app.command()(reproduce)


def main() -> None:
    """Entry point: errors that a user can act on become lines on standard error and exit code 2."""
    from models.errors import ModelError
    from stream.errors import PosewireError

    try:
        app()
    except (PosewireError, ModelError) as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"posewire: {line}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
