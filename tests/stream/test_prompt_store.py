"""Prompts changed while the daemon runs, as an overlay on the configuration file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.config import Config
from stream.config_file import ConfigError, parse_config
from stream.prompt_overlay import MAX_ADDED, Overlay, PromptError, parse_entry, told_overlay
from stream.prompt_store import PromptStore, overlaid

FILE = Config()
NAMES = [entry.name for entry in FILE.prompts]
PATH = Path("prompts.json")

blocks = st.fixed_dictionaries(
    {"text": st.sampled_from(["a person throws", "a person jumps", "a person kicks", "somebody hops"])},
    optional={
        "name": st.sampled_from(["throw", "jump", "kick", "a b"]),
        "enter": st.floats(0.5, 1.0),
        "severity": st.sampled_from(["info", "alert", "critical", "warning"]),
        "hold_s": st.none() | st.floats(0.0, 5.0),
    },
)
steps = st.one_of(
    st.tuples(st.just("add"), st.just(""), blocks),
    st.tuples(st.just("set"), st.sampled_from([*NAMES, "throw", "jump"]), blocks),
    st.tuples(st.just("remove"), st.sampled_from([*NAMES, "throw", "jump"]), st.none()),
)


def applied(overlay: Overlay, step: tuple) -> Overlay:
    what, name, block = step
    if what == "add":
        return overlay.with_added(FILE, block)
    if what == "set":
        return overlay.with_changed(FILE, name, {key: value for key, value in block.items() if key != "name"})
    return overlay.without(FILE, name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(script=st.lists(steps, max_size=6))
def test_any_changes_give_a_configuration_or_an_error_and_can_be_kept(script: list, tmp_path: Path) -> None:
    overlay = Overlay()
    for step in script:
        try:
            new = applied(overlay, step)
            config = new.over(FILE, PATH)
        except (PromptError, ConfigError):
            continue
        overlay = new
        names = [entry.name for entry in config.prompts]
        assert names == [block.name for block in overlay.blocks(FILE)]
        assert len(set(names)) == len(names)
        assert config.model_copy(update={"prompts": FILE.prompts}) == FILE
    store = PromptStore(tmp_path)
    store.write(overlay)
    kept = store.read()
    assert kept.over(FILE, PATH) == overlay.over(FILE, PATH)
    assert kept.blocks(FILE) == overlay.blocks(FILE)


def test_a_change_that_is_taken_back_leaves_nothing() -> None:
    overlay = Overlay().with_changed(FILE, "kick", {"enter": 0.7, "exit": 0.2})
    assert overlay.over(FILE, PATH).prompts[2].enter == 0.7
    overlay = overlay.with_changed(FILE, "kick", {"enter": None, "exit": None})
    assert overlay.empty
    overlay = overlay.with_added(FILE, {"text": "a person throws", "name": "throw"}).without(FILE, "throw")
    assert overlay.empty


def test_a_prompt_of_the_file_can_be_replaced_by_one_of_its_name() -> None:
    overlay = Overlay().without(FILE, "kick").with_added(FILE, {"text": "somebody hops", "name": "kick"})
    config = overlay.over(FILE, PATH)
    assert [entry.text for entry in config.prompts if entry.name == "kick"] == ["somebody hops"]
    assert overlay.taken_away(FILE) == []
    assert told_overlay(overlay.blocks(FILE), overlay.taken_away(FILE)) == "added kick"
    assert overlay.without(FILE, "kick").taken_away(FILE) == ["kick"]


def test_changes_outlive_the_prompts_of_the_file() -> None:
    overlay = Overlay().with_changed(FILE, "kick", {"enter": 0.7}).without(FILE, "wave")
    other = parse_config({"prompts": [{"text": "a person falls", "name": "fall"}]}, Path("other.toml"))
    assert [entry.name for entry in overlay.over(other, PATH).prompts] == ["fall"]
    assert overlay.taken_away(other) == []


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ({}, "text: missing"),
        ({"text": "ab"}, "at least 3 characters"),
        ({"text": "abc", "enter": 7}, "prompt: enter: "),
        ({"text": "abc", "enter": True}, "prompt: enter: "),
        ({"text": "abc", "enter": 0.1, "exit": 0.2}, "above enter"),
        ({"text": "abc", "name": "a/b"}, "prompt: name 'a/b': "),
        ({"text": "abc", "nme": "a"}, "did you mean"),
        ({"text": {"text": "abc"}}, "prompt: text: "),
    ],
)
def test_what_is_no_prompt_is_told_by_its_key(block: dict, error: str) -> None:
    with pytest.raises(PromptError) as told:
        parse_entry(block)
    assert error in str(told.value)
    assert "prompts[0]" not in str(told.value)


def test_there_are_not_too_many() -> None:
    overlay = Overlay()
    entries = [parse_entry({"text": f"somebody counts to {number}"}) for number in range(MAX_ADDED)]
    with pytest.raises(PromptError, match="expected some to be put into the configuration file"):
        overlay.model_copy(update={"added": tuple(entries)}).with_added(FILE, {"text": "one more"})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version": 2}', b'{"added": [{"text": "a"}]}', b'{"other": 1}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_broken_file_is_one_line_and_is_kept_beside_the_next(tmp_path: Path, content: bytes) -> None:
    store = PromptStore(tmp_path)
    store.path.write_bytes(content)
    with pytest.raises(PromptError) as told:
        store.read()
    assert str(told.value).startswith(f"{store.path}: ")
    assert "\n" not in str(told.value)
    store.write(Overlay())
    assert store.read().empty
    assert store.path.with_suffix(".broken").read_bytes() == content


def test_it_is_private_and_whole(tmp_path: Path) -> None:
    store = PromptStore(tmp_path)
    assert store.read().empty
    store.write(Overlay().without(FILE, "wave"))
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.json"]
    with pytest.raises(PromptError, match="cannot be written"):
        PromptStore(tmp_path / "nowhere").write(Overlay())


def test_the_next_start_of_a_node_has_its_changes(tmp_path: Path) -> None:
    file = parse_config({"node": {"state": str(tmp_path)}}, Path("x.toml"))
    assert overlaid(file)[0] == file
    PromptStore(tmp_path).write(Overlay().without(file, "wave"))
    config, overlay, path = overlaid(file)
    assert "wave" not in [entry.name for entry in config.prompts]
    assert (overlay.removed, path.parent) == (("wave",), tmp_path)


def test_a_change_that_does_not_go_with_the_file_any_more_names_its_prompt() -> None:
    file = parse_config({"prompts": [{"text": "a person kicks", "name": "kick", "enter": 0.3}]}, Path("x.toml"))
    overlay = Overlay(changed={"kick": {"exit": 0.5}})
    with pytest.raises(PromptError) as told:
        overlay.over(file, PATH)
    assert str(told.value).startswith("prompts.json: prompt 'kick': exit")
