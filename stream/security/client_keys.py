"""What a client needs to be let in: its own pair and the public key of the daemon."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zmq

from stream.security.keys import KeyPair, read_entries, read_pair


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """Keys of one client for one daemon.

    Attributes:
        own: the client's pair.
        server: the daemon's public key in Z85: who has another one is not talked to.
    """

    own: KeyPair
    server: str

    @classmethod
    def read(cls, key: Path, server_key: Path) -> ClientKeys:
        """Read them from a file with a pair, and one with the daemon's public key.

        Raises:
            KeyFileError: a file cannot be read or holds no such key.
        """
        return cls(read_pair(key), read_entries(server_key, private=False)["public-key"])

    def apply(self, sock: zmq.Socket[bytes]) -> None:
        """Have a socket that is not yet connected use them."""
        sock.curve_serverkey = self.server.encode()
        sock.curve_publickey = self.own.public.encode()
        sock.curve_secretkey = self.own.secret.encode()
