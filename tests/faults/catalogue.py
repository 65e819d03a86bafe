"""The faults that posewire is tried with: what each is, how it is injected, and what is required then.

A fault is a function that injects it for real and asserts what is required; its modules, `*_faults.py`, register it:

    @fault("files", "the disk of the state folder is full", how="a tmpfs filled up", required="alarms come")
    def disk_full(scene: Scene) -> str:
        ...
        return "fault after 0.4 s"
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.faults.needs import nothing
from tests.faults.scene import Scene

AREAS = ("processes", "resources", "files", "time", "cameras", "messaging", "configuration", "models")

Inject = Callable[[Scene], str]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        area: one of `AREAS`.
        name: what is wrong, in words.
        how: by what it is injected.
        required: what must hold then.
        inject: injects it, asserts what is required, and returns what was measured, in one short line.
        needs: returns why it cannot be injected on this machine, or nothing.
        slow: it takes more than two seconds, as those that start a daemon do.
    """

    area: str
    name: str
    how: str
    required: str
    inject: Inject
    needs: Callable[[], str] = nothing
    slow: bool = False

    @property
    def id(self) -> str:
        """Short name, unique."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.area}-{self.name}".lower()).strip("-")


_faults: dict[str, Fault] = {}


def fault(
    area: str, name: str, *, how: str, required: str, needs: Callable[[], str] = nothing, slow: bool = False
) -> Callable[[Inject], Inject]:
    """Register the decorated function as a fault; see `Fault`.

    Raises:
        ValueError: there is no such area, or two faults have one name.
    """

    def register(inject: Inject) -> Inject:
        one = Fault(area, name, how, required, inject, needs, slow)
        if area not in AREAS:
            raise ValueError(f"unknown area {area!r}; expected one of {', '.join(AREAS)}")
        if one.id in _faults:
            raise ValueError(f"two faults are called {one.id!r}; expected different names")
        _faults[one.id] = one
        return inject

    return register


def catalogue() -> list[Fault]:
    """All faults, by area and then in the order of their modules."""
    for path in sorted(Path(__file__).parent.glob("*_faults.py")):
        if not path.name.startswith("test_"):
            import_module(f"tests.faults.{path.stem}")
    return sorted(_faults.values(), key=lambda one: AREAS.index(one.area))
