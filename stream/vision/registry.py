"""Packages fetched from the registries that pip and npm are configured for; nothing of them is installed or run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from stream.errors import PosewireError

PATIENCE_S = 900
"""Seconds that fetching a package may take."""


class RegistryError(PosewireError):
    """A package cannot be fetched."""


def pip_wheel(requirement: str, folder: Path) -> Path:
    """Fetch a wheel for Python 3.11 on Linux, whatever this machine is: only data is taken from it.

    Args:
        requirement: such as "mediapipe==0.10.21".
        folder: where to put it; empty of wheels.

    Raises:
        RegistryError: it cannot be had.
    """
    options = ("--no-deps", "--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *options]
    return _fetched([*command, f"--dest={folder}", requirement], requirement, folder, "*.whl")


def npm_package(name: str, folder: Path) -> Path:
    """Fetch a package's archive.

    Args:
        name: such as "@mediapipe/pose@0.5.1675469404".
        folder: where to put it; empty of archives.

    Raises:
        RegistryError: it cannot be had, or npm is not installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RegistryError(f"{name}: cannot be fetched without npm; expected npm to be installed")
    return _fetched([npm, "pack", "--loglevel=error", f"--pack-destination={folder}", name], name, folder, "*.tgz")


def _fetched(command: list[str], what: str, folder: Path, pattern: str) -> Path:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise RegistryError(f"{what}: not fetched within {PATIENCE_S} s; expected a faster connection") from None
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if line.lower().startswith(("error", "npm err"))][:2] or said[-1:]
        reason = "; ".join(errors)[:300] or f"exit code {done.returncode}"
        raise RegistryError(f"{what}: cannot be fetched ({reason}); expected a package registry that has it")
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise RegistryError(f"{what}: {len(found)} files were fetched; expected one")
    return found[0]
