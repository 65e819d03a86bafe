"""Passwords that tests look for wherever something is written."""

from __future__ import annotations

import base64
import json
import sys
import threading
from pathlib import Path
from typing import Self
from urllib.parse import quote, quote_plus

from running_daemon import children_of

CANARY = "kanarie/ü @:\"%41'#?"
"""With everything that has a meaning in URLs, JSON, logging and shells."""
FINCH = CANARY.replace("kanarie", "buchfink")
"""Another one, so that one may stand in the environment and the other nowhere."""


def forms(secret: str, user: str = "me") -> list[str]:
    """The forms in which a password may be written, the first word of it among them."""
    encoded = [quote(secret, safe=""), quote(secret), quote_plus(secret)]
    login = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return [secret, *encoded, encoded[0].lower(), json.dumps(secret)[1:-1], login, secret.partition("/")[0]]


def assert_absent(secret: str, where: str, written: bytes) -> None:
    """Fail if what was written holds the password in any form."""
    for form in forms(secret):
        assert form.encode() not in written, f"{where} holds the password: {written[:2000]!r}"


class ProcessWatch(threading.Thread):
    """Looks all the time at the processes that descend from one; a context manager. Does nothing but on Linux.

    Args:
        pid: whose descendants.

    Attributes:
        titles: all command lines and names of threads so far.
        environments: by command line, the environments.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(name="watch", daemon=True)
        self.titles: set[bytes] = set()
        self.environments: dict[bytes, bytes] = {}
        self._pid = pid
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while sys.platform == "linux" and not self._over.wait(0.1):
            self._look(self._pid)

    def _look(self, pid: int) -> None:
        try:
            children = children_of(pid)
        except OSError:  # it is gone meanwhile
            return
        for child in children:
            folder = Path(f"/proc/{child}")
            try:
                command = (folder / "cmdline").read_bytes()
                self.titles |= {command, *(path.read_bytes() for path in folder.glob("task/*/comm"))}
                self.environments[command] = (folder / "environ").read_bytes()
            except OSError:
                continue
            self._look(child)
