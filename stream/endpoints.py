"""Where sockets may bind, and the files of those that bind to a path."""

from __future__ import annotations

import ipaddress
import re
import socket
import stat
from pathlib import Path

from stream.errors import PosewireError

_TCP = re.compile(r"tcp://(\[[^\]]*\]|[^:\[\]]*):(\d{1,5}|\*)")
_IPC_LENGTH = 107
"""Bytes of the longest path of a unix socket on Linux."""


class EndpointError(PosewireError):
    """An address cannot be used."""


def check_bind(endpoint: str, *, secured: bool = False) -> str:
    """Return the endpoint in the form that ZeroMQ binds to, if strangers cannot reach it.

    Args:
        endpoint: `tcp://` with an address of this machine (or localhost) and a port (`*` or 0 for any), or `ipc://`
            with a path.
        secured: it will be bound with encryption and an allow-list: any address will do, `*` being all. Otherwise
            only what cannot be reached from another machine: a loopback address or a path.

    Raises:
        EndpointError: it is another kind of address, or malformed.
    """
    where = f'"{endpoint}"'
    if endpoint.startswith("ipc://"):
        path = endpoint.removeprefix("ipc://")
        if not path or path[0] in "@*" or "\0" in path:
            raise EndpointError(f"{where}: expected the path of a socket file after ipc://")
        if len(path.encode()) > _IPC_LENGTH:
            raise EndpointError(f"{where}: the path is longer than {_IPC_LENGTH} bytes")
        return endpoint
    match = _TCP.fullmatch(endpoint)
    if match is None or (match[2] != "*" and int(match[2]) > 65535):
        raise EndpointError(f"{where}: expected tcp://127.0.0.1:PORT or ipc://PATH")
    host = {"localhost": "127.0.0.1", "*": "0.0.0.0"}.get(match[1], match[1])
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        written = (":" in host) == host.startswith("[")
    except ValueError:
        written = False
    if secured and not written:
        raise EndpointError(f"{where}: expected an address of this machine, such as 192.168.1.5, [::1] or *")
    if not written or not (secured or address.is_loopback):
        raise EndpointError(
            f"{where}: only this machine may be served without security.curve, expected 127.0.0.1, [::1], localhost "
            "or an ipc:// path; for others set security.curve = true (docs/security.md)"
        )
    return f"tcp://{host}:{match[2]}"


def reachable(endpoint: str) -> str:
    """Return the address at which this machine reaches what is bound to an endpoint, which may be all addresses."""
    host, slash, port = endpoint.rpartition(":")
    here = {"tcp://*": "tcp://127.0.0.1", "tcp://0.0.0.0": "tcp://127.0.0.1", "tcp://[::]": "tcp://[::1]"}
    return f"{here.get(host, host)}{slash}{port}"


def socket_file(endpoint: str) -> tuple[Path, int] | None:
    """Return the file of a bound ipc endpoint and its inode, by which `unlink_own` knows it again."""
    if not endpoint.startswith("ipc://"):
        return None
    path = Path(endpoint.removeprefix("ipc://"))
    return path, path.stat().st_ino


def unlink_own(path: Path, inode: int) -> None:
    """Remove a socket file unless it is gone or another process has put its own there."""
    try:
        if path.stat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        return


def clear_stale(path: Path) -> None:
    """Remove a socket file that nobody listens on: ZeroMQ would take over a live one without a word.

    Raises:
        EndpointError: somebody listens on it, or something else stands at the path.
    """
    where = f'"ipc://{path}"'
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise EndpointError(f"{where}: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise EndpointError(f"{where}: a file that is no socket stands there")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise EndpointError(f"{where}: cannot tell whether it is in use: {error.strerror or error}") from None
    raise EndpointError(f"{where}: address already in use; is another posewire running?")
