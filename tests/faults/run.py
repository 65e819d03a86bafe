"""A run of the catalogue: what became of each fault, and docs/faults.md made of it."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from running_daemon import ROOT

from tests.faults.catalogue import catalogue
from tests.faults.page import Result, page

LONGEST = 300
"""Characters of a failure that are kept."""


class Recorder:
    """Takes down what becomes of each fault, as a plugin of pytest."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        key = told.get("fault")
        if key is None or (report.when != "call" and report.passed):
            return
        if report.skipped and isinstance(report.longrepr, tuple):
            text = str(report.longrepr[2]).removeprefix("Skipped: ")
        elif report.passed:
            text = str(told.get("measured", ""))
        else:
            lines = [line[2:] for line in report.longreprtext.splitlines() if line.startswith("E ")]
            text = " ".join(lines)[:LONGEST]
        self.results[str(key)] = Result(report.outcome, text, report.duration, time.strftime("%Y-%m-%d"))


def main(words: list[str]) -> int:
    """Run all faults, or those that `words` choose; returns the exit code: 0 if none failed."""
    recorder = Recorder()
    chosen = ["-k", " ".join(words)] if words else []
    folder = str(Path(__file__).parent)
    code = pytest.main([folder, "-m", "", "-p", "no:xdist", "-vv", "-rs", "--tb=short", *chosen], plugins=[recorder])
    for key, result in recorder.results.items():
        sys.stdout.write(f"{result.outcome:<8} {result.seconds:5.1f} s  {key}: {result.told}\n")
    out = ROOT / "out" / "faults.json"
    out.parent.mkdir(exist_ok=True)
    kept = {key: Result(**fields) for key, fields in json.loads(out.read_text()).items()} if out.exists() else {}
    faults = catalogue()
    results = kept | recorder.results
    known = {one.id: results[one.id] for one in faults if one.id in results}
    out.write_text(json.dumps({key: asdict(result) for key, result in known.items()}, indent=1) + "\n")
    (ROOT / "docs" / "faults.md").write_text(page(faults, known))
    return int(code)
