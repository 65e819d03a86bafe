"""`posewire bench`: how fast it runs on this machine, and beside what users would run instead."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from stream.bench.child import measure
from stream.bench.figures import Result
from stream.bench.machine import Neighbours, load, this_machine
from stream.bench.page import page
from stream.bench.plan import BenchError, Plan
from stream.bench.report import Report, read_reports
from stream.bench.view import bar_table, result_tables
from stream.commands.options import OptionError, check_targets
from stream.commands.outputs import replace_file
from stream.console import make_console
from stream.errors import PosewireError

if TYPE_CHECKING:
    from stream.bench.end_to_end import Tell

Bench = Callable[[Plan, "Tell"], Result]
PEERS = "peers"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where results go besides the terminal; None is nowhere.

    Attributes:
        json: all figures.
        plot: a picture.
        doc: a page of documentation.
    """

    json: Path | None = None
    plot: Path | None = None
    doc: Path | None = None


def bench_all(names: Sequence[str], plan: Plan, outputs: Outputs, earlier: Sequence[Path] = ()) -> int:
    """Run benches, by default all but the peers, and show and write what they found.

    Args:
        names: of the benches.
        plan: how much to measure.
        outputs: where it goes.
        earlier: reports of earlier runs to show and write instead of measuring.

    Raises:
        OptionError: no such bench, or an output cannot be written.
        BenchError: an earlier report cannot be used, or a bench failed; the others are done and written before.
        OutputError: an output cannot be written after all.
    """
    _check(names, plan, outputs, earlier)
    console = make_console()
    if earlier:
        report = read_reports(earlier)
        for name, result in report.benches.items():
            _show(console, name, result)
        failed: list[str] = []
    else:
        report = Report(this_machine(), {})
        chosen = [*(names or (name for name in BENCHES if name != PEERS)), *([PEERS] if plan.compare else [])]
        failed = _measure(list(dict.fromkeys(chosen)), plan, report, outputs.json, console)
    report.sum_up()
    console.print(bar_table(report))
    if outputs.json:
        replace_file(outputs.json, report.as_json())
    picture = _draw(report, outputs)
    if outputs.doc:
        replace_file(outputs.doc, page(report, picture).encode())
    for what, path in (("figures", outputs.json), ("picture", outputs.plot), ("page", outputs.doc)):
        if path:
            console.print(f"{what}: {path}", soft_wrap=True)
    if failed:
        raise BenchError(f"not measured: {', '.join(failed)}; see above")
    return 0


def _check(names: Sequence[str], plan: Plan, outputs: Outputs, earlier: Sequence[Path]) -> None:
    cameras, most = plan.cameras, plan.most
    for name in names:
        if name not in BENCHES:
            raise OptionError(f"bench {name!r}: unknown; expected {', '.join(BENCHES)}")
    if names and earlier:
        raise OptionError(f"{names[0]} and --from; expected benches to run, or earlier reports to show")
    if cameras > most:
        raise OptionError(f"--cameras {cameras} and --most {most}; expected no more than are tried at most")
    if outputs.plot:
        if outputs.plot.suffix.lower() != ".png":
            raise OptionError(f"--plot {outputs.plot}: expected a name that ends in .png")
        from stream.commands.calibrate_plot import check_matplotlib

        check_matplotlib()
    targets = {"--json": outputs.json, "--plot": outputs.plot, "--doc": outputs.doc}
    check_targets({option: path for option, path in targets.items() if path})


def _measure(names: Sequence[str], plan: Plan, report: Report, json: Path | None, console: Console) -> list[str]:
    """Run benches one after the other; returns those that failed. Each is written as soon as it is done."""
    complaints = make_console(stderr=True)
    failed = []
    for name in names:
        began, load_before, neighbours = time.monotonic(), load(), Neighbours()
        date = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        try:
            result = BENCHES[name](plan, lambda line: complaints.print(line, style="dim", soft_wrap=True))
        except PosewireError as error:
            complaints.print(f"{name}: {error}", soft_wrap=True)
            failed.append(name)
            continue
        result.date, result.took_s = date, round(time.monotonic() - began, 1)
        result.load, result.others = (load_before, load()), neighbours.share()
        result.seconds, result.runs = plan.seconds, plan.runs
        report.benches[name] = result
        _show(console, name, result)
        if json:
            report.sum_up()
            replace_file(json, report.as_json())
    return failed


def _show(console: Console, name: str, result: Result) -> None:
    for table in result_tables(name, result):
        console.print(table)
        console.print()
    for note in result.notes:
        console.print(f"{name}: {note}", style="dim", soft_wrap=True)


def _draw(report: Report, outputs: Outputs) -> str:
    """Write the picture, if it is wanted; returns its address on the page."""
    if not outputs.plot:
        return ""
    from stream.bench.plot import picture

    replace_file(outputs.plot, picture(report))
    return Path(relpath(outputs.plot, outputs.doc.parent)).as_posix() if outputs.doc else ""


def _end_to_end(plan: Plan, tell: Tell) -> Result:
    from stream.bench.end_to_end import bench_end_to_end

    _need_linux()
    return bench_end_to_end(plan, tell)


def _costs(plan: Plan, tell: Tell) -> Result:
    from stream.bench.costs import bench_costs

    _need_linux()
    return bench_costs(plan, tell)


def _peers(plan: Plan, tell: Tell) -> Result:
    from stream.bench.compare import bench_peers

    return bench_peers(plan, tell)


def _need_linux() -> None:
    if sys.platform != "linux":
        raise BenchError(f"{sys.platform}: processes cannot be looked at here; expected Linux")


BENCHES: dict[str, Bench] = {
    "encoder": lambda plan, _: measure("encoder", plan),
    "prompts": lambda plan, _: measure("prompts", plan),
    "replay": lambda plan, _: measure("replay", plan),
    "costs": _costs,
    "end-to-end": _end_to_end,
    PEERS: _peers,
}
"""By name, in the order in which they are run."""
