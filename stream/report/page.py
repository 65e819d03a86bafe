"""The HTML page around the data: template, style and script of this package, joined into one file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files

SCRIPTS = (
    *("decode", "theme", "camera", "body", "scene", "lanes", "text"),
    *("timeline", "readout", "events", "controls", "page"),
)
"""The script's parts, in the order in which they are joined."""
VIDEO_SCRIPT = "video"
"""The part that pages with a video have besides, before the last one."""

_LEAD = "Skeletons only: this page holds no images and no sound, and loads nothing from the network."
_VIDEO_LEAD = (
    "This page holds images: frames of a video, with the joints drawn over them. It holds no sound, and loads nothing "
    "from the network."
)
_VIDEO_BUTTON = """
      <div class="segments"><button type="button" id="film" aria-pressed="true">Video</button></div>"""


def render(data: dict[str, object], *, video: bool = False) -> str:
    """Return the page that shows `data`, whose sources hold a video or not.

    Whatever stands in the data, it cannot become markup: it lies in a JSON block in which no "<" is left, the script
    writes it as text only, and the page's policy runs no script but the package's own.
    """
    style, script = _part("report.css"), script_text(video=video)
    fields = {
        "policy": f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}",
        "title": html.escape(str(data["title"])),
        "lead": _VIDEO_LEAD if video else _LEAD,
        "video_button": _VIDEO_BUTTON if video else "",
        "style": style,
        "data": embed(data),
        "script": script,
    }
    # One pass, so that text which looks like a field is left alone.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: fields[match[1]], _part("template.html"))


def script_text(*, video: bool = False) -> str:
    """Return the page's whole script: its parts in one function, so that they share names with nobody else."""
    names = (*SCRIPTS[:-1], VIDEO_SCRIPT, SCRIPTS[-1]) if video else SCRIPTS
    parts = "\n".join(_part(f"js/{name}.js") for name in names)
    return f'(function () {{\n"use strict";\n{parts}}})();\n'


def embed(data: dict[str, object]) -> str:
    """Return `data` as JSON that may stand in an HTML script block."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _part(name: str) -> str:
    return files("stream.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
