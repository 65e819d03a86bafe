"""Whoever events are of: one track, or the scene of a source."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.events.machine import Machine
from stream.events.presence import Presence
from stream.events.settings import Rule
from stream.types import EndReason, Event

Key = tuple[bool, str]
"""Whether it is a judged rule or a prompt, and its name."""


@dataclass(slots=True)
class Person:
    """One track, or the scene of a source.

    Attributes:
        presence: None of whom no frame told: the scene, and everyone where only scores are known.
        lost: the tracker has given the track up; its events wait for an heir.
        machines: of each rule.
        awake: those of them that are not idle.
        rules: the prompts' rules of which it has machines; None before the first window.
    """

    presence: Presence | None = None
    lost: bool = False
    machines: dict[Key, Machine] = field(default_factory=dict)
    awake: dict[Key, Machine] = field(default_factory=dict)
    rules: tuple[Rule, ...] | None = None

    def busy(self, t: int) -> bool:
        """Whether something goes on, or is not to begin again yet."""
        return any(machine.busy(t) for machine in self.machines.values())

    def stepped(self, key: Key, machine: Machine) -> None:
        """Take note of whether a machine is idle now."""
        if machine.idle:
            self.awake.pop(key, None)
        else:
            self.awake[key] = machine

    def abstain(self, t: int, patience: int) -> list[Event]:
        """See `Machine.abstain`."""
        events: list[Event] = []
        for key, machine in self.machines.items():
            events += machine.abstain(t, patience)
            self.stepped(key, machine)
        return events

    def resume(self, t: int, track: int) -> list[Event]:
        """See `Machine.resume`."""
        return [event for machine in self.machines.values() for event in machine.resume(t, track)]

    def close(self, reason: EndReason, t: int | None = None) -> list[Event]:
        """The ends of all events that are open, see `Machine.close`."""
        return [event for machine in self.machines.values() for event in machine.close(reason, t)]

    def remove(self, key: Key) -> Machine:
        """Forget one machine."""
        self.awake.pop(key, None)
        return self.machines.pop(key)

    def clear(self) -> None:
        """Forget all machines."""
        self.machines.clear()
        self.awake.clear()
        self.rules = None
