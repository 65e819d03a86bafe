"""A publisher process as full as it may be: `python full_target.py FOLDER EVENTS QUERY RATE TEXT`.

Its journal is at `journal.keep_events` of every kind, as many events are open as are kept, so are examples and clips,
and it publishes alarms at a rate, with prompts of so many characters. It prints `ready`, then, twice a second, how much
memory it holds.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from door_samples import alarm

import stream.daemon.publish  # noqa: F401  # all that the daemon's own process loads
from stream.clip_reply import MAX_CLIP_BYTES, MAX_CLIPS
from stream.durable_journal import BACKLOG, DurableJournal
from stream.journal import OPEN_LIMIT, RETENTION
from stream.journal_store import KEEP_EVENTS, JournalStore, Row
from stream.publisher import Publisher
from stream.query import MAX_EXAMPLES
from stream.security.memory import MemoryGuard, limit_process, resident_bytes
from stream.sockets import PublisherSockets
from stream.topics import JOURNALED
from stream.types import Clip, EventKind, Example, Severity

DIMENSIONS = 384


def past(path: Path, keep_events: int) -> None:
    """A journal that is full of what an earlier start published."""
    store = JournalStore(path, keep_events)
    publisher = Publisher("n")
    store.open("earlier")
    for first in range(0, keep_events, 1_000):
        rows = []
        for number in range(first, min(first + 1_000, keep_events)):
            body = publisher.publish_event(alarm(number)).body
            rows += [Row(kind, number + 1, time.time(), body) for kind in JOURNALED]
        store.write(rows)
    store.close()


def fill(publisher: Publisher, text: str) -> int:
    """Fill what is kept in memory; return how many alarms that were."""
    for number in range(RETENTION):
        quiet = replace(alarm(number), prompt=text, severity=Severity.INFO)
        publisher.publish_event(quiet)
        publisher.publish_event(replace(quiet, id=f"n{number}", kind=EventKind.ANOMALY))
        publisher.publish_event(replace(alarm(number), prompt=text))
        publisher.publish_status("cam1", "lost", detail=text)
    embedding = np.full(DIMENSIONS, DIMENSIONS**-0.5, np.float32)
    for number in range(MAX_EXAMPLES):
        publisher.keep_example(Example(f"e{number}", "cam1", "fall", 1, 0.9, "f" * 64, embedding.copy()))
    for number in range(MAX_CLIPS):
        clip = bytes([number % 256]) * (MAX_CLIP_BYTES // MAX_CLIPS)
        publisher.keep_clip(Clip(alarm(number), "f" * 64, clip))
    return RETENTION


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    folder, events, query, rate, length = sys.argv[1:]
    limit_process()
    text = "x" * int(length)
    journal = DurableJournal(JournalStore(Path(folder) / "journal.db", KEEP_EVENTS))
    publisher = Publisher("n", journal=journal)
    made = fill(publisher, text)
    assert len(journal.open_events()) == OPEN_LIMIT
    assert len(journal._backlog) == BACKLOG, "as after a disk that was away for long"
    with PublisherSockets(publisher, events=events, query=query, heartbeat_s=0.25, guard=MemoryGuard()) as sockets:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        peak, count, began, told = 0, 0, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            while count < float(rate) * (now - began):
                sockets.send(publisher.publish_event(replace(alarm(made + count), prompt=text)))
                count += 1
            sockets.serve(2)
            peak = max(peak, resident_bytes())
            if now - told > 0.5:
                told = now
                sys.stdout.write(json.dumps({"peak": peak, "alarms": count, "trouble": journal.trouble}) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
