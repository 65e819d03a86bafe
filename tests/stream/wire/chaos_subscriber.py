"""A subscriber that is made to be killed: each item is one line of a file, with where to go on after it.

python chaos_subscriber.py EVENTS QUERY FILE [SECONDS_PER_ITEM]
"""

from __future__ import annotations

import json
import os
import sys
import time

from stream.messages import Message
from stream.position import Position
from stream.sequence import Gap
from stream.structs import EventData
from stream.subscriber import Subscriber


def main(events: str, query: str, path: str, pause: float = 0.0) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    size = os.fstat(file).st_size
    tail = os.pread(file, 4096, max(size - 4096, 0))
    whole = tail[: tail.rfind(b"\n") + 1]  # a kill may have cut the last line
    os.ftruncate(file, size - len(tail) + len(whole))
    resume = None
    if whole:
        epoch, seqs, former = json.loads(whole.splitlines()[-1])["position"]
        resume = Position(epoch, seqs, tuple(former))
    with Subscriber(events, query, ("alarm",), query_timeout=0.5, resume=resume) as subscriber:
        for item in subscriber:
            position = subscriber.position
            if position is None:
                continue
            line: dict[str, object] = {"now": time.time(), "position": [position.epoch, position.seqs, position.former]}
            if isinstance(item, Gap):
                line["gap"] = [item.epoch, item.kind, item.first, item.last]
            elif isinstance(item, Message) and isinstance(item.envelope.data, EventData):
                envelope, data = item.envelope, item.envelope.data
                line |= {"epoch": envelope.epoch, "kind": item.topic.kind, "seq": envelope.seq, "id": data.id}
                line["t_pub"] = envelope.t_pub
            os.write(file, json.dumps(line).encode() + b"\n")
            if pause:
                time.sleep(pause)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(float, sys.argv[4:]))
