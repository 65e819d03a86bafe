"""What the supervisor says of a sink."""

from __future__ import annotations

from stream.daemon.child import SourceNote
from stream.daemon.process import FAULTED_PAUSE_S, ChildProcess


def sink_note(child: ChildProcess) -> SourceNote | None:
    """How a sink is, for the publisher to tell; None while it starts, when what was told last holds."""
    counts = child.counts
    if child.faulted:
        detail = f"its process {child.trouble}; tried again every {FAULTED_PAUSE_S:.0f} s"
        return SourceNote(child.name, "faulted", detail)
    if child.restart_at is not None:
        return SourceNote(child.name, "lost", f"its process {child.trouble}")
    if counts.get("state", "starting") == "starting":
        return None
    return SourceNote(child.name, counts["state"], counts["detail"], counts["delivered"], counts["set_aside"])
