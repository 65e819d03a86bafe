"""`posewire schema`."""

from __future__ import annotations

from pathlib import Path

from stream.console import make_console
from stream.errors import PosewireError
from stream.schema import render, schemas, write


class SchemaError(PosewireError):
    """There is no such schema."""


def show_schema(name: str | None, out: Path | None) -> int:
    """Print one schema, list them, or write them all; returns the exit code.

    Raises:
        SchemaError: there is no such schema, or they cannot be written.
    """
    console = make_console()
    if out is not None:
        try:
            written = write(out)
        except OSError as error:
            raise SchemaError(f"{out}: cannot be written ({error.strerror})") from error
        console.print(f"{len(written)} schemas in {out}", soft_wrap=True)
    elif name is None:
        console.print("\n".join(sorted(schemas())))
    elif name in schemas():
        console.out(render(schemas()[name]), end="", highlight=False)
    else:
        raise SchemaError(f"no message type {name!r}; expected one of {', '.join(sorted(schemas()))}")
    return 0
