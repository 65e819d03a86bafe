"""docs/faults.md, made of the catalogue and of what a run of it measured."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.faults.catalogue import AREAS, Fault

HEAD = """# Faults

What goes wrong where posewire runs for months, what it must do then, and what it did. Each fault is injected by a test
of its own in [tests/faults](../tests/faults): most into a running daemon or command, those of damaged files, of frames
and of their times into the part that meets them first. This page is written by

```sh
.venv/bin/python -m tests.faults
```

"Alarms still come" means: from every source that the fault does not touch, without a gap in the numbers, none twice.
What cannot be injected on the machine of the run is marked as skipped, with the reason.

"""
COLUMNS = "| fault | injected by | required | measured |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Result:
    """What became of one fault.

    Attributes:
        outcome: `passed`, `failed` or `skipped`.
        told: what was measured, or why it failed or was skipped.
        seconds: how long it took.
        date: of the run.
    """

    outcome: str
    told: str
    seconds: float
    date: str


NOT_RUN = Result("not run", "", 0.0, "")


def cell(text: str) -> str:
    """Text as it can stand in a table."""
    return " ".join(text.split()).replace("|", "\\|")


def page(faults: Sequence[Fault], results: Mapping[str, Result]) -> str:
    """The whole page; `results` are by `Fault.id`."""
    found = [results.get(one.id, NOT_RUN) for one in faults]
    counts = Counter(result.outcome for result in found)
    dates = " and ".join(sorted({result.date for result in found if result.date}))
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    text = HEAD + (
        f"Run of {dates}: {len(faults)} faults, {told}, "
        f"in {sum(result.seconds for result in found) / 60:.1f} minutes, on {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}.\n"
    )
    for area in AREAS:
        rows = [(one, result) for one, result in zip(faults, found, strict=True) if one.area == area]
        text += f"\n## {area.capitalize()}\n\n{COLUMNS}" if rows else ""
        for one, result in rows:
            mark = "" if result.outcome == "passed" else f"**{result.outcome}** "
            measured = (mark + cell(result.told)).strip()
            text += f"| {cell(one.name)} | {cell(one.how)} | {cell(one.required)} | {measured} |\n"
    return text


def listed(text: str) -> set[tuple[str, str, str, str]]:
    """Area, name, how and required of each fault on the page, as `cell` writes them."""
    found = set()
    area = ""
    for line in text.splitlines():
        if line.startswith("## "):
            area = line[3:].lower()
        elif line.startswith("| ") and not COLUMNS.startswith(line):
            name, how, required, *_ = line[2:].replace("\\|", "\0").split(" | ")
            found.add((area, *(part.replace("\0", "\\|") for part in (name, how, required))))
    return found
