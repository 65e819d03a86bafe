"""The scene of each fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.scene import Scene, Shared


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The daemon that faults share."""
    shared = Shared(tmp_path_factory.mktemp("f"))
    yield shared
    shared.close()


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory, shared: Shared) -> Iterator[Scene]:
    with Scene(tmp_path_factory.mktemp("f"), shared) as scene:
        yield scene
