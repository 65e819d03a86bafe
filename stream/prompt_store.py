"""Where prompts that were changed while the daemon ran are kept: a file in the state folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from models.input_file import InputFileError, check_unique, read_limited
from models.whole_file import replacing
from stream.config import Config
from stream.config_file import ConfigError
from stream.prompt_overlay import Overlay, PromptError

FILE = "prompts.json"
MAX_BYTES = 4 << 20


class PromptStore:
    """Where the overlay is kept.

    Args:
        folder: the state folder; need not exist to be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def read(self) -> Overlay:
        """The overlay; an empty one where there is no file.

        Raises:
            PromptError: the file cannot be used; one line.
        """
        try:
            data = read_limited(self.path, MAX_BYTES, "a file of prompts")
            check_unique(data, str(self.path))
        except InputFileError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return Overlay()
            raise PromptError(str(error)) from error
        try:
            return Overlay.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise PromptError(f"{self.path}: {where}: {first['msg'][:200]}; expected a file of prompts") from error

    def write(self, overlay: Overlay, *, unused: bool = False) -> None:
        """Keep an overlay, whole or not at all; a file that cannot be read is set aside, under another name.

        Args:
            overlay: what to keep.
            unused: what is kept now is not in use: it is set aside, too.

        Raises:
            PromptError: it cannot be kept.
        """
        try:
            self.read()
        except PromptError:
            aside: Path | None = self.path.with_suffix(".broken")
        else:
            aside = self.path.with_suffix(".unused") if unused and self.path.exists() else None
        try:
            with replacing(self.path, mode=0o600) as file:
                content = {"version": 1, **overlay.model_dump(mode="json", exclude_unset=True)}
                file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                if aside is not None:  # not before the new one is on the disk
                    self.path.replace(aside)
        except OSError as error:
            raise PromptError(f"{self.path}: cannot be written ({error.strerror}); nothing was changed") from error


def overlaid(file: Config) -> tuple[Config, Overlay, Path]:
    """A configuration with what was changed while its daemon ran, as the next start has it; the changes; their file.

    Raises:
        PromptError: the changes cannot be used: the daemon starts without them, and says so.
    """
    from stream.daemon.state_folder import state_path  # here, since it needs zmq

    store = PromptStore(state_path(file.node))
    overlay = store.read()
    try:
        return (overlay.over(file, store.path) if not overlay.empty else file), overlay, store.path
    except ConfigError as error:
        raise PromptError(str(error)) from error
