"""What the command line makes of the keys of a prompt, and what it says where no daemon runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli_prompts import prompts_list
from stream.commands.options import OptionError
from stream.commands.prompts import list_prompts
from stream.commands.prompts_running import DaemonError, block_of, change_prompts, try_prompt


def test_any_key_of_a_prompt_can_be_given() -> None:
    block = block_of(text="a person hops", enter=0.4, also=["b"], more=["min_s=2.0", "zone = hall"], unset=["exit"])
    assert block == {"text": "a person hops", "enter": 0.4, "also": ["b"], "min_s": 2.0, "zone": "hall", "exit": None}
    assert block_of(text=None, also=[], more=None) == {}


@pytest.mark.parametrize("pair", ["", "min_s", "=2", "a b=1"])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(OptionError, match="expected KEY=VALUE"):
        block_of(more=[pair])


@pytest.mark.parametrize("number", [{"enter": float("nan")}, {"more": ["min_s=inf"]}])
def test_what_json_has_no_number_for_is_refused_and_not_sent_as_the_default(number: dict) -> None:
    with pytest.raises(OptionError, match="expected a finite number"):
        block_of(**number)


def test_what_the_daemon_watches_for_is_not_followed_by_what_the_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("stream.commands.prompts_running.list_running", lambda **_: asked.append("daemon") or 0)
    monkeypatch.setattr("stream.commands.prompts.list_prompts", lambda _: asked.append("file") or 0)
    prompts_list(running=True)
    assert asked == ["daemon"]
    prompts_list()
    assert asked == ["daemon", "file"]


def test_the_exit_that_is_listed_is_the_one_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "posewire.toml"
    state = "[node]\nstate = 'state'\n"
    config.write_text(f"{state}[[prompts]]\ntext = 'a person kicks'\nname = 'kick'\nenter = 0.2\n")
    assert list_prompts(config) == 0
    assert "0.20   0.20" in capsys.readouterr().out


def test_without_a_daemon_a_change_is_an_error_and_a_trial_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"ipc://{tmp_path}/q"
    with pytest.raises(DaemonError, match="no daemon answers; expected one that runs"):
        change_prompts("reload", query=endpoint, config=None)
    assert try_prompt({"text": "a person hops"}, query=endpoint, config=None) == 0
    assert "no daemon answers" in capsys.readouterr().err
