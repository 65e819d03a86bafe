"""Reading the configuration file: all of its errors at once, each with its key's path."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any

from pydantic import BaseModel, ValidationError

from stream.config import BLOCKS, Config, ExamplesSection, Model, Node, Security
from stream.config_anomaly import Anomaly
from stream.config_rules import Place
from stream.config_sinks import SINK_KINDS, SINK_PATHS, SINK_SECRETS, SinkEntry
from stream.config_sources import KINDS, PATHS, SECRETS, SourceEntry, VideoSource
from stream.errors import PosewireError, SourceError
from stream.secrets import read_password

MAX_FILE = 1 << 20
"""Bytes of a configuration: a hundred cameras with a thousand rules take a tenth of it."""
MAX_TOLD = 100
"""Errors that are told of one by one."""
MAX_VALUE = 80
"""Characters of a wrong value that an error shows."""
_REPR = Repr()  # unlike `repr` it stops where a value is nested deeply
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = MAX_VALUE


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
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
        if len(text) > MAX_FILE:
            raise ConfigError(f"{path}: larger than {MAX_FILE} bytes; expected a configuration file")
        data = tomllib.loads(text.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); expected a configuration file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {_short(str(error), 200)}") from error
    except RecursionError:
        raise ConfigError(f"{path}: not a TOML file: nested too deeply; expected sections of settings") from None
    except ValueError as error:  # a NUL in the path
        raise ConfigError(f"{str(path)!r}: cannot be read ({error}); expected a configuration file") from error
    return parse_config(data, path)


def check_passwords(config: Config, path: Path) -> None:
    """Read the passwords of all cameras once: whoever starts a program that needs them is told at once of those that
    are not there, as the environment of a process never changes. Commands that open no source do not call this.

    Args:
        config: what `path` holds.
        path: the file, for errors.

    Raises:
        ConfigError: some are not set, cannot be read or are empty: one line for each.
    """
    lines = []
    for index, source in enumerate(config.sources):
        if isinstance(source, VideoSource) and (source.password_env or source.password_file):
            where = f"{path}: sources[{index}] ({source.name})"
            try:
                read_password(where, env=source.password_env, file=source.password_file, warn=False)
            except SourceError as error:
                lines.append(str(error))
    if lines:
        raise ConfigError("\n".join(lines))


def parse_config(data: dict[str, Any], path: Path, *, part: bool = False) -> Config:
    """Check the content of a configuration file.

    Args:
        data: the content.
        path: of the file, named in errors.
        part: it is not the whole file: names may stand for what is in the rest of it.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        section = data.get("security")
        # Which addresses may be bound to depends on another section.
        curve = isinstance(section, dict) and section.get("curve")
        config = Config.model_validate(data, context={"curve": curve})
    except ValidationError as error:
        items = error.errors()
        lines = [f"{path}: {_key(item['loc'], data)}: {_message(dict(item))}" for item in items[:MAX_TOLD]]
        if len(items) > MAX_TOLD:
            lines.append(f"{path}: {len(items) - MAX_TOLD} more errors")
        raise ConfigError("\n".join(lines)) from error
    if not part and (faults := config.faults()):
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return config.model_copy(
        update={
            "sources": tuple(_anchored(source, path.parent) for source in config.sources),
            "node": _anchored_node(config.node, path.parent),
            "model": _anchored_model(config.model, path.parent),
            "examples": _anchored_examples(config.examples, path.parent),
            "prototypes": _anchored_examples(config.prototypes, path.parent),
            "anomaly": _anchored_anomaly(config.anomaly, path.parent),
            "regressions": _anchored_examples(config.regressions, path.parent),
            "security": _anchored_security(config.security, path.parent),
            "sinks": tuple(_anchored_sink(sink, path.parent) for sink in config.sinks),
        }
    )


def _anchored(source: SourceEntry, folder: Path) -> SourceEntry:
    given = {key: getattr(source, key, None) for key in PATHS}
    return source.model_copy(update={key: str((folder / path).resolve()) for key, path in given.items() if path})


def _anchored_sink(sink: SinkEntry, folder: Path) -> SinkEntry:
    given = {key: getattr(sink, key, None) for key in SINK_PATHS}
    return sink.model_copy(update={key: str((folder / path).resolve()) for key, path in given.items() if path})


def _anchored_node(node: Node, folder: Path) -> Node:
    return node.model_copy(update={"state": str((folder / node.state).resolve())}) if node.state else node


def _anchored_anomaly(section: Anomaly, folder: Path) -> Anomaly:
    given = section.normal
    return section.model_copy(update={"normal": str((folder / given).resolve())}) if given else section


def _anchored_model(model: Model, folder: Path) -> Model:
    return model if model.path == "default" else model.model_copy(update={"path": str((folder / model.path).resolve())})


def _anchored_security(section: Security, folder: Path) -> Security:
    given = {key: getattr(section, key) for key in ("keys", "key", "server_key")}
    return section.model_copy(update={key: str((folder / path).resolve()) for key, path in given.items() if path})


def _anchored_examples(section: ExamplesSection, folder: Path) -> ExamplesSection:
    return section.model_copy(update={"path": str((folder / section.path).resolve())}) if section.path else section


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
            name = part if part.isidentifier() and len(part) <= MAX_VALUE else _shown(part)
            path += f".{name}" if path else name
            node = node.get(part) if isinstance(node, dict) else None
    return path or "the file"


def _message(item: dict[str, Any]) -> str:
    match item["type"]:
        case "extra_forbidden":
            return _unknown(item["loc"])
        case "missing":
            return "missing; it has no default"
        case "union_tag_not_found":
            return f"kind is missing; expected {_kinds(item['loc'])}"
        case "union_tag_invalid":
            return f"kind is {_shown(item['ctx']['tag'])}; expected {_kinds(item['loc'])}"
        case "value_error":
            return str(item["msg"]).removeprefix("Value error, ")
    if set(item["loc"]) & {*SECRETS, *SINK_SECRETS}:
        return str(item["msg"])
    return f"{item['msg']}, got {_shown(item['input'])}"


def _shown(value: Any) -> str:
    try:
        text = _REPR.repr(value)
    except ValueError:  # Python writes out no number of over 4300 digits
        return "a number of thousands of digits"
    # The address of a camera at the wrong place may hold its password.
    return "an address (not shown)" if "://" in text else _short(text)


def _short(text: str, limit: int = MAX_VALUE) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _kinds(location: tuple[int | str, ...]) -> str:
    names = list(SINK_KINDS if location[0] == "sinks" else KINDS)
    return ", ".join(names[:-1]) + f" or {names[-1]}"


def _sections() -> dict[str, list[str]]:
    """The settings of each section, that of the whole file being its sections."""
    sections = {"": list(Config.model_fields)}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections[name] = list(field.annotation.model_fields)
    for name, block in BLOCKS.items():
        keys = sorted(block.model_fields, key=lambda key: key in Place.model_fields)  # what it is, and then where
        sections[name] = [block.model_fields[key].alias or key for key in keys]
    for name, kinds in (("sources", KINDS), ("sinks", SINK_KINDS)):
        sections |= {f"{name} of kind {kind}": list(model.model_fields) for kind, model in kinds.items()}
    return sections


def _unknown(location: tuple[int | str, ...]) -> str:
    """What to say of a setting that does not exist: what may stand there, and which one is probably meant."""
    sections = _sections()
    names = [part for part in location if isinstance(part, str)]
    kinds = names[0] in ("sources", "sinks")
    here = "" if len(names) == 1 else f"{names[0]} of kind {names[1]}" if kinds else names[0]
    # Of two that are equally near, the one of this section is meant.
    known = {
        key: f"{section.split(' ')[0]}.{key}" if section else key
        for section in (*(name for name in reversed(sections) if name != here), here)
        for key in sections[section]
    }
    near = get_close_matches(names[-1], known, 1)
    meant = f"did you mean {known[near[0]]}? " if near else ""
    return f"unknown setting; {meant}expected {', '.join(sections[here])}"
