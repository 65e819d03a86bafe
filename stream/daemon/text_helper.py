"""The embedder as the supervisor sees it: started when a text is new, asked, waited for."""

from __future__ import annotations

from collections.abc import Callable

from stream.daemon.child import Orders
from stream.daemon.jobs import EmbedTexts
from stream.daemon.process import ChildProcess

NAME = "embedder"
PATIENCE_S = 120.0
"""Seconds for starting, loading the text model (which may be downloaded) and embedding."""


class TextHelper:
    """One text request at a time.

    Args:
        orders: makes the orders of a child.
        send: gives it a job.

    Attributes:
        child: for the control socket.
    """

    def __init__(
        self, orders: Callable[[ChildProcess], Orders], send: Callable[[ChildProcess, EmbedTexts], None]
    ) -> None:
        self.child = ChildProcess(NAME, NAME, finite=True)
        self._orders = orders
        self._send = send
        self._job: EmbedTexts | None = None
        self._sent = False
        self._deadline = 0.0

    def ask(self, job: EmbedTexts, now: float) -> None:
        """Have texts embedded; whoever asks hears `embedded` from the child, or an error from `turn`."""
        self._job, self._sent, self._deadline = job, False, now + PATIENCE_S
        if self.child.reap():
            self.child.start(self._orders(self.child), now)

    def done(self) -> None:
        """Forget the request: its answer came."""
        self._job = None

    def turn(self, now: float) -> str:
        """Look after the child; returns why the request under way cannot be answered, if so."""
        gone = self.child.reap()
        if self._job is None:
            return ""
        if self.child.ready and not self._sent:
            self._send(self.child, self._job)
            self._sent = True
        if gone:
            error = "the process that embeds texts ended"
        elif now >= self._deadline:
            self.stop()
            error = f"the texts were not embedded within {PATIENCE_S:.0f} s"
        else:
            return ""
        self._job = None
        return error

    def stop(self) -> None:
        """End the child: it has nothing to lose."""
        if self.child.process is not None:
            self.child.process.kill()
            self.child.process.wait()
            self.child.reap()
