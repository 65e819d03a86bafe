"""The folder of actions known by examples, as a process that goes on looks at it."""

from __future__ import annotations

from pathlib import Path

from models.examples import SUFFIX, Examples, ExamplesError, load

MAX_FILES = 256
"""More than that is another folder."""


class ExampleFolder:
    """A folder with one file for each action.

    Args:
        path: need not exist; None is a folder without files.
        model: digest of the weights whose embeddings are of use.
        dim: E of its embeddings.
    """

    def __init__(self, path: Path | None, model: str, dim: int) -> None:
        self._path = path
        self._model = model
        self._dim = dim
        self._seen: list[tuple[str, int, int]] | None = None

    def changed(self) -> bool:
        """Whether a file came, went or was written since the last call; True at the first."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def read(self) -> tuple[list[Examples], list[str]]:
        """What its files hold, by name, and one line for each that cannot be used."""
        found, unused = [], []
        if self._path is not None and self._path.exists() and not self._path.is_dir():
            return [], [f"{self._path}: is a file; expected a folder with the examples of actions"]
        files = self._files()
        if len(files) > MAX_FILES:
            return [], [f"{self._path}: {len(files)} files; expected at most {MAX_FILES} with the examples of actions"]
        for file in files:
            try:
                examples = load(file)
            except ExamplesError as error:
                unused.append(str(error))
                continue
            if (examples.model, examples.embeddings.shape[1]) == (self._model, self._dim):
                found.append(examples)
            else:
                unused.append(f"{file}: not used, was taught with another model; teach it again")
        return found, unused

    def _files(self) -> list[Path]:
        try:
            return sorted(self._path.glob(f"*{SUFFIX}")) if self._path is not None else []
        except OSError:
            return []

    def _look(self) -> list[tuple[str, int, int]]:
        seen = []
        for file in self._files():
            try:
                status = file.stat()
            except OSError:  # gone meanwhile, or a link to nowhere: reading it tells
                seen.append((file.name, 0, -1))
            else:
                seen.append((file.name, status.st_mtime_ns, status.st_size))
        return seen
