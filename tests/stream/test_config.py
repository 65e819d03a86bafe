"""The configuration file: defaults, and errors with their key paths, all at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from stream.config import Config, ExamplesSection, FileSource
from stream.config_file import ConfigError, load_config

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "posewire.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_commented_file_holds_the_defaults_and_every_setting() -> None:
    path = ROOT / "config.toml"
    # Its one relative path counts from its folder.
    assert load_config(path) == Config(examples=ExamplesSection(path=str(ROOT / "examples")))
    data = tomllib.loads(path.read_text())
    text = path.read_text()
    for section, field in Config.model_fields.items():
        if section in ("prompts", "sources"):
            continue
        for key in field.annotation.model_fields:
            assert key in data[section] or f"# {key} = " in text, f"{section}.{key} is not in config.toml"


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None) == Config()
    (tmp_path / "config.toml").write_text("[node]\nname = 'here'\n")
    assert load_config(None).node.name == "here"


def test_all_errors_come_at_once_each_with_its_key(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [node]
        name = "two words"
        [model]
        device = "tpu"
        colour = 1
        [events]
        enter = 0.4
        exit = 0.6
        [publish]
        events = "tcp://0.0.0.0:5556"
        [[prompts]]
        text = "a person falls"
        enter = 3
        [[sources]]
        kind = "file"
        name = "cam1"
        [[sources]]
        kind = "camera"
        name = "cam2"
        """,
    )
    with pytest.raises(ConfigError) as error:
        load_config(path)
    lines = str(error.value).splitlines()
    keys = [line.removeprefix(f"{path}: ").split(": ")[0] for line in lines]
    assert keys == [
        "node.name",
        "model.device",
        "model.colour",
        "events",
        "prompts[0].enter",
        "sources[0].path",
        "sources[1]",
        "publish.events",
    ]
    assert all("\n" not in line and len(line) < 400 for line in lines)
    assert "unknown setting" in lines[2]
    assert "0.0.0.0" in lines[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[prompts]]\ntext = 'a b c'\n[[prompts]]\ntext = 'a b c'", "two prompts have the name 'a_b_c'"),
        ("prompts = []", "there is no prompt"),
        (
            "[[sources]]\nkind = 'synthetic'\nname = 'a'\n[[sources]]\nkind = 'synthetic'\nname = 'a'",
            "two sources have the name 'a'",
        ),
        ("[publish]\nevents = 'tcp://127.0.0.1:1'\nquery = 'tcp://127.0.0.1:1'", "must be different"),
        ("[publish]\nevents = ''", "need an address"),
        ("[events]\nneeded = 4\nof = 3", "needed (4) is above of (3)"),
        ("[windows\n", "not a TOML file"),
        ("[windows]\nstride = 0", "windows.stride"),
        ("windows = 3", "windows"),
        ("[windows]\nstrid = 3", "windows.strid: unknown setting; did you mean windows.stride? expected stride, min_"),
        ("[events]\nstride = 3", "events.stride: unknown setting; did you mean windows.stride? expected enter, exit"),
        ("stride = 3", "stride: unknown setting; did you mean windows.stride? expected node, model, "),
        ("[window]\nstride = 3", "window: unknown setting; did you mean windows? expected node, model, "),
        ("[[prompts]]\ntext = 'a person falls'\nseverty = 'info'", "did you mean prompts.severity? expected text, "),
        (
            "[[sources]]\nkind = 'synthetic'\nname = 'a'\nspeed = 3",
            "sources[0].speed: unknown setting; did you mean sources.speed? expected kind, name, people, fps, seed",
        ),
        ("[[sources]]\nkind = 'camera'\nname = 'a'", "sources[0]: kind is 'camera'; expected file or synthetic"),
        ("[[sources]]\nname = 'a'", "sources[0]: kind is missing; expected file or synthetic"),
        ("[[sources]]\nkind = 'synthetic'\nname = 'a'\nseed = -1", "sources[0].seed"),
        ("[[sources]]\nkind = 'synthetic'\nname = 'a'\nseed = 9223372036854775808", "sources[0].seed"),
        ('[[sources]]\nkind = "file"\nname = "a"\npath = "b\\u0000c"', "sources[0].path: expected the path"),
        ('[model]\npath = "b\\u0000c"', "model.path: expected the path"),
        ("[events]\nenter = 0.1\nexit = 0.2\nneeded = 4\nof = 3", "exit <= enter; needed (4) is above of (3)"),
        ("[windows]\nstride = '8'", "windows.stride: Input should be a valid integer, got '8'"),
        ("[windows]\nstride = true", "windows.stride: Input should be a valid integer, got True"),
        ("[events]\nhold_s = '1'", "events.hold_s: Input should be a valid number, got '1'"),
        ("[background]\nbank = 'no'", "background.bank: Input should be a valid boolean, got 'no'"),
        ("[[prompts]]\ntext = '     '", "prompts[0].text: nothing but white space"),
        ("[background]\ntexts = ['    ']", "background.texts[0]: nothing but white space"),
        ("node.name" + 5000 * ".a" + " = 1", "node.name: Input should be a valid string, got {"),
        ("[windows]\nstride = 0x" + 5000 * "f", "windows.stride: "),
        ("[windows]\nstride = " + 5000 * "9", "cannot be read (Exceeds the limit"),
        ("a = " + 3000 * "[", "not a TOML file: nested too deeply"),
    ],
)
def test_each_error_says_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    assert expected in str(error.value)


def test_errors_show_the_beginning_of_a_long_value_and_stay_on_one_line(tmp_path: Path) -> None:
    long = 5000 * "x"
    text = f'[model]\ndevice = "{long}"\n"{long}\\n" = 1\n[[sources]]\nkind = "{long}"'
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert all(len(line) < 300 + len(str(tmp_path)) for line in lines)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "\ufeff[node]\nname = 'here'\n")).node.name == "here"


def test_whole_numbers_do_for_fractions(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "[events]\nhold_s = 1\n")).events.hold_s == 1.0


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Path("a\0b"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    path = write(tmp_path, "[[sources]]\nkind = 'file'\nname = 'a'\npath = 'b/c.csv'\n[model]\npath = 'm'")
    config = load_config(path)
    assert isinstance(config.sources[0], FileSource)
    assert config.sources[0].path == str(tmp_path / "b/c.csv")
    assert config.model.path == str(tmp_path / "m")
