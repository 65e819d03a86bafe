"""The daemon's folder of keys: its own pair, and who is allowed in."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from stream.security.keys import KeyFileError, KeyPair, read_entries, read_pair, write_new

KeyRole = Literal["subscribe", "control"]
ROLES: tuple[KeyRole, ...] = get_args(KeyRole)
MAX_CLIENTS = 1_000

SERVER, SERVER_PUBLIC = "server.key", "server.pub"
_ALLOWED, _ISSUED = "allowed", "issued"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who is allowed in.

    Attributes:
        name: of the key.
        role: what it is for.
        public: its public key in Z85.
        created: when it was made, ISO 8601; may be empty.
    """

    name: str
    role: KeyRole
    public: str
    created: str = ""


class KeyRing:
    """A folder of keys, mode 0700, its files 0600.

    `server.key` and `server.pub` are the daemon's pair and the half of it that clients need; `allowed/NAME.pub` says
    who may come in, and removing one shuts him out; `issued/NAME.key` are the pairs made for clients, to be handed to
    them: the daemon never reads these.

    Args:
        folder: the folder; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def server_public(self) -> Path:
        """The file that clients need to know the daemon by."""
        return self.folder / SERVER_PUBLIC

    def server(self) -> KeyPair:
        """Return the daemon's own pair, made if there is none.

        Raises:
            KeyFileError: it cannot be read or made.
        """
        self._make(self.folder)
        path = self.folder / SERVER
        if not path.exists():
            pair = KeyPair.fresh()
            try:
                write_new(path, pair.public, pair.secret)
            except KeyFileError:
                if not path.exists():  # else another process was faster, and its pair counts
                    raise
        pair = read_pair(path, own=True)
        if not self._tells(pair.public):
            self.server_public.unlink(missing_ok=True)
            write_new(self.server_public, pair.public)
        return pair

    def _tells(self, public: str) -> bool:
        try:
            return read_entries(self.server_public, private=False, own=True)["public-key"] == public
        except KeyFileError:
            return False

    def new(self, name: str, role: KeyRole) -> Path:
        """Make a key pair, allow it, and return the file to hand to its owner.

        Raises:
            KeyFileError: the name or the role is none, or is taken; or nothing can be written.
        """
        self._check(name)
        if role not in ROLES:
            raise KeyFileError(f"key {name}: role is {str(role)[:40]!r}; expected {' or '.join(ROLES)}")
        self.server()
        for part in (_ALLOWED, _ISSUED):
            self._make(self.folder / part)
        allowed, issued = self._allowed(name), self._issued(name)
        if allowed.exists():
            raise KeyFileError(f"key {name}: there is one; expected another name, or `posewire keys revoke {name}`")
        if len(self.clients()) >= MAX_CLIENTS:
            raise KeyFileError(f"key {name}: {MAX_CLIENTS} keys are allowed; expected some to be revoked")
        pair, now = KeyPair.fresh(), datetime.now(UTC).isoformat(timespec="seconds")
        metadata = {"name": name, "role": role, "created": now}
        issued.unlink(missing_ok=True)  # of one that was revoked
        write_new(issued, pair.public, pair.secret, metadata)
        write_new(allowed, pair.public, None, metadata)
        return issued

    def keep(self, name: str, role: KeyRole) -> Path:
        """Return the file of a key that the daemon itself uses as a client, made unless it is there and allowed.

        Raises:
            KeyFileError: it cannot be made, or the keys are not in order.
        """
        issued = self._issued(name)
        allowed = {client.name: (client.public, client.role) for client in self.clients()}
        with suppress(KeyFileError):
            if allowed.get(name) == (read_pair(issued, own=True).public, role):
                return issued
        if name in allowed:
            self.revoke(name)
        return self.new(name, role)

    def revoke(self, name: str) -> None:
        """Shut a client out.

        Raises:
            KeyFileError: there is no such key, or it cannot be removed.
        """
        self._check(name)
        try:
            self._allowed(name).unlink()
            self._issued(name).unlink(missing_ok=True)
        except FileNotFoundError:
            known = ", ".join(client.name for client in self.clients()[:10]) or "none"
            raise KeyFileError(f"key {name}: unknown; expected one of those allowed: {known}") from None
        except OSError as error:
            raise KeyFileError(f"key {name}: cannot be removed ({error.strerror})") from None

    def clients(self) -> list[Client]:
        """Return who is allowed in, by name.

        Raises:
            KeyFileError: the folder or a file of it is not in order: nobody is let in by a list that cannot be trusted.
        """
        folder = self.folder / _ALLOWED
        if not folder.exists():
            return []
        self._trust(self.folder)
        self._trust(folder)
        found = [self._client(path) for path in sorted(folder.iterdir()) if path.suffix == ".pub"]
        if len({client.public for client in found}) < len(found):
            raise KeyFileError(f"{folder}: two files hold the same key; expected a key of its own for each client")
        return found

    def stamp(self) -> tuple[tuple[str, int, int, int], ...]:
        """Return what differs whenever the list of clients has been changed."""
        folder = self.folder / _ALLOWED
        try:
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError:
            return ()
        return tuple(sorted((name, status.st_ino, status.st_mtime_ns, status.st_mode) for name, status in found))

    def _client(self, path: Path) -> Client:
        entries = read_entries(path, private=False, own=True)
        role = next((role for role in ROLES if role == entries.get("role")), None)
        if role is None:
            raise KeyFileError(f"{path}: role: expected {' or '.join(ROLES)}")
        return Client(path.stem, role, entries["public-key"], entries.get("created", "")[:40])

    def _check(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise KeyFileError(
                f"key {name[:80]!r}: no name; expected 1 to 64 of A-Z a-z 0-9 _ . -, the first a letter or digit"
            )

    def _allowed(self, name: str) -> Path:
        return self.folder / _ALLOWED / f"{name}.pub"

    def _issued(self, name: str) -> Path:
        return self.folder / _ISSUED / f"{name}.key"

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyFileError(f"{folder}: cannot be made ({error.strerror}); expected a writable folder") from None
        self._trust(folder)

    def _trust(self, folder: Path) -> None:
        """Check that nobody else can put keys into a folder.

        Raises:
            KeyFileError: somebody can.
        """
        try:
            status = folder.lstat()
        except OSError as error:
            raise KeyFileError(f"{folder}: cannot be read ({error.strerror})") from None
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise KeyFileError(f"{folder}: others can reach these keys; expected a folder of your own, mode 0700")
