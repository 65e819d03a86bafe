"""Options that take several values after one flag."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.cli_variadic import spread

FLAGS = {"--positive", "--prompt"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--positive a b", "--positive a --positive b"),
        ("--positive a --positive b", "--positive a --positive b"),
        ("--data x --positive a b c --json -", "--data x --positive a --positive b --positive c --json -"),
        ("--positive=a b --data x y", "--positive=a --positive b --data x y"),
        ("--positive a - b", "--positive a --positive - --positive b"),
        ("--positive a -- --positive b c", "--positive a -- --positive b c"),
        ("--positive --prompt x", "--positive --prompt x"),
        ("--data x y", "--data x y"),
        ("", ""),
    ],
)
def test_values_get_a_flag_each(given: str, expected: str) -> None:
    assert spread(given.split(), FLAGS) == expected.split()


@given(st.lists(st.sampled_from(["a", "b", "a person kicks", "--positive", "--data", "--prompt"])))
def test_what_is_spread_stays_so(arguments: list[str]) -> None:
    once = spread(arguments, FLAGS)
    assert spread(once, FLAGS) == once
    assert [one for one in once if not one.startswith("-")] == [one for one in arguments if not one.startswith("-")]
