"""Zones, schedules and rules in the configuration file, and the document that explains them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from stream.config import BLOCKS, Config
from stream.config_file import ConfigError, load_config, parse_config
from stream.permits import Limits
from stream.rulebook import Condition, Needs, Rulebook
from stream.types import Severity, Space
from stream.zones import By, Zone

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "rules.md"
SQUARE = "[[0, 0], [1, 0], [1, 1], [0, 1]]"
ZONE = f"[[zones]]\nname = 'bed'\nfloor = {SQUARE}\n"
NIGHTS = "[[schedules]]\nname = 'nights'\nfrom = '22:00'\nto = '06:00'\ntime_zone = 'Europe/Vienna'\n"
RULE = "[[rules]]\nname = 'r'\n"
CAMERA = "[[sources]]\nkind = 'video'\nname = 'cam'\ncamera = 0\njoints = '2d'\n"


def load(folder: Path, text: str) -> Config:
    path = folder / "posewire.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return list(value) if isinstance(value, tuple) else value


def test_the_commented_file_shows_every_block_with_every_setting(tmp_path: Path) -> None:
    text = (ROOT / "config.toml").read_text()
    lines = text.split("\n# Where and when it counts", 1)[1].split("\n\n[capture]")[0]
    blocks = re.sub("^# ?", "", lines.split("#\n", 1)[1], flags=re.M)
    data = tomllib.loads(blocks)
    assert list(data) == ["zones", "schedules", "rules"]
    for section, (block,) in data.items():
        fields = {field.alias or key: field for key, field in BLOCKS[section].model_fields.items()}
        assert set(block) == set(fields)
        for key, field in fields.items():
            if not field.is_required() and default(field) is not None and key != "severity":
                assert block[key] == default(field), f"{section}.{key}"
    # Of those that exclude each other, one each.
    chosen = re.sub("^(image|after|outside) = .*$", "", blocks, flags=re.M)
    assert load(tmp_path, chosen).rules[0].severity is Severity.ALERT


@pytest.mark.parametrize("number", range(len(re.findall("^```toml$", DOCUMENT.read_text(), flags=re.M))))
def test_each_example_of_the_document_loads(tmp_path: Path, number: int) -> None:
    blocks = re.findall("^```toml\n(.*?)^```$", DOCUMENT.read_text(), flags=re.M | re.S)
    assert len(blocks) > 5
    config = load(tmp_path, blocks[number])
    assert config.zones or config.schedules or config.rules


def test_the_document_tells_of_every_key() -> None:
    text = DOCUMENT.read_text()
    for section in ("zones", "schedules", "rules"):
        for key, field in BLOCKS[section].model_fields.items():
            assert f"`{field.alias or key}`" in text, f"{section}.{key}"


def test_what_the_blocks_become(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        ZONE
        + "by = 'hips'\npitch_deg = 20\nsources = ['film']\nedge = 0.2\n"
        + NIGHTS
        + "days = ['fri']\n"
        + "[[prompts]]\nname = 'fall'\ntext = 'a person falls'\noutside = 'bed'\nschedule = 'nights'\n"
        + "[[prompts]]\nname = 'wave'\ntext = 'a person waves'\n"
        + RULE
        + "after = 'fall'\npeople_at_most = 1\nfor_s = 300\nzone = 'bed'\n",
    )
    book = config.rulebook()
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    assert book.zones == (Zone("bed", Space.CAMERA3D, corners, By.HIPS, frozenset({"film"}), 20.0, 0.2),)
    (nights,) = book.schedules
    assert (nights.days, nights.begin, nights.end, nights.zone.key) == ({4}, 22 * 60, 6 * 60, "Europe/Vienna")
    assert book.limits == {"fall": Limits(None, "bed", "nights")}
    needs = Needs(after="fall", people_at_most=1, limits=Limits("bed"))
    text = "fall, then at most 1 person in bed for 5 min"
    assert book.conditions == (Condition("r", text, Severity.ALERT, needs, 300.0, 2.0),)
    assert book.silence_s == config.capture.stall_s
    # What a child process is handed is the same again.
    assert parse_config(config.model_dump(mode="json"), tmp_path / "posewire.toml") == config


def test_a_name_and_a_prompt_are_enough(tmp_path: Path) -> None:
    (condition,) = load(tmp_path, RULE + "prompt = 'fall'").rulebook().conditions
    assert (condition.text, condition.severity, condition.for_s) == ("fall for 1 s", Severity.ALERT, 1.0)
    assert Config().rulebook() == Rulebook()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[zones]]\nname = 'bed'", "zones[0]: no area; expected exactly one of floor (in metres) and image"),
        (ZONE + f"image = {SQUARE}", "zones[0]: floor and image; expected exactly one"),
        ("[[zones]]\nname = 'a b'\nimage = [[0, 0], [1, 0], [1, 1]]", "zones[0].name: name 'a b': expected 1 to 64"),
        ("[[zones]]\nname = 'bed'\nimage = [[0, 0], [1, 0]]", "zones[0].image: 2 corners; expected 3 to 100"),
        ("[[zones]]\nname = 'bed'\nfloor = [[0, 0], [1, 1], [2, 2]]", "zones[0].floor: it has no area"),
        ("[[zones]]\nname = 'bed'\nfloor = [[0, 0], [1, 1], [1, 0], [0, 1]]", "zones[0].floor: its edge crosses"),
        ("[[zones]]\nname = 'bed'\nfloor = [[0, 0], [1, 0], [1, nan]]", "zones[0].floor[2][1]: "),
        ("[[zones]]\nname = 'bed'\nfloor = [[0, 0], [1, 0], [inf, 1]]", "zones[0].floor[2][0]: "),
        (
            "[[zones]]\nname = 'bed'\nfloor = [[0, 0], [1, 0], ['1', 1]]",
            "zones[0].floor[2][0]: Input should be a valid n",
        ),
        ("[[zones]]\nname = 'bed'\nfloor = [[0, 0, 0], [1, 0], [1, 1]]", "zones[0].floor[0]: "),
        (f"[[zones]]\nname = 'bed'\nimage = {SQUARE}\npitch_deg = 5", "zones[0]: pitch_deg needs a floor"),
        (ZONE + "by = 'nose'", "zones[0].by: Input should be 'feet', 'hips' or 'any', got 'nose'"),
        (ZONE + "colour = 1", "zones[0].colour: unknown setting; expected name, floor, image, by"),
        (NIGHTS.replace("22:00", "22"), "schedules[0].from: '22' is no time of day; expected one such as \"22:00\""),
        (NIGHTS.replace("06:00", "25:00"), "schedules[0].to: '25:00' is no time of day"),
        (NIGHTS.replace("06:00", "22:00"), 'schedules[0]: from "22:00" to "22:00"; expected two different times'),
        (NIGHTS.replace("'22:00'", "22:00:00"), "schedules[0].from: Input should be a valid string"),
        (
            NIGHTS.replace("Vienna", "Wien"),
            "schedules[0].time_zone: 'Europe/Wien' is no time zone; did you mean Europe/",
        ),
        (NIGHTS.replace("/Vienna", ""), "schedules[0].time_zone: 'Europe' is no time zone; "),
        (
            NIGHTS.replace("Europe/Vienna", "/etc/localtime"),
            "schedules[0].time_zone: '/etc/localtime' is no time zone; ",
        ),
        (NIGHTS.replace("Europe/Vienna", ""), "schedules[0].time_zone: '' is no time zone; "),
        (NIGHTS.replace("Europe/Vienna", "a\\u0000b").replace("'a", '"a').replace("b'", 'b"'), "time_zone: "),
        (NIGHTS.rpartition("time_zone")[0], "schedules[0].time_zone: missing; it has no default"),
        (NIGHTS + "days = ['monday']", "schedules[0].days[0]: Input should be 'mon', 'tue'"),
        (NIGHTS + "days = []", "schedules[0].days: no day; expected at least one of mon"),
        (NIGHTS + "until = '07:00'", "schedules[0].until: unknown setting; expected name, days, from, to, time_zone"),
        (RULE, "rules[0]: no condition; expected at least one of prompt, after, people_at_least, people_at_most, zone"),
        (RULE + "prompt = 'fall'\nafter = 'fall'", "rules[0]: prompt and after; expected one of them"),
        (RULE + "people_at_least = 3\npeople_at_most = 2", "rules[0]: people_at_least (3) is above people_at_most (2)"),
        (RULE + "people_at_most = -1", "rules[0].people_at_most: Input should be greater than or equal to 0, got -1"),
        (
            RULE + "prompt = 'fall'\nfor_s = 600",
            "rules[0].for_s: never holds for 600 s, since an event of 'fall' ends after 600 s (max_s)",
        ),
        (
            RULE + "prompt = 'fall'\nfor_s = 5\n[[prompts]]\ntext = 'a person falls'\nname = 'fall'\nmax_s = 5",
            "an event of 'fall' ends after 5 s (max_s)",
        ),
        (RULE + "people_at_most = 0\nfor_s = '10'", "rules[0].for_s: Input should be a valid number, got '10'"),
        (2 * (RULE + "prompt = 'fall'\n"), "rules: two rules have the name 'r'; expected different ones"),
        ("[[rules]]\nname = 'fall'\npeople_at_most = 0", "rules[0].name: a prompt is named 'fall' too"),
        (RULE + "prompt = 'lies'", "rules[0].prompt: no prompt is named 'lies'; expected one of clap, fall, kick, pu"),
        (
            ZONE + RULE + "zone = 'bed'\noutside = 'bed'",
            "rules[0]: zone and outside are the same zone ('bed'): nobody is ever in and out of it",
        ),
        (
            ZONE + "[[prompts]]\ntext = 'a person falls'\nzone = 'bed'\noutside = 'bed'",
            "prompts[0]: zone and outside are the same zone ('bed')",
        ),
        (ZONE + "[anomaly]\nzone = 'bed'\noutside = 'bed'", "anomaly: zone and outside are the same zone ('bed')"),
        (RULE + "prompt = 'fall'\nwithout = 'help'", "rules[0].without: no prompt is named 'help'"),
        (ZONE + RULE + "outside = 'bett'", "rules[0].outside: no zone is named 'bett'; expected bed"),
        (RULE + "zone = 'bed'", "rules[0].zone: no zone is named 'bed'; there is no [[zones]] block"),
        (RULE + "people_at_most = 0\nschedule = 'day'", "rules[0].schedule: no schedule is named 'day'; there is no"),
        ("[[prompts]]\ntext = 'a person falls'\nzone = 'bed'", "prompts[0].zone: no zone is named 'bed'"),
        (
            NIGHTS + "[[prompts]]\ntext = 'a person falls'\nschedule = 'n'",
            "prompts[0].schedule: no schedule is named 'n'",
        ),
        (CAMERA + ZONE + "sources = ['can']", "zones[0].sources[0]: no source is named 'can'; expected cam"),
        (
            CAMERA + RULE + "people_at_most = 0\nsources = ['x']",
            "rules[0].sources[0]: no source is named 'x'; expected cam",
        ),
        (
            CAMERA + ZONE + "sources = ['cam']",
            "zones[0].floor: source 'cam' gives joints in image coordinates; expected i",
        ),
        (
            CAMERA.replace("2d", "3d") + f"[[zones]]\nname = 'bed'\nimage = {SQUARE}\nsources = ['cam']",
            "zones[0].image: source 'cam' gives joints in metres; expected floor",
        ),
    ],
)
def test_each_error_says_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert expected in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("longer", ["[events]\nmax_s = 0", "[events]\nmax_s = 900"])
def test_a_rule_may_ask_for_what_its_prompt_may_last(tmp_path: Path, longer: str) -> None:
    assert load(tmp_path, f"{longer}\n{RULE}prompt = 'fall'\nfor_s = 700").rules[0].for_s == 700
    assert load(tmp_path, f"{RULE}after = 'fall'\nfor_s = 700").rules[0].for_s == 700


def test_all_unknown_names_are_told_at_once(tmp_path: Path) -> None:
    text = RULE + "prompt = 'a'\nwithout = 'b'\nzone = 'c'\noutside = 'd'\nschedule = 'e'\n"
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "rules[0].zone",
        "rules[0].outside",
        "rules[0].schedule",
        "rules[0].prompt",
        "rules[0].without",
    ]


def test_anomalies_have_places_hours_and_sources(tmp_path: Path) -> None:
    anomaly = "[anomaly]\nenabled = true\noutside = 'bed'\nschedule = 'nights'\nsources = ['cam']\n"
    rule = f"{RULE}prompt = 'anomaly'\nfor_s = 10\n"
    config = load(tmp_path, anomaly + ZONE.replace("floor", "image") + NIGHTS + CAMERA + rule)
    assert config.rulebook().limits == {"anomaly": Limits(outside="bed", schedule="nights")}
    assert config.rulebook().conditions[0].text == "anomaly for 10 s"
    assert config.anomaly.settings(config.pipeline(frames=50, rate_hz=25, enter=0.5, exit=0.3).events).sources == {
        "cam"
    }


def test_all_that_is_wrong_of_anomalies_is_told_at_once(tmp_path: Path) -> None:
    anomaly = "[anomaly]\nzone = 'x'\noutside = 'bett'\nschedule = 'y'\nsources = ['z']\n"
    prompt = "[[prompts]]\ntext = 'anomaly'\n"
    rules = "[[rules]]\nname = 'anomaly'\npeople_at_least = 1\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, anomaly + prompt + rules + ZONE.replace("floor", "image") + CAMERA)
    assert [line.split(": ", 1)[1] for line in str(caught.value).splitlines()] == [
        "anomaly.zone: no zone is named 'x'; expected bed",
        "anomaly.outside: no zone is named 'bett'; expected bed",
        "anomaly.schedule: no schedule is named 'y'; there is no [[schedules]] block",
        "prompts[0].name: the events of [anomaly] are named 'anomaly'; expected another name",
        "rules[0].name: the events of [anomaly] are named 'anomaly'; expected another name",
        "anomaly.sources[0]: no source is named 'z'; expected cam",
    ]
    with pytest.raises(ConfigError, match=r"rules\[0\].after: 'anomaly' is not watched for; expected anomaly.enabled"):
        load(tmp_path, f"{RULE}after = 'anomaly'\n")
    with pytest.raises(ConfigError, match=r"anomaly: a scene is in no zone; expected scope"):
        load(tmp_path, f"[anomaly]\nzone = 'bed'\nscope = ['scene']\n{ZONE}")
    with pytest.raises(ConfigError, match=r"rules\[0\].for_s: never holds for 900 s, since an event of 'anomaly' ends"):
        load(tmp_path, f"[anomaly]\nenabled = true\n{RULE}prompt = 'anomaly'\nfor_s = 900\n")


def test_sources_within_a_recording_may_be_named(tmp_path: Path) -> None:
    film = "[[sources]]\nkind = 'file'\nname = 'film'\npath = 'film.pwr'\n"
    assert load(tmp_path, film + ZONE + "sources = ['film.ward']").zones


def test_a_part_of_a_file_may_name_what_is_elsewhere(tmp_path: Path) -> None:
    block = {"text": "a person falls", "zone": "bed"}
    assert parse_config({"prompts": [block]}, tmp_path, part=True).prompts[0].zone == "bed"
    with pytest.raises(ConfigError, match="zone and outside are the same zone"):
        parse_config({"prompts": [block | {"outside": "bed"}]}, tmp_path, part=True)
