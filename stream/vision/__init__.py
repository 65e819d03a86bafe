"""From images to joints; imported by the process that captures a camera, and by no other."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from stream.errors import PosewireError


def library(name: str, extra: str) -> ModuleType:
    """Import a module of an optional library.

    Args:
        name: such as "mediapipe.tasks.python".
        extra: the extra of posewire that installs it.

    Raises:
        PosewireError: it is not installed, or cannot be loaded.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise PosewireError(
            f"{package}: cannot be loaded ({error}); expected it to be installed: "
            f"pip install --constraint constraints.txt '.[{extra}]'"
        ) from error
