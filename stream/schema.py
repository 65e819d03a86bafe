"""JSON Schema of wire version 1, made from the structs that encode and decode it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from models.whole_file import write_whole
from stream.query import REPLIES, Request
from stream.structs import TYPES, Envelope, EventData, SourceState

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_EMBEDDED: dict[str, dict[str, list[Any]]] = {
    "snapshot": {"open": [Envelope[EventData]]},
    "after": {"messages": [Envelope[EventData], Envelope[SourceState]]},
}
"""Fields of replies that hold envelopes, which the publisher passes on as bytes."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each message type, of the query request and of each reply, by file stem."""
    result = {}
    for name, data in TYPES.items():
        result[name] = _schema(f"message of type {name}", Envelope[data], {})  # type: ignore[valid-type]
    result["query-request"] = _schema("query request", Request, {})
    for name, reply in REPLIES.items():
        result[f"query-{name}"] = _schema(f"query reply of type {name}", reply, _EMBEDDED.get(name, {}))
    return result


def render(schema: dict[str, Any]) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> list[Path]:
    """Write all schemas to `<folder>/<name>.json` and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in schemas().items():
        path = folder / f"{name}.json"
        write_whole(path, render(schema).encode())
        paths.append(path)
    return paths


def _schema(title: str, struct: Any, embedded: dict[str, list[Any]]) -> dict[str, Any]:
    """Return the schema of one struct with everything that it refers to inside."""
    envelopes = [each for field in embedded.values() for each in field]
    (root, *rest), parts = msgspec.json.schema_components([struct, *envelopes], ref_template="#/$defs/{name}")
    for name, data in TYPES.items():
        envelope = parts.get(f"Envelope_{data.__name__}_")
        if envelope is not None:
            envelope["properties"]["type"]["const"] = name
    for part in parts.values():  # docstrings come with their line breaks
        part["description"] = " ".join(part["description"].split())
    references = iter(rest)
    body = parts.pop(root["$ref"].rsplit("/", 1)[1])
    for field, each in embedded.items():
        body["properties"][field]["items"] = {"anyOf": [next(references) for _ in each]}
    return {"$schema": DIALECT, **body, "title": f"posewire wire version 1: {title}", "$defs": parts}
