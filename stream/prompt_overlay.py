"""Prompts changed while the daemon runs: an overlay on the configuration file.

The file stays as its owner wrote it. A prompt that was added wins over one of the file with the same name; a change
or a removal of a prompt that the file no longer has does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from stream.config import Config, PromptEntry
from stream.config_file import ConfigError, parse_config
from stream.config_types import Name, Section, repeated
from stream.errors import PosewireError
from stream.prompt_replies import PromptBlock

MAX_ADDED = 256
"""Prompts that can be added; more are no job for single requests."""

Block = dict[str, Any]
"""Keys of a `[[prompts]]` block."""


class PromptError(PosewireError):
    """A change of the prompts cannot be made, or the file that keeps such changes cannot be used."""


class Overlay(Section):
    """What differs from the file.

    Attributes:
        added: prompts that the file does not have, or that stand in for one of its own.
        changed: by the name of a prompt of the file, the keys that are others there; None is the default.
        removed: names of prompts of the file that are not watched for.
    """

    version: Literal[1] = 1
    added: tuple[PromptEntry, ...] = Field((), max_length=MAX_ADDED)
    changed: dict[Name, Block] = Field(default_factory=dict)
    removed: tuple[Name, ...] = ()

    @field_validator("added")
    @classmethod
    def _distinct(cls, added: tuple[PromptEntry, ...]) -> tuple[PromptEntry, ...]:
        if twice := repeated(entry.name for entry in added):
            raise ValueError(f"two prompts have the name {twice[0]!r}; expected different ones")
        return added

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.added or self.changed or self.removed)

    def over(self, file: Config, path: Path) -> Config:
        """The configuration with these prompts.

        Args:
            file: as it was read.
            path: named in errors.

        Raises:
            ConfigError: the two do not go together.
        """
        data = {**file.model_dump(mode="json"), "prompts": [_block(entry) for entry in self._entries(file, path)]}
        try:
            whole = parse_config(data, path)
        except ConfigError as error:
            raise ConfigError(_by_name(str(error), data, path)) from error
        return file.model_copy(update={"prompts": whole.prompts})  # whose paths count from its own folder

    def with_added(self, file: Config, block: Mapping[str, Any]) -> Overlay:
        """The overlay with one prompt more.

        Raises:
            PromptError: this is no prompt, or its name or text is in use.
        """
        entry = parse_entry(block)
        if len(self.added) >= MAX_ADDED:
            raise PromptError(f"{MAX_ADDED} prompts were added; expected some to be put into the configuration file")
        for known in self._entries(file):
            if known.name == entry.name:
                raise PromptError(f"{entry.name!r} is watched for already; expected another name, or prompts set")
            if known.text == entry.text:
                raise PromptError(f"this text is watched for already, as {known.name!r}; expected another text")
        return self.model_copy(update={"added": (*self.added, entry)})

    def with_changed(self, file: Config, name: str, block: Mapping[str, Any]) -> Overlay:
        """The overlay with other keys of one prompt; None in place of a value is its default again.

        Raises:
            PromptError: there is no such prompt, or the keys are wrong.
        """
        entry = self._named(file, name)
        if block.get("name", name) != name:
            raise PromptError("a prompt keeps its name; expected it to be removed, and another one added")
        new = parse_entry(_changed(entry, block))
        if entry in self.added:
            return self.model_copy(update={"added": tuple(new if one is entry else one for one in self.added)})
        changed = dict(self.changed)
        own = next(one for one in file.prompts if one.name == name)
        if new == own:
            changed.pop(name, None)
        else:
            changed[name] = changed.get(name, {}) | dict(block)
        return self.model_copy(update={"changed": changed})

    def without(self, file: Config, name: str) -> Overlay:
        """The overlay with one prompt less.

        Raises:
            PromptError: there is no such prompt.
        """
        self._named(file, name)
        added = tuple(entry for entry in self.added if entry.name != name)
        removed = self.removed
        if any(entry.name == name for entry in file.prompts) and name not in removed:
            removed = (*removed, name)
        changed = {key: block for key, block in self.changed.items() if key != name}
        return self.model_copy(update={"added": added, "changed": changed, "removed": removed})

    def blocks(self, file: Config) -> list[PromptBlock]:
        """The prompts with it, each with where it comes from."""
        added = {entry.name for entry in self.added}
        return [
            PromptBlock(
                entry.name,
                "added" if entry.name in added else "changed" if entry.name in self.changed else "file",
                entry.model_dump(mode="json", exclude_defaults=True),
            )
            for entry in self._entries(file)
        ]

    def shadowed(self, file: Config) -> list[str]:
        """A line for each prompt that was added and of which the file says something else."""
        own = {entry.name: entry for entry in file.prompts}
        return [
            f"{entry.name}: the file says otherwise ({own[entry.name].text[:80]!r}), but what was added counts; "
            "posewire prompts reset takes back all such changes"
            for entry in self.added
            if entry.name in own and own[entry.name] != entry
        ]

    def taken_away(self, file: Config) -> list[str]:
        """Names of prompts of the file that are not watched for."""
        known = {entry.name for entry in file.prompts} - {entry.name for entry in self.added}
        return [name for name in self.removed if name in known]

    def _entries(self, file: Config, path: Path | None = None) -> list[PromptEntry]:
        own = {entry.name for entry in self.added}
        kept = [entry for entry in file.prompts if entry.name not in own and entry.name not in self.removed]
        return [
            *(parse_entry(_changed(entry, self.changed.get(entry.name, {})), path) for entry in kept),
            *self.added,
        ]

    def _named(self, file: Config, name: str) -> PromptEntry:
        entries = self._entries(file)
        for entry in entries:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in entries)
        raise PromptError(f"{name[:80]!r} is not watched for; expected one of {names}")


def parse_entry(block: Mapping[str, Any], path: Path | None = None) -> PromptEntry:
    """Check a `[[prompts]]` block; errors name the prompt if it comes from the file at `path`.

    Raises:
        PromptError: its keys are wrong: one line for each.
    """
    data = {"prompts": [dict(block)]}
    try:
        return parse_config(data, path or Path("prompt"), part=True).prompts[0]
    except ConfigError as error:
        if path is not None:
            raise PromptError(_by_name(str(error), data, path)) from error
        raise PromptError(str(error).replace(": prompts[0]: ", ": ").replace("prompts[0].", "")) from error


def _by_name(errors: str, data: Mapping[str, Any], path: Path) -> str:
    """Errors of a configuration with its blocks by name: their numbers are those of no file."""

    def named(match: re.Match[str]) -> str:
        block = data[match[2]][int(match[3])]
        return f"{match[1]}{match[2].removesuffix('s')} {block['name']!r}: " if "name" in block else match[0]

    return re.sub(rf"^({re.escape(str(path))}: )(prompts|rules)\[(\d+)\](?:\.|: )", named, errors, flags=re.MULTILINE)


def _block(entry: PromptEntry) -> Block:
    return entry.model_dump(mode="json", exclude_unset=True) | {"name": entry.name}


def _changed(entry: PromptEntry, changes: Mapping[str, Any]) -> Block:
    return {key: value for key, value in (_block(entry) | dict(changes)).items() if value is not None}


def told_overlay(blocks: Sequence[PromptBlock], removed: Sequence[str]) -> str:
    """What was changed while the daemon ran, in one line; empty if nothing was."""
    parts = []
    for origin in ("added", "changed"):
        if names := [block.name for block in blocks if block.origin == origin]:
            parts.append(f"{origin} {', '.join(names)}")
    if removed:
        parts.append(f"removed {', '.join(removed)}")
    return "; ".join(parts)
