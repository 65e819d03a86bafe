"""A `posewire` command in this process: starting another would take most of a fault's time."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from stream.cli import main


def refusal(*arguments: object) -> list[str]:
    """Run a command that must be refused: exit code 2, no traceback; the lines that it says so in."""
    told = io.StringIO()
    code: object = 0
    with patch.object(sys, "argv", ["posewire", *map(str, arguments)]), redirect_stdout(told), redirect_stderr(told):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    text = told.getvalue()
    assert code == 2, (code, text)
    assert "Traceback" not in text, text
    return text.strip().splitlines()


def refused(*arguments: object, words: Sequence[str]) -> str:
    """The one line, with these words, by which a command is refused."""
    (line,) = refusal(*arguments)
    missing = [word for word in words if word not in line]
    assert not missing, (missing, line)
    return line


def shown(line: str, folder: object) -> str:
    """What a line says, as it can stand in a table: without the folders of this machine."""
    text = line.removeprefix("posewire: ").replace(f"{folder}/", "")
    return f"exit code 2: {text}" if len(text) <= 160 else f"exit code 2: {text[:157]}..."
