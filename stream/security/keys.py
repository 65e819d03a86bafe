"""Files of CURVE keys, in the format of ZeroMQ certificates that czmq and pyzmq write and read too.

A secret is held in `KeyPair`, whose `repr` does not show it, and never stands in an error.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from models.whole_file import write_whole
from stream.errors import PosewireError

MAX_BYTES = 4096
"""Of a key file; what is longer is another kind of file."""

_ENTRY = re.compile(r'^\s*([\w-]+)\s*=\s*"([^"\n]*)"\s*$', re.MULTILINE | re.ASCII)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
"""Of Z85 (https://rfc.zeromq.org/spec/32/)."""

_log = logging.getLogger(__name__)


class KeyFileError(PosewireError):
    """A key or a file of keys cannot be used."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair in Z85, 40 characters each."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def fresh(cls) -> KeyPair:
        """Return a new random pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


def checked(key: str, where: str) -> str:
    """Return a key if it is one in Z85.

    Args:
        key: 40 characters.
        where: what it is and where it stands, for the error, which does not quote the key.

    Raises:
        KeyFileError: it is none.
    """
    # 2^32 is less than 85^5: five of these characters can stand for more than four bytes hold.
    whole = len(key) == 40 and set(key) <= set(_DIGITS)
    if not whole or any(_number(key[start : start + 5]) >= 1 << 32 for start in range(0, 40, 5)):
        raise KeyFileError(f"{where} is no key; expected 40 characters of Z85, as `posewire keys new` writes them")
    return key


def _number(group: str) -> int:
    number = 0
    for character in group:
        number = 85 * number + _DIGITS.index(character)
    return number


def read_entries(path: Path, *, private: bool, own: bool = False) -> dict[str, str]:
    """Return what a key file says: `public-key`, `secret-key`, and whatever else stands there.

    Args:
        path: of the file.
        private: it holds a secret.
        own: it lies in a folder of posewire's own: a secret that others may read, and a link, are refused. Elsewhere
            they are taken, as containers mount their secrets so; the former with a warning.

    Raises:
        KeyFileError: it cannot be read or is no key file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if own else 0))
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeyFileError(f"{path}: no regular file; expected a key file, as `posewire keys new` writes it")
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise KeyFileError(f"{path}: cannot be read ({reason}); expected a key file") from None
    if private and status.st_mode & 0o077:
        if own:
            raise KeyFileError(f"{path}: others may read this secret key; expected mode 0600 (chmod 600), or a new key")
        _log.warning("key file %s can be read by others; expected mode 0600 (chmod 600)", path)
    if len(content) > MAX_BYTES:
        raise KeyFileError(f"{path}: longer than {MAX_BYTES} bytes; expected a key file")
    try:
        entries = dict(_ENTRY.findall(content.decode()))
    except UnicodeDecodeError:  # which would quote the bytes
        raise KeyFileError(f"{path}: no UTF-8 text; expected a key file") from None
    checked(entries.get("public-key", ""), f"{path}: public-key")
    if private:
        secret = checked(entries.get("secret-key", ""), f"{path}: secret-key")
        if zmq.curve_public(secret.encode()).decode() != entries["public-key"]:
            raise KeyFileError(f"{path}: public-key and secret-key belong to different pairs; expected one pair")
    return entries


def read_pair(path: Path, *, own: bool = False) -> KeyPair:
    """Return the key pair of a file; see `read_entries`.

    Raises:
        KeyFileError: it cannot be read or holds no secret key.
    """
    entries = read_entries(path, private=True, own=own)
    return KeyPair(entries["public-key"], entries["secret-key"])


def write_new(path: Path, public: str, secret: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
    """Write a key file, whole or not at all, readable by its owner only from its first byte on.

    Args:
        path: of the file, which must not exist.
        public, secret: the keys; None leaves the secret out.
        metadata: what else to say; values without quotes and line ends.

    Raises:
        KeyFileError: there is something of that name, or it cannot be written.
    """
    lines = ["metadata", *(f'    {key} = "{value}"' for key, value in (metadata or {}).items())]
    lines += ["curve", f'    public-key = "{public}"']
    lines += [] if secret is None else [f'    secret-key = "{secret}"']
    try:
        write_whole(path, ("\n".join(lines) + "\n").encode(), mode=0o600, sync=True, new=True)
    except FileExistsError:
        raise KeyFileError(f"{path}: exists; expected a new name") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written ({error.strerror}); expected a writable folder") from None
