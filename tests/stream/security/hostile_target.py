"""A publisher process as the daemon's, for tests that attack it: `python hostile_target.py EVENTS QUERY LIMIT_MIB`.

It publishes 200 alarms a second and, twice a second, prints how much memory it holds and how many alarms there were.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from door_samples import alarm

from stream.publisher import Publisher
from stream.security.memory import MemoryGuard, limit_process, resident_bytes
from stream.sockets import PublisherSockets


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    events, query, limit = sys.argv[1:]
    limit_process()
    publisher = Publisher("n")
    guard = MemoryGuard(int(limit) << 20)
    with PublisherSockets(publisher, events=events, query=query, heartbeat_s=0.25, guard=guard) as sockets:
        peak, count, started, told = 0, 0, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            while count < 200 * (now - started):
                sockets.send(publisher.publish_event(alarm(count)))
                count += 1
            sockets.serve(2)
            peak = max(peak, resident_bytes())
            if now - told > 0.5:
                told = now
                sys.stdout.write(json.dumps({"peak": peak, "alarms": count}) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
