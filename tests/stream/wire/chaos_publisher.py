"""A publisher that is made to be killed: alarms at a rate, each told on standard output once it is committed.

python chaos_publisher.py FOLDER RUN RATE
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from wire_samples import make_event

from stream.durable_journal import DurableJournal
from stream.journal_store import JournalStore
from stream.publisher import Publisher
from stream.sockets import PublisherSockets

TURN_S = 0.002


def main(folder: Path, run: int, rate: float) -> None:
    publisher = Publisher("n", journal=DurableJournal(JournalStore(folder / "journal.db")))
    with PublisherSockets(
        publisher, events=f"ipc://{folder}/events", query=f"ipc://{folder}/query", heartbeat_s=0.25
    ) as sockets:
        os.write(1, b"ready\n")
        began, made = time.monotonic(), 0
        fresh: list[str] = []
        while True:
            due = int(rate * (time.monotonic() - began)) if not (folder / "enough").exists() else made
            while made < min(due, made + 500) and len(fresh) < 500:
                made += 1
                fresh.append(f"{run:04d}-{made:08d}")
                sockets.send(publisher.publish_event(make_event(made, id=fresh[-1])))
            sockets.flush()
            if fresh and publisher.journal.durable:
                os.write(1, "".join(f"{name}\n" for name in fresh).encode())
                fresh.clear()
            sockets.serve(int(1000 * TURN_S))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
