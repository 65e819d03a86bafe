"""`[[sinks]]` blocks: the commented file, what is refused, and that no secret stands in an error."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from stream.config_file import ConfigError, load_config, parse_config
from stream.config_sinks import SINK_KINDS, AppriseSink, MqttSink, WebhookSink
from stream.relay.base import RelayError
from stream.relay.configured import check_sinks

ROOT = Path(__file__).parents[2]
HOOK = {"kind": "webhook", "name": "x", "url": "https://example.org/", "secret_env": "S"}


def refusal(**block: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config({"sinks": [block]}, Path("f.toml"))
    return str(caught.value)


def test_the_commented_file_shows_every_kind_of_sink_with_every_setting(tmp_path: Path) -> None:
    text = (ROOT / "config.toml").read_text().split("[[sinks]]\n", 1)[1].split("\n\n[security]")[0]
    blocks = [re.sub("^# ?", "", block, flags=re.M) for block in text.split("# [[sinks]]\n")]
    assert [tomllib.loads(block)["kind"] for block in blocks] == ["mqtt", "webhook", "apprise"]
    common = ["kind", "name", "topics", "min_severity", "phases"]
    for block in blocks:
        data = tomllib.loads(block)
        model = SINK_KINDS[data["kind"]]
        assert list(data) == [*common, *[key for key in model.model_fields if key not in common]]
        for key, field in model.model_fields.items():
            if not field.is_required() and field.default != "" and key not in ("user",):
                default = list(field.default) if isinstance(field.default, tuple) else field.default
                assert data[key] == default, f"{data['kind']}.{key}"
    chosen = [
        re.sub("^(password_file|url|url_file|secret_file|ca_file) = .*$", "", block, flags=re.M) for block in blocks
    ]
    file = tmp_path / "posewire.toml"
    file.write_text("[[sinks]]\n" + "\n[[sinks]]\n".join(chosen))
    config = load_config(file)
    assert [type(sink) for sink in config.sinks] == [MqttSink, WebhookSink, AppriseSink]
    assert [sink.label for sink in config.sinks] == ["sink.home", "sink.desk", "sink.phones"]
    assert parse_config(config.model_dump(mode="json"), file) == config


def test_paths_count_from_the_file(tmp_path: Path) -> None:
    block = {"kind": "mqtt", "name": "x", "host": "h", "tls": True, "ca_file": "ca.pem", "user": "me"}
    config = parse_config({"sinks": [{**block, "password_file": "word"}]}, tmp_path / "f.toml")
    (sink,) = config.sinks
    assert isinstance(sink, MqttSink)
    assert (sink.ca_file, sink.password_file) == (str(tmp_path / "ca.pem"), str(tmp_path / "word"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "pigeon"}, "sinks[0]: kind is 'pigeon'; expected mqtt, webhook or apprise"),
        ({"urls": 1}, "sinks[0].urls: unknown setting; did you mean sinks.url? expected "),
        ({"topics": ["score"]}, "sinks[0].topics[0]: topic 'score' is not kept in the journal; expected one of alarm"),
        ({"topics": []}, "sinks[0].topics: "),
        ({"topics": ["alarm/#"]}, "sinks[0].topics[0]: level of topic"),
        ({"secret_file": "f"}, "sinks[0]: secret_env and secret_file; expected exactly one of secret_env and"),
        ({"url_env": "U"}, "sinks[0]: url and url_env; expected exactly one of url, url_env and url_file"),
        ({"name": "n" * 41}, "sinks[0].name: "),
        ({"secret_env": "whsec_canary=="}, "sinks[0].secret_env: not the name of an environment variable"),
        (
            {"url": "https://me:canary@example.org/"},
            "sinks[0].url: holds a user, password or token; expected `url_env`",
        ),
        ({"url": "https://example.org/?token=canary"}, "sinks[0].url: holds a user, password or token"),
        ({"url": "ftp://canary.example.org/"}, "sinks[0].url: expected http or https"),
        ({"timeout_s": 0.0}, "sinks[0].timeout_s: "),
    ],
)
def test_what_is_wrong_is_told_by_its_key(change: dict[str, object], message: str) -> None:
    told = refusal(**{**HOOK, **change})
    assert told.startswith(f"f.toml: {message}")
    assert "canary" not in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prefix": "home/#"}, "prefix: expected the first levels"),
        ({"prefix": "$SYS"}, "prefix: expected the first levels"),
        ({"prefix": "a\0b"}, "prefix: expected the first levels"),
        ({"prefix": "home/"}, "prefix: expected the first levels"),
        ({"host": "mqtt://me:canary@broker"}, "host: expected the name or address of a machine"),
        ({"password_env": "P"}, " a password without a user; expected `user` too"),
        ({"ca_file": "ca.pem"}, " ca_file without tls; expected tls = true"),
    ],
)
def test_what_is_wrong_with_a_broker(change: dict[str, object], message: str) -> None:
    told = refusal(kind="mqtt", name="x", **{"host": "broker", **change})
    assert message in told
    assert "canary" not in told


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two sinks have the name 'x'; expected different ones"):
        parse_config({"sinks": [HOOK, HOOK]}, Path("f.toml"))


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("SHORT", "whsec_canary")
    mqtt = {"kind": "mqtt", "name": "a", "host": "h", "user": "me", "password_env": "ABSENT"}
    phones = {"kind": "apprise", "name": "b", "url_file": "absent"}
    blocks = [mqtt, phones, {**HOOK, "secret_env": "EMPTY"}, {**HOOK, "name": "y", "secret_env": "SHORT"}]
    with pytest.raises(RelayError) as caught:
        check_sinks(parse_config({"sinks": blocks}, tmp_path / "f.toml"), Path("f.toml"))
    assert str(caught.value).splitlines() == [
        "f.toml: sinks[0] (a): environment variable ABSENT is not set; expected the password of an MQTT user",
        f"f.toml: sinks[1] (b): password file {tmp_path}/absent cannot be read (No such file or directory); "
        "expected addresses of services",
        "f.toml: sinks[2] (x): environment variable EMPTY is empty or not one line of text; "
        "expected the key of the signatures",
        "f.toml: sinks[3] (y): the secret is no key; expected whsec_ and base64 of 24 to 64 random bytes",
    ]


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.relay import configured

    monkeypatch.setitem(configured._NEEDS, "webhook", "no_such_package.inside")
    with pytest.raises(
        RelayError, match=r"sinks\[0\] \(x\): kind \"webhook\" needs the extra \"webhook\": pip install"
    ):
        check_sinks(parse_config({"sinks": [HOOK]}, Path("f.toml")), Path("f.toml"))
