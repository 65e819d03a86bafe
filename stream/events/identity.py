"""Ids of events: the same for the same event, whenever it is seen."""

from __future__ import annotations

from hashlib import blake2b

from ulid import ULID


def event_id(salt: str, source: str, track: int, name: str, t_start: int) -> str:
    """ULID whose random half is a digest of what the event is: the same recording gives the same ids."""
    digest = blake2b(f"{salt}\0{source}\0{track}\0{name}\0{t_start}".encode(), digest_size=10).digest()
    milliseconds = max(t_start, 0) // 1_000_000
    return str(ULID(milliseconds.to_bytes(6, "big") + digest))
