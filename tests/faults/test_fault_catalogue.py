"""Every fault of the catalogue, and that the catalogue and its page are whole.

All of them, with what was measured: python -m tests.faults
"""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from running_daemon import ROOT

from tests.faults.catalogue import AREAS, Fault, catalogue
from tests.faults.page import cell, listed
from tests.faults.scene import Scene

FAULTS = catalogue()
log = logging.getLogger(__name__)


@pytest.mark.parametrize(
    "one", [pytest.param(one, id=one.id, marks=[pytest.mark.faults] if one.slow else []) for one in FAULTS]
)
def test_fault(one: Fault, request: pytest.FixtureRequest, record_property: pytest.RecordProperty) -> None:
    record_property("fault", one.id)
    if reason := one.needs():
        pytest.skip(reason)
    scene: Scene = request.getfixturevalue("scene")
    measured = one.inject(scene)
    assert measured
    assert "\n" not in measured
    record_property("measured", measured)
    log.info("%s: %s", one.name, measured)


def test_there_are_enough_faults_of_every_area() -> None:
    counts = Counter(one.area for one in FAULTS)
    assert sum(counts.values()) >= 50
    assert set(counts) == set(AREAS)
    assert min(counts.values()) >= 3, counts


def test_the_page_lists_the_faults_of_the_catalogue() -> None:
    expected = {(one.area, cell(one.name), cell(one.how), cell(one.required)) for one in FAULTS}
    assert listed((ROOT / "docs" / "faults.md").read_text()) == expected
