"""`posewire prompts list` and `posewire prompts test`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from stream.config_file import load_config
from stream.console import make_console
from stream.prompts import SAME_MEANING
from stream.topics import slug

NEAREST = 5


def list_prompts(path: Path | None) -> int:
    """Show the prompts and what they compete with; returns the exit code."""
    from stream.service import load_service

    config = load_config(path)
    service = load_service(config)
    events = service.settings.events
    table = Table("name", "severity", "enter", "exit", "text", box=None)
    for prompt in service.prompts.prompts:
        enter = events.enter if prompt.enter is None else prompt.enter
        leave = events.exit if prompt.exit is None else prompt.exit
        table.add_row(prompt.name, prompt.severity.value, f"{enter:.2f}", f"{leave:.2f}", prompt.text)
    console = make_console()
    console.print(table)
    console.print(f"\nagainst {len(service.prompts.background)} background texts:")
    for text in service.prompts.background:
        console.print(f"  {text}", style="dim", soft_wrap=True)
    return 0


def test_prompt(text: str, path: Path | None) -> int:
    """Show the known actions nearest to a text; returns the exit code."""
    from stream.service import embed_texts, load_model

    recogniser = load_model(load_config(path))
    known = [action.text for action in recogniser.bank]
    vectors = embed_texts([text, *known], recogniser)
    similarity = vectors[1:] @ vectors[0]
    order = np.argsort(-similarity)[:NEAREST]
    console = make_console()
    console.print(f"{text!r} would be called {slug(text)}; the model's nearest known actions, by meaning of the text:")
    for index in order:
        console.print(f"  {similarity[index]:5.2f}  {known[index]}", soft_wrap=True)
    best = float(similarity[order[0]]) if len(order) else 0.0
    if best >= SAME_MEANING:
        console.print("The model was trained on this.", style="green")
    else:
        console.print(
            f"The model was not trained on this: nothing it knows reaches {SAME_MEANING:.2f}. Expect poor scores.",
            style="yellow",
        )
    return 0
