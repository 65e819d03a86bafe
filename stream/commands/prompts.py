"""`posewire prompts list` and `posewire prompts test`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from stream.commands.options import OptionError
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
    console.print(f"prompts ({len(service.prompts.prompts)}):")
    console.print(table)
    background = service.prompts.background
    given = [text for text in background if text in config.background.texts]
    known = [text for text in background if text not in config.background.texts]
    for title, texts in (
        ("background texts of the configuration, which compete with the prompts", given),
        ("known actions of the model, which compete too", known),
    ):
        console.print(f"\n{title} ({len(texts)}):", soft_wrap=True)
        for text in texts:
            console.print(f"  {text}", style="dim", soft_wrap=True)
    return 0


def test_prompt(text: str, path: Path | None) -> int:
    """Show the known actions nearest to a text; returns the exit code.

    Raises:
        OptionError: the text is no description.
    """
    if not 3 <= len(text) <= 300 or not text.strip():
        raise OptionError(f"{text[:80]!r}: expected a description of 3 to 300 characters, such as 'a person falls'")
    from stream.service import embed_texts, load_model

    recogniser = load_model(load_config(path))
    known = [action.text for action in recogniser.bank]
    vectors = embed_texts([text, *known], recogniser)
    similarity = vectors[1:] @ vectors[0]
    order = np.argsort(-similarity)[:NEAREST]
    console = make_console()
    console.print(
        f"{text!r} would be called {slug(text)}; the model's nearest known actions, by meaning of the text:",
        soft_wrap=True,
    )
    for index in order:
        console.print(f"  {similarity[index]:5.2f}  {known[index]}", soft_wrap=True)
    best = float(similarity[order[0]]) if len(order) else 0.0
    if best >= SAME_MEANING:
        console.print("The model was trained on this.", style="green")
    else:
        console.print(
            f"The model was not trained on this: nothing it knows reaches {SAME_MEANING:.2f}. As a prompt it will "
            "almost never fire.",
            style="yellow",
            soft_wrap=True,
        )
    return 0
