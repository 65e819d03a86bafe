"""Which zones have no area of a source that they are meant for; `posewire check` says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stream.config_rules import ZoneEntry
from stream.types import Space

_AREAS = {Space.CAMERA3D: ("floor", "metres"), Space.IMAGE2D: ("image", "image coordinates")}


def zones_without_area(zones: Sequence[ZoneEntry], spaces: Mapping[str, Space]) -> Iterator[tuple[str, bool]]:
    """One line on each zone that lacks an area, and whether it has none at all: nobody is ever in such a zone.

    Args:
        zones: the `[[zones]]` blocks; those of one name are one zone.
        spaces: in which coordinates each source gives its joints; those of which it is not known are left out.
    """
    for name in dict.fromkeys(zone.name for zone in zones):
        blocks = [zone for zone in zones if zone.name == name]
        meant = {source: space for source, space in spaces.items() if any(_meant(one, source) for one in blocks)}
        bare = {
            source: space
            for source, space in meant.items()
            if not any(one.space is space and _meant(one, source) for one in blocks)
        }
        if bare:
            told = "; ".join(
                f"no area of {', '.join(source for source in bare if bare[source] is space)} "
                f"(joints in {_AREAS[space][1]}; expected {_AREAS[space][0]})"
                for space in dict.fromkeys(bare.values())
            )
            none = len(bare) == len(meant)
            yield f"{name}: {told}: nobody is ever in it{'' if none else ' there'}", none


def _meant(zone: ZoneEntry, source: str) -> bool:
    """Whether a block is meant for a source, or for one of several that its recording holds."""
    return not zone.sources or any(one == source or one.startswith(f"{source}.") for one in zone.sources)
