"""Requests to a daemon, by plain pyzmq."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import zmq


class Asking:
    """A client of the address `query` in a folder. Use in a `with` block.

    Args:
        folder: see above.
        seconds: how long a reply may take.
    """

    def __init__(self, folder: Path, seconds: float = 100.0) -> None:
        self._endpoint, self._milliseconds = f"ipc://{folder}/query", round(1000 * seconds)

    def __enter__(self) -> Self:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.connect(self._endpoint)
        return self

    def __exit__(self, *error: object) -> None:
        self._context.destroy(linger=0)

    def send(self, **request: Any) -> None:
        """Send a request."""
        self._socket.send_json({"v": 1, **request})

    def reply(self) -> dict[str, Any]:
        """Wait for the reply."""
        assert self._socket.poll(self._milliseconds), "no reply"
        reply: dict[str, Any] = self._socket.recv_json()
        return reply

    def now(self, **request: Any) -> dict[str, Any]:
        """The reply to a request."""
        self.send(**request)
        return self.reply()
