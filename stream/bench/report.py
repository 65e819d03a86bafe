"""All that was measured, as one JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from stream.bench.bars import Verdict, judge
from stream.bench.figures import Result, Spread
from stream.bench.machine import Machine
from stream.bench.plan import BenchError

LIMIT = 64 << 20
"""Bytes of the largest report that is read."""


class Report(msgspec.Struct):
    """What is written.

    Attributes:
        machine: that was measured.
        benches: what each found, by name.
        ratios: those of all benches.
        bars: how each is met.
    """

    machine: Machine
    benches: dict[str, Result]
    ratios: dict[str, Spread] = {}
    bars: list[Verdict] = []

    def sum_up(self) -> None:
        """Bring ratios and bars up to date with the benches."""
        self.ratios = {name: one for result in self.benches.values() for name, one in result.ratios.items()}
        self.bars = judge(self.benches)

    def as_json(self) -> bytes:
        """The file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def read_reports(paths: Sequence[Path]) -> Report:
    """One report of several files; of benches that several have, the last one counts.

    Raises:
        BenchError: a file cannot be read, is no report, or is of another machine than the first.
    """
    whole: Report | None = None
    for path in paths:
        one = _read(path)
        if whole is None:
            whole = one
        elif one.machine != whole.machine:
            raise BenchError(f"{path}: of another machine than {paths[0]}; expected reports of one machine")
        else:
            whole.benches.update(one.benches)
    if whole is None:
        raise BenchError("no report; expected a file that posewire bench --json has written")
    whole.sum_up()
    return whole


def _read(path: Path) -> Report:
    expected = "expected a file that posewire bench --json has written"
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(LIMIT), type=Report)
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}); {expected}") from error
    except msgspec.DecodeError as error:
        raise BenchError(f"{path}: no report ({error}); {expected}") from error
