"""`posewire prompts why`: the starts of events that the running daemon withheld."""

from __future__ import annotations

from pathlib import Path

from stream.anomaly import NAME as ANOMALY
from stream.commands.options import OptionError
from stream.commands.prompts_running import OTHER, DaemonError, asked
from stream.config_file import load_config
from stream.console import clock, make_console, withheld_counts, withheld_line
from stream.query import Request, SnapshotReply
from stream.withheld_reply import WithheldReply

WHY = {
    "margin": "a background text described it nearly as well, or better (margin)",
    "coverage": "too little of the person was seen to decide it (windows.min_coverage)",
    "grace": "the person had just appeared (grace_s)",
    "cooldown": "the same had just ended on this person (cooldown_s)",
    "max_duration": "the one before was ended for its length, and it still went on (max_s)",
    "min_duration": "it was over too soon (min_s)",
    "outside_zone": "the person was outside its zone (zone)",
    "inside_zone": "the person was in the zone outside of which it applies (outside)",
    "outside_schedule": "it was outside its hours (schedule)",
}
"""The reasons in words, with the setting behind each."""


def explain_withheld(name: str | None, *, query: str | None, config: Path | None) -> int:
    """Show the last starts that the running daemon withheld, of one prompt or rule or of all; returns the exit code.

    Raises:
        DaemonError: no daemon answers.
        OptionError: neither the daemon nor the configuration knows the name.
    """
    reply = asked(query, config, Request(1, "withheld"))
    if not isinstance(reply, WithheldReply):
        raise DaemonError(OTHER)
    if name is not None and name not in reply.counts:
        known = _known(query, config) | set(reply.counts)
        if name not in known:
            raise OptionError(
                f"{name[:80]!r}: no prompt or rule is named so; expected one of {', '.join(sorted(known))}"
            )
    console = make_console()
    counts = {
        (one, reason): count
        for one, reasons in reply.counts.items()
        if name in (None, one)
        for reason, count in reasons.items()
    }
    for start in reply.starts:
        if name in (None, start.name):
            why = WHY.get(start.reason, start.reason.replace("_", " "))
            when = clock(start.t)
            line = withheld_line(when, start.name, start.source, start.track, start.score, why)
            console.print(line, soft_wrap=True)
    if counts:
        told = f"withheld by {reply.node} since it started: {withheld_counts(counts)}"
    else:
        others = f"; of others: {', '.join(sorted(reply.counts))}" if name and reply.counts else ""
        told = f"{reply.node} withheld no start{f' of {name}' if name else ''} since it started{others}"
    console.print(told, style="dim", soft_wrap=True)
    return 0


def _known(query: str | None, config: Path | None) -> set[str]:
    """Names of what the daemon watches for, and of what the configuration names."""
    reply = asked(query, config, Request(1, "snapshot"))
    if not isinstance(reply, SnapshotReply):
        raise DaemonError(OTHER)
    file = load_config(config)
    watched = {one.name for one in reply.prompts}
    named = {one.name for one in file.prompts} | {one.name for one in file.rules}
    return watched | named | ({ANOMALY} if file.anomaly.enabled else set())
