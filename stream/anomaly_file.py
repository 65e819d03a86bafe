"""The file of what is normal, as a process that goes on looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.anomaly import FeatureSpace, NormalModel
from models.normal_file import NormalError, load_normals
from stream.anomaly import PERSON, SCENE, AnomalyWatch


class NormalFile:
    """A file that `posewire calibrate normal` writes.

    Args:
        path: need not exist.
        space: whose features are of use.

    Attributes:
        path, space: see above.
    """

    def __init__(self, path: Path, space: FeatureSpace) -> None:
        self.path = path
        self.space = space
        self._seen: tuple[int, int] | None = (0, 0)

    def changed(self) -> bool:
        """Whether it came, went or was written since the last call; True at the first."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def read(self) -> tuple[dict[str, NormalModel], str]:
        """What it holds, and one line on it for people; a file that is not there or of no use holds nothing."""
        try:
            return self.load()
        except NormalError as error:
            return {}, f"{error}; the texts alone decide"

    def load(self) -> tuple[dict[str, NormalModel], str]:
        """As `read`, but a file that is of no use is an error.

        Raises:
            NormalError: it is there and of no use.
        """
        if self._look() is None:
            return {}, f"nothing is learnt as normal ({self.path}): the texts alone decide; posewire calibrate normal"
        found = load_known(self.path, self.space)
        counts = [found[name].count for name in (PERSON, SCENE)]
        if max(counts) < 2:
            return {}, f"{self.path}: too little is learnt as normal: the texts alone decide; posewire calibrate normal"
        return found, f"normal is what {counts[0]:,} windows of people and {counts[1]:,} of scenes showed"

    def _look(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size


@dataclass(frozen=True, slots=True)
class Anomalies:
    """A watch, and the file of what it takes as normal."""

    watch: AnomalyWatch
    file: NormalFile

    def refresh(self) -> str | None:
        """If the file changed, or is looked at for the first time: take what it holds; one line on it for people."""
        if not self.file.changed():
            return None
        normals, told = self.file.read()
        self.watch.exchange(normals)
        return told


def load_known(path: Path, space: FeatureSpace) -> dict[str, NormalModel]:
    """What a file holds as normal of people and scenes, whose features are of this space.

    Raises:
        NormalError: it is of no use; the message says how to learn anew.
    """
    try:
        models = load_normals(path, space.digest)
        if set(models) != {PERSON, SCENE} or any(model.dim != space.dim for model in models.values()):
            raise NormalError(f"{path}: expected what is normal of people and scenes, {space.dim} features each")
    except NormalError as error:
        raise NormalError(f"{error}; `posewire calibrate normal --reset RECORDING...` learns anew") from error
    return models
