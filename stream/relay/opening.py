"""What a sink that never ran tells first: the events that are open at that moment, each by its last message."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from models.whole_file import write_whole
from stream.messages import Message, MessageError, decode_body, topic_of

log = logging.getLogger("posewire")


class _Line(Struct):
    t: float
    message: Raw


class Opening:
    """Open events on their way; in a file of JSON lines until they are delivered, so that a kill loses none of them.

    Args:
        path: the file, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._messages: list[Message] | None = None

    def keep(self, messages: Sequence[Message]) -> None:
        """Have these delivered, in place of whatever was left of others."""
        self._messages = list(messages)
        if not messages:
            self._remove()
            return
        lines = [msgspec.json.encode(_Line(each.envelope.t_pub, Raw(each.body))) + b"\n" for each in messages]
        try:
            write_whole(self._path, b"".join(lines), mode=0o600, sync=True)
        except OSError as error:
            log.error("%s: cannot be written (%s); a kill may lose what is open", self._path, error.strerror)

    def messages(self) -> list[Message]:
        """Return what has not been delivered, the least recently changed first."""
        if self._messages is None:
            self._messages = self._read()
        return self._messages

    def drop(self) -> None:
        """Forget the first one: it was delivered, or nobody wants it."""
        self.keep(self.messages()[1:])

    def _remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s: cannot be removed (%s); it will be sent again", self._path, error.strerror)

    def _read(self) -> list[Message]:
        found = []
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.error("%s: cannot be read (%s); what was open may be missing", self._path, error.strerror)
            return []
        for line in lines:
            try:
                body = bytes(msgspec.json.decode(line, type=_Line).message)
                envelope = decode_body(body)
                found.append(Message(topic_of(envelope), envelope, body))
            except (msgspec.DecodeError, UnicodeDecodeError, MessageError) as error:
                log.error("%s: a line is skipped (%s)", self._path, error)
        return found
