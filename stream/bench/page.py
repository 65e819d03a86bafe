"""A report as a page of documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stream.bench.figures import Result
from stream.bench.report import Report
from stream.bench.view import figure_cells, number, spread_cells, verdict_cells

HEAD = """\
# How fast it is

Made by `posewire bench` from its own figures; do not edit. Each figure is the median of its runs, with their range.
"""
TRIED = "decisions/0021-what-was-tried-for-speed.md"
ABOUT = {
    "encoder": """\
The shipped network on one thread: whole windows of 50 frames in batches, the network alone; and streams stepped from
joints to features, with a decision at every frame or at every eighth. The peak is that of matrix products of the same
precision, measured in the same run; the network's work is counted by PyTorch, a multiply-add as two operations.""",
    "prompts": """\
Scoring against made-up prompts, one thread, beside the encoder that comes before; a decision is made every eight
frames.""",
    "end-to-end": """\
`posewire run`, one capture process for each camera, which plays recorded skeletons at 30 fps; "64 cameras x 2" have two
people each. Latencies are those of its heartbeats, from when a frame is due until what came of it is published: the
median of their medians, and the highest p99 of any. *Held*: nothing dropped, p99 in bounds all the while, and 95 % of
the frames or more counted through (counts come once a second, and can miss the last one). Each number of cameras runs
once, after a minute to settle.""",
    "costs": """\
`posewire run` again, with more and more cameras of one person, then with more and more people before four cameras;
memory is the proportional set size.""",
    "replay": """\
A recording of one person, as fast as it goes on one core, model loaded.""",
    "peers": """\
Each in a process of its own, one thread, in turns; each ratio is made of neighbours in time, and tells how many times
as long the peer takes. *papers*: ST-GCN in eager PyTorch, batch 1, gradients on. *graph*: the same network as it is
served, folded, in batches of 8. *windows*: ours in batches of 8, as matrices. *sliding*: the last window encoded anew
with each frame, batch 1: ours layer by layer as PyTorch runs it, from joints; *sliding graph*: the papers' ST-GCN,
which is what demos run; *sliding matrices*: ours as it is served. *every frame*: ours, stepped with a decision at every
frame; *steps*: with one every eight frames, as the daemon is shipped; both in so many streams, from joints to features.
*continual*: our network and weights made of the blocks of `continual-inference`, stepped frame by frame in so many
streams, without what comes before the network; *continual graph*: ST-GCN made of them, likewise.""",
}


def page(report: Report, picture: str = "") -> str:
    """Markdown of a report; `picture` is the address of its plot, relative to the page."""
    return "\n".join(_lines(report, picture)) + "\n"


def _lines(report: Report, picture: str) -> Iterator[str]:
    machine = report.machine
    yield HEAD
    units = ", ".join(machine.instructions) or "no vector units known"
    yield (
        f"Machine: {machine.cpu}, {machine.cores} cores ({units}), {number(machine.memory_gb)} GiB, "
        f"{machine.gpu or 'no GPU'}; {machine.system}; Python {machine.python}, torch {machine.torch}, "
        f"numpy {machine.numpy}, posewire {machine.posewire}."
    )
    if picture:
        yield f"\n![Curves and ratios]({picture})"
    measured = [verdict_cells(verdict) for verdict in report.bars if verdict.met is not None]
    if measured:
        yield "\n## Where it must stand\n"
        yield f"What a missed bar comes of, and what was tried: [decision 21]({TRIED}).\n"
        yield from _table(("bar", "bound", "measured", ""), measured)
    for name, result in report.benches.items():
        yield from _section(name, result)


def _section(name: str, result: Result) -> Iterator[str]:
    yield f"\n## {name}\n"
    yield ABOUT.get(name, "")
    others = "" if result.others is None else f", other programs took {100 * result.others:.0f} % of its processors"
    yield (
        f"\n{result.date}, {result.took_s:.0f} s; load average {result.load[0]:g} before and {result.load[1]:g} after"
        f"{others}; --seconds {result.seconds:g} --runs {result.runs}.\n"
    )
    rows = [(what, *figure_cells(figure)) for what, figure in result.figures.items()]
    yield from _table(("what", "median", "range", "runs", "unit"), rows)
    if result.lines:
        yield ""
        lines = [
            (what, number(line.slope), f"{line.y} by {line.x}", number(line.intercept), f"{line.r2:.3f}")
            for what, line in result.lines.items()
        ]
        yield from _table(("slope of", "slope", "unit", "at 0", "r²"), lines)
    if result.ratios:
        yield ""
        ratios = [(what, *spread_cells(ratio)) for what, ratio in result.ratios.items()]
        yield from _table(("ratio", "median", "range", "runs"), ratios)
    for note in result.notes:
        yield f"\n{note[:1].upper()}{note[1:]}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
