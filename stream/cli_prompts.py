"""The `posewire prompts` commands; only light imports."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli_options import ConfigOption, leave

prompts_app = typer.Typer(help="What is watched for.", no_args_is_help=True, rich_markup_mode=None)

QueryOption = Annotated[
    str | None, typer.Option("--query", metavar="ENDPOINT", help="Where to ask the daemon; default: as configured.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `posewire prompts list` shows it.")]
NameOption = Annotated[str | None, typer.Option(metavar="NAME", help="Its short name; default: made of the text.")]
SeverityOption = Annotated[
    str | None, typer.Option(metavar="info|alert|critical", help="Above info: an alarm; default: info.")
]
EnterOption = Annotated[float | None, typer.Option(metavar="0..1", help="Score from which it begins.")]
ExitOption = Annotated[float | None, typer.Option(metavar="0..1", help="Score below which it ends.")]
AlsoOption = Annotated[
    list[str] | None, typer.Option("--also", metavar="TEXT", help="The same in other words; repeatable.")
]
WithOption = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="KEY=VALUE", help="Any other key of a [[prompts]] block, as TOML; repeatable."),
]


@prompts_app.command("list")
def prompts_list(
    config: ConfigOption = None,
    running: Annotated[bool, typer.Option("--running", help="Ask the running daemon for what it watches.")] = False,
    query: QueryOption = None,
) -> None:
    """List the prompts, their thresholds, and what they compete with; with those changed at a running daemon."""
    if running or query:
        from stream.commands.prompts_running import list_running

        leave(list_running(query=query, config=config))
        return
    from stream.commands.prompts import list_prompts

    leave(list_prompts(config))


@prompts_app.command("test")
def prompts_test(
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="What a person might be doing, in one way or several.")
    ],
    enter: EnterOption = None,
    exit: ExitOption = None,
    more: WithOption = None,
    config: ConfigOption = None,
    query: QueryOption = None,
) -> None:
    """Say how well the model knows an action, and what a running daemon would have raised in its last minutes."""
    from stream.commands.prompts import test_prompt
    from stream.commands.prompts_running import block_of, try_prompt

    code = test_prompt(texts, config)
    block = block_of(text=texts[0], also=texts[1:], enter=enter, exit=exit, more=more)
    leave(code or try_prompt(block, query=query, config=config))


@prompts_app.command("add")
def prompts_add(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What a person might be doing.")],
    name: NameOption = None,
    severity: SeverityOption = None,
    enter: EnterOption = None,
    exit: ExitOption = None,
    also: AlsoOption = None,
    more: WithOption = None,
    config: ConfigOption = None,
    query: QueryOption = None,
) -> None:
    """Have the running daemon watch for something more, from now on and after its next start."""
    from stream.commands.prompts_running import block_of, change_prompts

    block = block_of(text=text, name=name, severity=severity, enter=enter, exit=exit, also=also, more=more)
    leave(change_prompts("prompt_add", block=block, query=query, config=config))


@prompts_app.command("set")
def prompts_set(
    name: NameArgument,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Another description.")] = None,
    severity: SeverityOption = None,
    enter: EnterOption = None,
    exit: ExitOption = None,
    also: AlsoOption = None,
    more: WithOption = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="KEY", help="Its default again, such as enter; repeatable.")
    ] = None,
    config: ConfigOption = None,
    query: QueryOption = None,
) -> None:
    """Change a prompt of the running daemon."""
    from stream.commands.prompts_running import block_of, change_prompts

    block = block_of(text=text, severity=severity, enter=enter, exit=exit, also=also, more=more, unset=unset)
    if not block:
        raise typer.BadParameter("expected something to change, such as --enter 0.6")
    leave(change_prompts("prompt_set", name=name, block=block, query=query, config=config))


@prompts_app.command("remove")
def prompts_remove(name: NameArgument, config: ConfigOption = None, query: QueryOption = None) -> None:
    """Have the running daemon no longer watch for something; its open events end."""
    from stream.commands.prompts_running import change_prompts

    leave(change_prompts("prompt_remove", name=name, query=query, config=config))


@prompts_app.command("reset")
def prompts_reset(config: ConfigOption = None, query: QueryOption = None) -> None:
    """Have the running daemon watch for what its configuration file says, and nothing else."""
    from stream.commands.prompts_running import change_prompts

    leave(change_prompts("prompt_reset", query=query, config=config))


@prompts_app.command("why")
def prompts_why(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of a prompt or rule, as events have it; default: all.")
    ] = None,
    config: ConfigOption = None,
    query: QueryOption = None,
) -> None:
    """Say why the running daemon raised no event where it nearly did: the starts that it withheld lately."""
    from stream.commands.prompts_why import explain_withheld

    leave(explain_withheld(name, query=query, config=config))


def reload(config: ConfigOption = None, query: QueryOption = None) -> None:
    """Have the running daemon read its configuration file again, as SIGHUP does."""
    from stream.commands.prompts_running import change_prompts

    leave(change_prompts("reload", query=query, config=config))
