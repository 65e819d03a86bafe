"""Options that take several values after one flag: `--positive kick punch` is `--positive kick --positive punch`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from typer.core import TyperCommand


def spread(arguments: Sequence[str], flags: Collection[str]) -> list[str]:
    """Repeat some flags before each of their values.

    Values go on to the next argument that begins with a dash, and to `--`, after which nothing is changed. A value that
    begins with a dash itself is given as `--flag=-value`; `--flag=value` may have more values behind it, too.

    Args:
        arguments: of a command, without its name.
        flags: those that take one value or more, such as {"--positive"}.
    """
    found: list[str] = []
    flag, fresh = "", False
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[place:]]
        if argument.startswith("-") and argument != "-":
            flag, _, value = argument.partition("=")
            found.append(argument)
            flag, fresh = (flag, not value and "=" not in argument) if flag in flags else ("", False)
        elif flag and not fresh:
            found += [flag, argument]
        else:
            found.append(argument)
            fresh = False
    return found


class VariadicCommand(TyperCommand):
    """A command whose repeatable options take several values after one flag."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer brings a context of its own in new versions
        """See `spread`."""
        flags = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, spread(args, flags))
