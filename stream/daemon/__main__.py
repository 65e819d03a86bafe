"""`python -m stream.daemon ROLE`: a child process of `posewire run` or `posewire record`; not for people."""

from __future__ import annotations

import importlib
import logging
import os
import sys

import msgspec

from models.errors import ModelError
from stream.daemon.child import REFUSED, Child, Orders
from stream.errors import PosewireError

ROLES = {
    "capture": "stream.daemon.capture",
    "worker": "stream.daemon.worker",
    "publisher": "stream.daemon.publish",
    "recorder": "stream.daemon.recorder",
    "embedder": "stream.daemon.embedder",
    "sink": "stream.daemon.sink",
}


def main() -> int:
    """Read the orders, run the role, turn errors that a user can act on into one line and exit code `REFUSED`."""
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    logging.basicConfig(level=logging.INFO, format=f"posewire {orders.name}: %(message)s")
    try:
        with Child(orders) as child:
            code: int = importlib.import_module(ROLES[sys.argv[1]]).main(child)
    except (PosewireError, ModelError) as error:
        logging.getLogger(__name__).error("%s", error)  # the one line says it all
        return REFUSED
    return code


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # Everything is closed by now. What Python does at its end takes seconds where torch is loaded and the machine busy:
    # time that the next process in the flow would lack for its own last words.
    os._exit(status)
