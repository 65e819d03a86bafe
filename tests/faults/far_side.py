"""A subscriber behind a link that fails, as a process in a network of its own, whose one link it may take down:

    unshare --net python -m tests.faults.far_side EVENTS QUERY

where the two are paths of a daemon's sockets. It prints the numbers of the alarms that it got, and what it saw.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.heard import Heard, until
from tests.faults.scene import SEEN
from tests.stream.wire.tcp_proxy import TcpProxy

DOWN_S = 5.0


def link(state: str) -> None:
    """Set the loopback device up or down: addresses of 127.0.0.1 cannot be reached without."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True, timeout=20)


def main(events: str, query: str) -> None:
    link("up")
    with TcpProxy(events) as one, TcpProxy(query) as other, Heard(Path(), one.endpoint, other.endpoint) as heard:
        until(lambda: len(heard.events(SEEN)) >= 3)
        link("down")
        time.sleep(0.5)  # what had arrived is taken
        mark = heard.mark
        time.sleep(DOWN_S)
        during = heard.mark - mark
        link("up")
        took = until(lambda: len(heard.events(SEEN, since=mark)) >= 20)
        numbers = [one.seq for one in heard.envelopes() if one.type == "event"]
        gaps = len(heard.gaps)
    sys.stdout.write(json.dumps({"numbers": numbers, "gaps": gaps, "during": during, "took": took}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
