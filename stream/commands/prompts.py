"""`posewire prompts list`, and the part of `posewire prompts test` that needs no daemon."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from models.heads import BankHead
from stream.commands.options import OptionError
from stream.config_file import load_config
from stream.console import make_console
from stream.prompt_store import overlaid
from stream.topics import slug

if TYPE_CHECKING:
    from models.recogniser import Recogniser

NEAREST = 5


def list_prompts(path: Path | None) -> int:
    """Show the prompts and what they compete with; returns the exit code."""
    from stream.service import load_service

    file = load_config(path)
    config, overlay, changes = overlaid(file)
    service = load_service(config)
    events = service.settings.events
    origins = {block.name: block.origin for block in overlay.blocks(file)}
    told = {"added": "added while the daemon ran", "changed": "changed while the daemon ran"}
    table = Table("name", "severity", "enter", "exit", "text", *([] if overlay.empty else [""]), box=None)
    for prompt in service.prompts.prompts:
        enter = events.enter if prompt.enter is None else prompt.enter
        leave = min(enter, events.exit if prompt.exit is None else prompt.exit)
        origin = [] if overlay.empty else [told.get(origins.get(prompt.name, ""), "")]
        table.add_row(prompt.name, prompt.severity.value, f"{enter:.2f}", f"{leave:.2f}", prompt.text, *origin)
    console = make_console()
    console.print(f"prompts ({len(service.prompts.prompts)}):")
    console.print(table)
    if not overlay.empty:
        removed = ", ".join(overlay.taken_away(file)) or "none"
        console.print(f"removed while the daemon ran: {removed}; all of these changes: {changes}", soft_wrap=True)
    background = service.prompts.background
    given = [text for text in background if text in config.background.texts]
    competing = [text for text in background if text not in config.background.texts]
    bank = service.recogniser.bank if isinstance(service.recogniser.head, BankHead) else ()
    for title, texts in (
        ("background texts of the configuration", given),
        ("known actions of the model, which compete with the prompts", competing),
        ("known actions of the model, through which the prompts are routed", [action.text for action in bank]),
    ):
        if not texts:
            continue
        console.print(f"\n{title} ({len(texts)}):", soft_wrap=True)
        for text in texts:
            console.print(f"  {text}", style="dim", soft_wrap=True)
    return 0


def test_prompt(texts: Sequence[str], path: Path | None) -> int:
    """Say how well the model knows an action described by one text or several; returns the exit code.

    Raises:
        OptionError: a text is no description.
    """
    for text in texts:
        if not 3 <= len(text) <= 300 or not text.strip():
            raise OptionError(f"{text[:80]!r}: expected a description of 3 to 300 characters, such as 'a person falls'")
    from models.routing import likeness, shares
    from stream.service import embed_texts, load_model

    recogniser = load_model(load_config(path))
    every = list(dict.fromkeys([*texts, *(text for action in recogniser.bank for text in action.texts)]))
    vectors = dict(zip(every, embed_texts(every, recogniser), strict=True))
    bank = [np.stack([vectors[text] for text in action.texts]) for action in recogniser.bank]
    cosine = likeness([np.stack([vectors[text] for text in texts])], bank)
    share = shares(cosine)[0]
    order = np.argsort(-cosine[0])[:NEAREST]
    console = make_console()
    console.print(
        f"{texts[0]!r} would be called {slug(texts[0])}; the model's nearest known actions, by meaning of the text:",
        soft_wrap=True,
    )
    routed = isinstance(recogniser.head, BankHead)  # others score a text by itself
    table = Table("likeness", *(["counts for"] if routed else []), "known action", "of", box=None)
    for index in order.tolist():
        action = recogniser.bank[index]
        counts = [f"{100 * share[index]:.0f} %"] if routed else []
        table.add_row(f"{cosine[0, index]:.2f}", *counts, action.text, action.vocabulary)
    console.print(table)
    _verdict(console, float(cosine.max(initial=-1.0)), recogniser)
    return 0


def _verdict(console: Console, best: float, recogniser: Recogniser) -> None:
    below = recogniser.head.unknown_below
    trust = recogniser.manifest.trust
    band = next((band for band in reversed(trust.bands) if best >= band.above), None) if trust else None
    if band is not None:
        console.print(
            f"Expected accuracy: {band.labels} labels as near as this, of sets that a model had never seen, were told "
            f"from all others of their set {100 * band.mean:.0f} % of the time (half of the labels between "
            f"{100 * band.low:.0f} and {100 * band.high:.0f} %).",
            soft_wrap=True,
        )
    if best < below and not isinstance(recogniser.head, BankHead):
        console.print(
            f"unfamiliar: nothing that the model was trained on reaches {below:.2f}; it goes by the text alone",
            style="yellow",
            soft_wrap=True,
        )
    elif best < below:
        console.print(
            f"unknown: teach it from examples (posewire teach). Nothing that the model knows reaches {below:.2f}; as a "
            "prompt it will hardly ever fire.",
            style="yellow",
            soft_wrap=True,
        )
    else:
        console.print(f"known: the nearest reaches {best:.2f}; below {below:.2f} it would not be", style="green")
