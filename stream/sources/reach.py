"""How far a camera can be reached: what can be told of one that OpenCV, which gives no reasons, could not open."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

ANSWER_S = 2.0
"""How long a network camera may take to accept a connection; one that is there takes milliseconds."""
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""Where cameras listen whose URL names no port."""


def fault_of(address: int | str, *, answer_s: float = ANSWER_S, folder: Path = Path("/dev")) -> str:
    """Return why a camera cannot be opened, as far as that is sure; a few words without user and password, or none.

    Args:
        address: the number of a webcam, or a URL.
        answer_s: seconds that each address of a network camera has for accepting a connection.
        folder: where Linux has its webcams.
    """
    if isinstance(address, int):
        return _fault_of_device(folder / f"video{address}")
    return _fault_of_url(address, answer_s)


def _fault_of_device(path: Path) -> str:
    if sys.platform != "linux":
        return ""
    if not path.exists():
        return f"there is no {path}"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"no right to use {path} (is this user in its group?)"
    return f"{path} is there, but gives no images: another program has it, or it is no camera"


def _fault_of_url(url: str, answer_s: float) -> str:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    if not host or not port:
        return ""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        socket.create_connection((host, port), answer_s).close()
    except (socket.gaierror, UnicodeError):  # the latter of names that cannot be one, such as a..b
        return f"the name {host} cannot be looked up"
    except ConnectionRefusedError:
        return f"{place} refuses the connection"
    except TimeoutError:
        return f"{place} does not answer"
    except OSError as error:
        return f"{place} cannot be reached ({error.strerror})"
    return f"{place} answers, but no video could be read: wrong path, user or password?"
