"""Word to systemd on how the daemon is: the datagrams of sd_notify(3), without its library."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

MICROSECONDS = 1_000_000
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What systemd tells by the environment; it is for the supervisor alone, no child gets it."""

log = logging.getLogger("posewire")


class Notifier:
    """Tells the service manager that started this process, if one did; otherwise every method does nothing.

    Args:
        environment: holds `VARIABLES`: the path of a socket (`@...` is an abstract one), and the microseconds within
            which the manager wants a sign of life.

    Attributes:
        interval_s: seconds between two signs of life, half of what the manager wants; infinite where it wants none.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self._status = ""
        self._failing = False
        self._next_life = 0.0
        self.interval_s = _interval_s(environment)

    def __enter__(self) -> Notifier:
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)  # a manager that does not read must not stop the daemon
        return self

    def __exit__(self, *exception: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self) -> None:
        """The daemon is up."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The daemon is about to end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show one line to people, where it is another than before."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + " ".join(text.splitlines()))

    def alive(self, now: float) -> None:
        """Give a sign of life if one is due; to be called in every turn of the main loop with monotonic time."""
        if now >= self._next_life and self.interval_s < float("inf"):
            self._next_life = now + self.interval_s
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._socket.sendto(message.encode(), address)
        except OSError as error:
            if not self._failing:  # once: what is tried several times a minute may fail for months
                log.warning("%s could not be told to the service manager (%s)", message.split("=")[0], error.strerror)
            self._failing = True
        else:
            self._failing = False


def _interval_s(environment: Mapping[str, str]) -> float:
    wanted, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not wanted.isdecimal() or int(wanted) == 0 or (process and process != str(os.getpid())):
        return float("inf")
    return int(wanted) / MICROSECONDS / 2
