"""The `posewire` command in a test's own process: starting torch anew each time would take most of the time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from stream.cli import main


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the command with some arguments."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["posewire", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        told = capsys.readouterr()
        return Result(exit.value.code or 0, told.out, told.err)

    return run
