"""Who is trained on, who selects the model and who tests it: whole people, never the same one twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum


class Split(StrEnum):
    """Use of a person's recordings."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


DEMO_PEOPLE = {"precog16": ("s10", "s11", "s12")}
"""People of the demo and the tests; they are in the test split of their set, and they are all of it."""
EVERY = 6
VALIDATION_PLACE, TEST_PLACE = 2, 5


def natural(name: str) -> tuple[str | int, ...]:
    """Sort key that puts s2 before s10."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))


def split_people(set_name: str, people: Iterable[str]) -> dict[str, Split]:
    """Split of each person of a set: every sixth in natural order validates, every sixth tests, the rest train."""
    fixed = DEMO_PEOPLE.get(set_name, ())
    split = dict.fromkeys(fixed, Split.TEST)
    for place, person in enumerate(sorted(set(people) - set(fixed), key=natural)):
        if place % EVERY == VALIDATION_PLACE:
            split[person] = Split.VALIDATION
        elif place % EVERY == TEST_PLACE and not fixed:
            split[person] = Split.TEST
        else:
            split[person] = Split.TRAIN
    return split
