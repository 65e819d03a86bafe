"""What a protocol is run with: encoders alone and together, over seeds, on one material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from models.anomaly import AnomalyEncoder
from train.anomaly.encoding import Windows, encode, joined
from train.anomaly.material import Material
from train.anomaly.scoring import Scored, scored_by, together
from train.datasets.people import Split


class Seer(Protocol):
    """An encoder, and what makes its prompts of texts."""

    @property
    def encoder(self) -> AnomalyEncoder: ...

    def prompts(self, texts: Sequence[str]) -> object:
        """What the encoder takes for texts."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run.

    Attributes:
        data: folder of the sets.
        seers: by the name of the kind, one for each seed.
        split: whose recordings are judged.
        window_s: of a window of PRECOG.
        cache: see `train.anomaly.encoding.encode`.
        disturbed: whether disturbances are judged, too.
    """

    data: Path
    seers: Mapping[str, Sequence[Seer]]
    split: Split = Split.TEST
    window_s: float = 0.5
    cache: Path | None = None
    disturbed: bool = True

    def teams(self) -> dict[str, list[list[tuple[str, int]]]]:
        """For each way of seeing its seeds, and of each the kinds and places of its encoders."""
        alone = {name: [[(name, place)] for place in range(len(group))] for name, group in self.seers.items()}
        if len(alone) < 2:
            return alone
        most = max(len(group) for group in self.seers.values())
        return alone | {
            "both": [[(name, seed % len(group)) for name, group in self.seers.items()] for seed in range(most)]
        }

    def scored(self, material: Material, texts: Sequence[str], also: Material | None = None) -> dict[str, list[Eyes]]:
        """What every team and seed make of the judged windows; `also` is more that is normal, and judged as well."""
        seen = {
            (name, place): self._seen(seer, material, texts, also)
            for name, group in self.seers.items()
            for place, seer in enumerate(group)
        }
        return {team: [_eyes([seen[one] for one in seed]) for seed in seeds] for team, seeds in self.teams().items()}

    def _seen(self, seer: Seer, material: Material, texts: Sequence[str], also: Material | None) -> Eyes:
        prompts, see = seer.prompts(texts), partial(encode, encoder=seer.encoder, cache=self.cache)
        normal = [normal_windows(see(one.normal, cut=one.normal_cut), one) for one in (material, also) if one]
        windows = see(material.judged, cut=material.cut)
        everyday = None if also is None else see(also.judged, cut=also.cut)
        judge = partial(scored_by, seer.encoder, prompts)
        return Eyes(
            windows,
            judge(normal[0], windows),
            None if everyday is None else judge(joined(normal), windows),
            None if everyday is None else judge(normal[1], windows),
            everyday,
            None if everyday is None else judge(joined(normal), everyday),
        )


@dataclass(frozen=True, slots=True)
class Eyes:
    """What a team made of a material.

    Attributes:
        windows: that were judged.
        scored: their scores, by what is normal in the material.
        mixed, elsewhere: their scores where everyday movement of another set is normal too, or alone.
        everyday, alarmed: windows of that, and their scores.
    """

    windows: Windows
    scored: Scored
    mixed: Scored | None = None
    elsewhere: Scored | None = None
    everyday: Windows | None = None
    alarmed: Scored | None = None


def _eyes(members: Sequence[Eyes]) -> Eyes:
    def mean(scores: Sequence[Scored | None]) -> Scored | None:
        there = [one for one in scores if one is not None]
        return together(there) if there else None

    return Eyes(
        members[0].windows,
        together([one.scored for one in members]),
        mean([one.mixed for one in members]),
        mean([one.elsewhere for one in members]),
        members[0].everyday,
        mean([one.alarmed for one in members]),
    )


def normal_windows(windows: Windows, material: Material) -> Windows:
    """The windows all of whose frames are normal."""
    pure = [
        bool(material.normal_frames[clip][first : last + 1].all())
        for clip, first, last in zip(windows.clip, windows.first, windows.last, strict=True)
    ]
    return windows.rows(np.array(pure))
