"""Blocks of a configuration, written and read again."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from stream.config import DEFAULT_PROMPTS, PromptEntry
from stream.config_block import prompt_blocks

texts = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=3, max_size=40).filter(
    lambda text: len(text.strip()) >= 3
)


def entries(text: str) -> list[PromptEntry]:
    return [PromptEntry.model_validate(block) for block in tomllib.loads(text)["prompts"]]


def test_the_defaults_are_the_same_again() -> None:
    text = prompt_blocks(DEFAULT_PROMPTS, {"kick": "a note"})
    assert tuple(entries(text)) == DEFAULT_PROMPTS
    assert '# a note\n[[prompts]]\nname = "kick"' in text
    assert "enter" not in text


@given(text=texts, also=texts, enter=st.floats(0, 1))
def test_any_text_is_the_same_again(text: str, also: str, enter: float) -> None:
    entry = PromptEntry(text=text, name="x", also=(also,), enter=enter, exit=0.0)
    assert entries(prompt_blocks([entry], {})) == [entry]
