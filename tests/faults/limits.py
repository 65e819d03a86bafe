"""Control groups of one's own, of either version."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

MOUNT = Path("/sys/fs/cgroup")


class ControlGroup:
    """A control group, made and removed by a `with` block. What is in it goes back where it came from at the end.

    Args:
        controller: `pids` or `memory`.
        name: of the group; made unique.

    Attributes:
        memory_limit: name of the file that limits memory, in bytes.
    """

    def __init__(self, controller: str, name: str) -> None:
        first = (MOUNT / controller / "cgroup.procs").exists()  # a hierarchy for each controller
        self._parent = MOUNT / controller if first else MOUNT
        self._folder = self._parent / f"posewire-test-{name}-{os.getpid()}"
        self._controller = controller
        self.memory_limit = "memory.limit_in_bytes" if first else "memory.max"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
        self._folder.rmdir()

    @property
    def usable(self) -> bool:
        """Whether it has what its controller brings."""
        return (self._folder / ("pids.max" if self._controller == "pids" else self.memory_limit)).exists()

    def take(self, pid: int) -> None:
        """Put a process into it; what that starts will be in it too."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def set(self, name: str, value: str) -> None:
        """Set one of its files."""
        (self._folder / name).write_text(value)

    def release(self) -> None:
        """Put everything in it back into the parent."""
        for pid in (self._folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (self._parent / "cgroup.procs").write_text(pid)


def controller(name: str) -> Callable[[], str]:
    """Why no group with this controller can be made here, or nothing."""

    def reason() -> str:
        try:
            with ControlGroup(name, "try") as group:
                return "" if group.usable else f"the {name} controller of control groups is not available"
        except OSError as error:
            return f"no control group can be made here ({error.strerror})"

    return reason
