"""Reading the configuration file: all of its errors at once, each with its key's path."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stream.config import Config, FileSource, Model, SourceEntry
from stream.errors import PosewireError


class ConfigError(PosewireError):
    """One or more settings are wrong: one line each, with the key's path."""


def load_config(path: Path | None) -> Config:
    """Read a configuration file; None gives `config.toml` of the current folder, or the defaults where there is none.

    Relative paths in the file count from the file's folder.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has wrong settings: one line for each.
    """
    if path is None:
        path = Path("config.toml")
        if not path.is_file():
            return Config()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); expected a configuration file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    return parse_config(data, path)


def parse_config(data: dict[str, Any], path: Path) -> Config:
    """Check the content of a configuration file.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        lines = [f"{path}: {_key(item['loc'], data)}: {_message(dict(item))}" for item in error.errors()]
        raise ConfigError("\n".join(lines)) from error
    return config.model_copy(
        update={
            "sources": tuple(_anchored(source, path.parent) for source in config.sources),
            "model": _anchored_model(config.model, path.parent),
        }
    )


def _anchored(source: SourceEntry, folder: Path) -> SourceEntry:
    if isinstance(source, FileSource):
        return source.model_copy(update={"path": str((folder / source.path).resolve())})
    return source


def _anchored_model(model: Model, folder: Path) -> Model:
    return model if model.path == "default" else model.model_copy(update={"path": str((folder / model.path).resolve())})


def _key(location: tuple[int | str, ...], data: dict[str, Any]) -> str:
    """Key path as it stands in the file: `sources[1].path`; the union's tag, which pydantic inserts, is left out."""
    path = ""
    node: Any = data
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
            node = node[part] if isinstance(node, list) and part < len(node) else None
        elif isinstance(node, dict) and part not in node and part == node.get("kind"):
            continue
        else:
            path += f".{part}" if path else part
            node = node.get(part) if isinstance(node, dict) else None
    return path or "the file"


def _message(item: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown setting; see config.toml for those that exist"
    if item["type"] == "missing":
        return "missing; it has no default"
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "value_error":
        return message
    return f"{message}, got {item['input']!r}"
