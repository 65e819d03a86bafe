"""`[[prompts]]` blocks as text: settings that a command found, to be pasted or loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stream.config import PromptEntry


def prompt_blocks(entries: Sequence[PromptEntry], notes: Mapping[str, str]) -> str:
    """Blocks with all that prompts have but their defaults, each under its note, if any, by name."""
    blocks = []
    for entry in entries:
        settings = {"name": entry.name, "text": entry.text, **entry.model_dump(mode="json", exclude_defaults=True)}
        lines = [f"# {notes[entry.name]}"] if notes.get(entry.name) else []
        lines += ["[[prompts]]", *(f"{key} = {_value(value)}" for key, value in settings.items() if value is not None)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _value(value: Any) -> str:
    """A value as TOML has it, tables inline (TOML 1.0.0)."""
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(key)} = {_value(part)}" for key, part in value.items() if part is not None)
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(_value(part) for part in value)}]"
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped, and pairs of surrogates.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
