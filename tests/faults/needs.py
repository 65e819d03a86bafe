"""What a fault needs of the machine: functions that return why it cannot be injected here, or nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec


def nothing() -> str:
    return ""


def root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


@cache
def tmpfs() -> str:
    """A small file system of one's own."""
    with tempfile.TemporaryDirectory() as folder:
        if problem := _refused("mount", "-t", "tmpfs", "-o", "size=1m", "none", folder):
            return f"no file system can be mounted here ({problem})"
        subprocess.run(["umount", folder], check=True)
    return ""


@cache
def tracing() -> str:
    """To stop another program's system calls by strace."""
    problem = _refused("strace", "-o", "/dev/null", "true")
    return f"strace cannot be used here ({problem})" if problem else ""


@cache
def network_namespace() -> str:
    """A network of one's own."""
    problem = _refused("unshare", "--net", "ip", "link", "set", "lo", "up")
    return f"no network namespace can be made here ({problem})" if problem else ""


def tool(name: str) -> Callable[[], str]:
    """A program."""
    return lambda: "" if shutil.which(name) else f"{name} is not installed"


def package(name: str) -> Callable[[], str]:
    """A Python package."""
    return lambda: "" if find_spec(name) else f"the package {name} is not installed"


def every(*needs: Callable[[], str]) -> Callable[[], str]:
    """All of these: the first reason that there is."""
    return lambda: next((reason for one in needs if (reason := one())), "")


def _refused(*command: str) -> str:
    """Why a command did not work, or nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1] if done.returncode else ""
