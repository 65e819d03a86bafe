"""Who may ask what of the `query` socket: the one place that decides it."""

from __future__ import annotations

from enum import StrEnum

READS = frozenset({"ping", "snapshot", "after", "example", "clip", "withheld", "prompt_list"})
"""Requests that only look."""
CONTROLS = frozenset({"prompt_add", "prompt_set", "prompt_remove", "prompt_reset", "prompt_test", "reload"})
"""Requests that change what the daemon does, or have it work."""


class Role(StrEnum):
    """What somebody who asks is trusted with."""

    READ = "read"
    CONTROL = "control"
    """Everything that `READ` may, and to change what is watched for."""


def may(role: Role, request: str) -> bool:
    """Whether a role may send a request of this type; a type that is not listed above is for nobody."""
    return request in READS or (role is Role.CONTROL and request in CONTROLS)
